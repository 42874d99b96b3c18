//! A component on its way to a host.

use super::{
    super::{print, target::Target},
    Workbench, workbench,
};
use crate::providers::{
    Grant,
    api_client::{ApiClient, Refusal},
    grant::Missing,
    signature::Signature,
};
use aiv_runtime::{Admission, types::Manifest};
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Publish {
    /// The component, a `.wasm` file.
    component: PathBuf,
    /// What `aiv plugin sign` printed.
    #[arg(long)]
    signature: Option<Signature>,
    /// Grant all that it asks for.
    #[arg(long)]
    grant: bool,
    /// Put it in service for everybody.
    #[arg(long, conflicts_with = "canary")]
    activate: bool,
    /// Try it on this share of the runs, in percent.
    #[arg(long, value_name = "PERCENT")]
    canary: Option<f64>,
    /// For the log.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    target: Target,
}

impl Publish {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let Self { component, signature, grant, activate, canary, reason, target } = self;
        let component = workbench::read(&component)?;
        let admission = Workbench::new()?.runtime.admit(&component).await.context("refused")?;
        let publisher = Publisher::new(target, admission)?;
        match publisher.publish(component, signature, grant, activate, canary, &reason).await {
            Ok(answer) => {
                if json {
                    print(answer)?;
                } else {
                    print(publisher.sentence(&answer))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            // What a program reads is the host's own document.
            Err(err) if json && err.is::<Refusal>() => {
                print(err.downcast::<Refusal>()?.document())?;
                Ok(ExitCode::FAILURE)
            }
            Err(err) => Err(in_full(err)),
        }
    }
}

/// A refusal with every rule that was broken.
pub(super) fn in_full(err: anyhow::Error) -> anyhow::Error {
    match err.downcast::<Refusal>() {
        Ok(refusal) => refusal.in_full().into(),
        Err(err) => err,
    }
}

/// A component, and the host that it is for.
pub(super) struct Publisher {
    client: ApiClient,
    path: String,
    admission: Admission,
}

impl Publisher {
    pub(super) fn new(target: Target, admission: Admission) -> anyhow::Result<Self> {
        let path = format!("/v1/admin/providers/{}", admission.manifest.key);
        Ok(Self { client: target.client()?, path, admission })
    }

    async fn publish(
        &self,
        component: Vec<u8>,
        signature: Option<Signature>,
        grant: bool,
        activate: bool,
        canary: Option<f64>,
        reason: &str,
    ) -> anyhow::Result<Value> {
        let installed = self.upload(component, signature).await?;
        if grant {
            self.grant().await?;
        }
        let mut wish = json!({ "digest": self.admission.digest, "reason": reason });
        if let Some(percent) = canary {
            wish["weight"] = json!(percent / 100.0);
            self.put_in_service("canary", &wish).await
        } else if activate {
            self.put_in_service("activate", &wish).await
        } else {
            Ok(installed)
        }
    }

    /// Has the host check and keep it.
    pub(super) async fn upload(
        &self,
        component: Vec<u8>,
        signature: Option<Signature>,
    ) -> anyhow::Result<Value> {
        let mut path = format!("{}?sha256={}", self.path, self.admission.digest);
        if let Some(signature) = signature {
            path = format!("{path}&signature={signature}");
        }
        self.client.upload(&path, component).await
    }

    /// Widens what the provider may do to all that the component asks for.
    pub(super) async fn grant(&self) -> anyhow::Result<()> {
        let path = format!("{}/grant", self.path);
        let manifest: &Manifest = &self.admission.manifest;
        let before = match self.client.get(&path).await {
            Ok(mut found) => {
                if let Some(fields) = found.as_object_mut() {
                    fields.remove("id");
                }
                serde_json::from_value(found).context("read a grant")?
            }
            Err(err) if err.downcast_ref().is_some_and(Refusal::is_not_found) => Grant::default(),
            Err(err) => return Err(err),
        };
        if before.covers(manifest) {
            return Ok(());
        }
        let mut grant = serde_json::to_value(before.widened(manifest)).context("write a grant")?;
        if let Some(fields) = grant.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        self.client.put(&path, &grant).await.map(drop)
    }

    /// Puts it into a slot by `activate` or `canary`; the activation.
    pub(super) async fn put_in_service(&self, how: &str, wish: &Value) -> anyhow::Result<Value> {
        let activation = self.client.post(&format!("{}/{how}", self.path), wish).await?;
        if activation["state"] == "refused" {
            let detail = activation["detail"].as_str().unwrap_or("no worker can load it");
            bail!("the workers refuse it: {detail}");
        }
        Ok(activation)
    }

    /// What the host did with it.
    pub(super) fn sentence(&self, answer: &Value) -> String {
        let Manifest { key, version, .. } = &self.admission.manifest;
        let base = self.client.base();
        match answer["state"].as_str() {
            Some("active") => format!("{key} {version} is in service at {base}"),
            Some(_) => format!(
                "{key} {version} is about to be in service at {base}: its workers make it ready"
            ),
            None => {
                let missing = Missing::deserialize(&answer["missing"]).unwrap_or_default();
                let installed = format!("{key} {version} is installed at {base}");
                if missing.is_empty() {
                    return installed;
                }
                format!("{installed}\nit asks for more than is granted: {missing}")
            }
        }
    }
}
