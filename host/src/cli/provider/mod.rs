//! `aiv provider …`: components in service, and how they get there.

use super::operator::Operator;
use crate::{
    Clock, Error, app,
    config::Config,
    ids::{RunId, WorkspaceId},
    jobs,
    providers::{
        Grant,
        egress::Egress,
        registry::{
            activate::{self, Slot, Wish},
            inspect,
            install::{self, Place, Upload},
        },
        signature,
    },
    store::{
        activations::{self, Activation, WHOLE},
        audit_logs,
        providers::{self, Artifact},
        publisher_keys::{self, PublisherKey},
    },
};
use anyhow::{Context, bail};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use url::Url;

mod show;

/// How long an activation is waited for: as long as workers may take.
const PATIENCE: Duration = Duration::from_secs(130);

#[derive(Debug, clap::Subcommand)]
pub(super) enum ProviderCommand {
    /// Show every component that is kept, and what is in service.
    List,
    /// Show all about a provider: components, grant, history, processes.
    Inspect { provider: String },
    /// Check a component like an upload and keep it.
    Install(Install),
    /// Let a provider do all that a component asks for, or show what it may do.
    Grant {
        provider: String,
        /// A version, or the beginning of a SHA-256.
        #[arg(long, value_name = "COMPONENT")]
        as_requested: Option<String>,
    },
    /// Put a component in service.
    Activate(Activate),
    /// Try a component on a share of the runs.
    Canary {
        #[command(flatten)]
        activate: Activate,
        /// Share of the runs in percent.
        #[arg(long, default_value = "5")]
        percent: f64,
    },
    /// End the canary, or put the component before in service.
    Rollback {
        provider: String,
        /// For the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Take a provider out of service, or a workspace's pin away.
    Disable {
        provider: String,
        /// Only what is pinned for this workspace.
        #[arg(long)]
        workspace: Option<WorkspaceId>,
        /// For the log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show what components said and how they failed.
    Logs(Logs),
    /// Write what a run asked and was answered as a case for `aiv plugin test`.
    Case {
        run: RunId,
        /// Where to write the folder of the case.
        #[arg(long, value_name = "DIR", default_value = "cases")]
        cases: PathBuf,
    },
    /// Remove the bytes of components that nothing needs any more.
    Prune { provider: String },
    /// Trust the Ed25519 key of a publisher, in hexadecimal.
    Trust { name: String, public_key: String },
    /// Trust the key of a publisher no longer.
    Revoke { public_key: String },
}

#[derive(Debug, clap::Args)]
pub(super) struct Install {
    /// The component, a `.wasm` file.
    #[arg(required_unless_present = "url", conflicts_with = "url")]
    component: Option<PathBuf>,
    /// Where to fetch it from, over https.
    #[arg(long, requires = "sha256")]
    url: Option<Url>,
    /// What its SHA-256 must be.
    #[arg(long)]
    sha256: Option<String>,
    /// The publisher's signature: `ed25519:<public key>:<signature>`.
    #[arg(long)]
    signature: Option<String>,
    /// Grant all that it asks for.
    #[arg(long)]
    grant: bool,
    /// Put it in service for everybody.
    #[arg(long)]
    activate: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Activate {
    provider: String,
    /// A version, or the beginning of a SHA-256.
    component: String,
    /// Only for this workspace.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// Also when it is older than what is in service, or quarantined, which this ends.
    #[arg(long)]
    force: bool,
    /// For the log.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    provider: String,
    /// Only of this component: a version, or the beginning of a SHA-256.
    #[arg(long)]
    component: Option<String>,
    /// Only of this run.
    #[arg(long)]
    run: Option<RunId>,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

impl ProviderCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        let operator = Operator::open(&config, json).await?;
        let (actor, now) = (&operator.actor, operator.now);
        match self {
            Self::List => show::list(&operator).await?,
            Self::Inspect { provider } => {
                let mut conn = operator.store.read().await?;
                let found = inspect::inspect(&mut conn, &provider, now).await?;
                drop(conn);
                show::inspection(&operator, &found)?;
            }
            Self::Install(install) => install.run(&operator, &config).await?,
            Self::Grant { provider, as_requested } => {
                grant(&operator, &provider, as_requested.as_deref()).await?;
            }
            Self::Activate(activate) => {
                let slot = activate.workspace.map_or(Slot::Main, Slot::Pin);
                activate.run(&operator, &config, slot).await?;
            }
            Self::Canary { activate, percent } => {
                #[expect(clippy::cast_possible_truncation, reason = "checked by `activate`")]
                #[expect(clippy::cast_precision_loss, reason = "a thousand")]
                let weight = (percent / 100.0 * WHOLE as f64).round() as i64;
                activate.run(&operator, &config, Slot::Canary(weight)).await?;
            }
            Self::Rollback { provider, reason } => {
                let mut tx = operator.begin().await?;
                let done = activate::rollback(&mut tx, &provider, &reason, actor, now).await?;
                tx.commit().await?;
                show::activation(&operator, &settled(&operator, done).await?)?;
            }
            Self::Disable { provider, workspace, reason } => {
                let mut tx = operator.begin().await?;
                let emptied =
                    activate::disable(&mut tx, &provider, workspace, &reason, actor, now).await?;
                tx.commit().await?;
                let sentence = format!("{provider}: {} slots emptied", emptied.len());
                operator.say(&sentence, &json!(emptied))?;
            }
            Self::Logs(logs) => logs.run(&operator).await?,
            Self::Case { run, cases } => case(&operator, run, &cases).await?,
            Self::Prune { provider } => {
                let mut tx = operator.begin().await?;
                let gone = activate::delete_unused(&mut tx, &provider, None, actor, now).await?;
                tx.commit().await?;
                let digests: Vec<_> = gone.iter().map(hex::encode).collect();
                let sentence = format!("{} components of {provider} removed", digests.len());
                operator.say(&sentence, &json!({"digests": digests}))?;
            }
            Self::Trust { name, public_key } => trust(&operator, name, &public_key).await?,
            Self::Revoke { public_key } => {
                let key = signature::public_key(&public_key)?;
                let mut tx = operator.begin().await?;
                publisher_keys::revoke(&mut tx, &key, now).await?;
                let action = "publisher_key.revoke";
                audit_logs::note(&mut tx, actor, action, &public_key, json!({}), now).await?;
                tx.commit().await?;
                let facts = json!({"public_key": public_key, "revoked": true});
                operator.say(&format!("{public_key} is trusted no longer"), &facts)?;
            }
        }
        operator.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

impl Install {
    async fn run(self, operator: &Operator, config: &Config) -> anyhow::Result<()> {
        let Install { component, url, sha256, signature, grant, activate } = self;
        let (bytes, from) = match (component, url) {
            (_, Some(url)) => {
                // What follows the path may be a secret, and the reason of an activation is kept.
                let from = format!("{}{}", url.origin().ascii_serialization(), url.path());
                (install::download(&Egress::guarded()?, url).await?, from)
            }
            (Some(component), None) => {
                let from = component.display().to_string();
                (std::fs::read(&component).with_context(|| format!("read {from}"))?, from)
            }
            (None, None) => bail!("name a component, or its --url"),
        };
        let runtime = app::runtime(config)?;
        let clock = Clock::default();
        clock.follow(Some(operator.now));
        let signatures = config.providers.signatures;
        let place = Place { store: &operator.store, runtime: &runtime, clock: &clock, signatures };
        let upload = Upload {
            component: bytes,
            sha256,
            key: None,
            signature: signature.as_deref().map(str::parse).transpose()?,
        };
        let artifact = install::install(place, upload, &operator.actor).await?;
        if grant {
            widen(operator, &artifact).await?;
        }
        if activate {
            let wish = Wish {
                reason: format!("installed from {from}"),
                ..Wish::main(&artifact.provider_key, artifact.digest.clone())
            };
            return put_in_service(operator, config, wish).await;
        }
        let mut conn = operator.store.read().await?;
        let missing = activate::missing(&mut conn, &artifact).await?;
        let (key, version) = (&artifact.provider_key, &artifact.version);
        let digest = hex::encode(&artifact.digest);
        let asks = if missing.is_empty() {
            String::new()
        } else {
            format!("\nit asks for more than is granted: {missing}")
        };
        let sentence = format!("{key} {version} is installed: {digest}{asks}");
        let facts = json!({
            "provider": key, "version": version, "digest": digest, "missing": missing,
        });
        operator.say(&sentence, &facts)
    }
}

impl Activate {
    async fn run(self, operator: &Operator, config: &Config, slot: Slot) -> anyhow::Result<()> {
        let Activate { provider, component, workspace: _, force, reason } = self;
        let artifact = find(operator, &provider, &component).await?;
        let wish = Wish { provider: &provider, digest: artifact.digest, slot, reason, force };
        put_in_service(operator, config, wish).await
    }
}

impl Logs {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Logs { provider, component, run, limit } = self;
        let digest = match component {
            Some(name) => Some(find(operator, &provider, &name).await?.digest),
            None => None,
        };
        show::logs(operator, &provider, digest.as_deref(), run, limit).await
    }
}

async fn put_in_service(
    operator: &Operator,
    config: &Config,
    wish: Wish<'_>,
) -> anyhow::Result<()> {
    let policy = config.providers.signatures;
    let mut tx = operator.begin().await?;
    let activation =
        activate::activate(&mut tx, policy, wish, &operator.actor, operator.now).await?;
    tx.commit().await?;
    show::activation(operator, &settled(operator, activation).await?)
}

/// Waits until the workers have the component ready.
async fn settled(operator: &Operator, activation: Activation) -> anyhow::Result<Activation> {
    let started = tokio::time::Instant::now();
    let mut found = activation;
    while found.state == "preparing" {
        if started.elapsed() > PATIENCE {
            bail!("the workers are not ready: `aiv provider inspect {}`", found.provider_key);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut conn = operator.store.read().await?;
        found = activations::find(&mut conn, found.id).await?;
    }
    if found.state != "active" {
        bail!("{}: {}", found.state, found.detail.unwrap_or_default());
    }
    Ok(found)
}

/// The component of this version, or whose SHA-256 begins so.
async fn find(operator: &Operator, provider: &str, name: &str) -> anyhow::Result<Artifact> {
    let mut conn = operator.store.read().await?;
    let all = providers::list_artifacts(&mut conn, Some(provider)).await?;
    if all.is_empty() {
        return Err(Error::NotFound("provider").into());
    }
    let is_meant = |artifact: &Artifact| {
        artifact.version == name
            || name.len() >= 6 && hex::encode(&artifact.digest).starts_with(name)
    };
    let mut found = all.into_iter().filter(is_meant);
    let first = found.next().with_context(|| format!("{provider} has no component {name}"))?;
    anyhow::ensure!(
        found.next().is_none(),
        "{provider} has several components {name}: give the beginning of the SHA-256"
    );
    Ok(first)
}

async fn grant(
    operator: &Operator,
    provider: &str,
    as_requested: Option<&str>,
) -> anyhow::Result<()> {
    if let Some(name) = as_requested {
        let artifact = find(operator, provider, name).await?;
        widen(operator, &artifact).await?;
    }
    let mut conn = operator.store.read().await?;
    let (id, grant) =
        activate::grant(&mut conn, provider).await?.ok_or(Error::NotFound("grant"))?;
    drop(conn);
    show::grant(operator, provider, id, &grant)
}

/// Grants a provider what a component asks for beyond its grant.
async fn widen(operator: &Operator, artifact: &Artifact) -> anyhow::Result<()> {
    let manifest =
        serde_json::from_value(artifact.manifest.0.clone()).context("read a manifest")?;
    let mut tx = operator.begin().await?;
    let old = activate::grant(&mut tx, &artifact.provider_key).await?;
    let old = old.map(|(_, grant)| grant);
    if !old.as_ref().is_some_and(|grant: &Grant| grant.covers(&manifest)) {
        let new = old.unwrap_or_default().widened(&manifest);
        let key = &artifact.provider_key;
        activate::save_grant(&mut tx, key, &new, &operator.actor, operator.now).await?;
    }
    Ok(tx.commit().await?)
}

async fn case(operator: &Operator, run: RunId, cases: &Path) -> anyhow::Result<()> {
    let mut conn = operator.store.read().await?;
    let recording = jobs::run_case(&mut conn, run).await?;
    drop(conn);
    let folder = cases.join(format!("run-{run}"));
    recording.write(&folder)?;
    let facts = json!({ "case": folder, "expect": recording.case["expect"] });
    operator.say(&format!("{} is written", folder.display()), &facts)
}

async fn trust(operator: &Operator, name: String, public_key: &str) -> anyhow::Result<()> {
    let row = PublisherKey {
        public_key: signature::public_key(public_key)?,
        name,
        added_by: operator.actor.name.clone(),
        created_at: operator.now,
        revoked_at: None,
    };
    let mut tx = operator.begin().await?;
    publisher_keys::save(&mut tx, &row).await?;
    let what = json!({"name": row.name});
    let action = "publisher_key.save";
    audit_logs::note(&mut tx, &operator.actor, action, public_key, what, operator.now).await?;
    tx.commit().await?;
    let facts = json!({"name": row.name, "public_key": public_key});
    operator.say(&format!("components signed by {} are trusted", row.name), &facts)
}
