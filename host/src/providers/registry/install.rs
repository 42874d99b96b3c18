//! From bytes to a component that is kept.

use super::{
    Registry,
    activate::{self, Wish},
};
use crate::{
    Clock, Error, Result,
    config::SignaturePolicy,
    providers::{
        Grant, Route,
        egress::Egress,
        signature::{self, Signature},
        transport::{CallContext, Incoming, Outgoing},
    },
    store::{
        Store, activations,
        audit_logs::{self, Actor},
        providers::{self, Artifact},
    },
};
use aiv_runtime::{
    Admission, Blame, Digest, LoadError, Runtime,
    types::{Manifest, TransportError},
};
use anyhow::Context;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// Who activates what lies in the plugin folder.
pub(super) const FOLDER: &str = "plugin-folder";

/// Most that is fetched; admission has a limit of its own.
const LARGEST: u64 = 32 << 20;
const DOWNLOAD: Duration = Duration::from_mins(1);

/// A component on its way in.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    pub component: Vec<u8>,
    /// What its digest must be.
    pub sha256: Option<String>,
    /// What its provider must be.
    pub key: Option<String>,
    pub signature: Option<Signature>,
}

/// Where uploads are checked and kept.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub store: &'a Store,
    pub runtime: &'a Runtime,
    pub clock: &'a Clock,
    pub signatures: SignaturePolicy,
}

impl Registry {
    pub fn place(&self) -> Place<'_> {
        Place {
            store: &self.0.store,
            runtime: &self.0.runtime,
            clock: &self.0.clock,
            signatures: self.0.signatures,
        }
    }

    /// Installs the components of the plugin folder that were not installed from there the last
    /// time, in the order of their names.
    ///
    /// The operator who puts a component there accepts what it asks for. A component that somebody
    /// took out of service since stays out.
    pub async fn install_folder(&self) -> anyhow::Result<()> {
        let mut conn = self.0.store.read().await?;
        let installed = activations::last_activated_by(&mut conn, FOLDER).await?;
        drop(conn);
        for file in components(&self.0.folder)? {
            let component =
                std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            if installed.iter().any(|digest| digest == Digest::of(&component).as_bytes()) {
                continue;
            }
            // One broken file must not keep the others from service.
            if let Err(err) = self.install_file(component, &file).await {
                tracing::error!("cannot install {}: {err:#}", file.display());
            }
        }
        Ok(())
    }

    /// Installs and activates a component of the plugin folder, with all that it asks for.
    pub(super) async fn install_file(
        &self,
        component: Vec<u8>,
        file: &Path,
    ) -> Result<activations::Activation> {
        let actor = Actor { workspace: None, name: FOLDER.into(), request_id: None };
        let upload = Upload { component, ..Upload::default() };
        let artifact = install(self.place(), upload, &actor).await?;
        let now = self.0.clock.now();
        let manifest: Manifest =
            serde_json::from_value(artifact.manifest.0.clone()).context("read a manifest")?;
        let mut tx = self.0.store.begin().await?;
        let old = activate::grant(&mut tx, &artifact.provider_key).await?;
        if !old.as_ref().is_some_and(|(_, grant)| grant.covers(&manifest)) {
            let grant = old.map(|(_, grant)| grant).unwrap_or_default().widened(&manifest);
            activate::save_grant(&mut tx, &artifact.provider_key, &grant, &actor, now).await?;
        }
        let wish = Wish {
            force: true,
            reason: file.display().to_string(),
            ..Wish::main(&artifact.provider_key, artifact.digest.clone())
        };
        let activation = activate::activate(&mut tx, self.0.signatures, wish, &actor, now).await?;
        tx.commit().await?;
        Ok(activation)
    }
}

/// Fetches a component from where somebody published it, through the guard of every address that
/// others name.
///
/// # Errors
/// 422 when the address may not be called, or does not answer with a component.
pub async fn download(egress: &Egress, url: Url) -> Result<Vec<u8>> {
    let request = Outgoing {
        method: http::Method::GET,
        url,
        headers: http::HeaderMap::new(),
        body: None,
        timeout: DOWNLOAD,
        max_response_bytes: LARGEST,
        named: false,
        call: CallContext { seed: 0, attempt: 1 },
    };
    match egress.send(request).await {
        Ok(Incoming { status: 200, body, .. }) => Ok(body),
        Ok(Incoming { status, .. }) => {
            let hint = if (300..400).contains(&status) {
                ": give the address that it leads to"
            } else {
                ""
            };
            Err(Error::invalid("/url", format!("answered with status {status}{hint}")))
        }
        Err(failure) if failure.error == TransportError::RefusedByPolicy => {
            Err(Error::invalid("/url", format!("cannot be called: {}", failure.reason)))
        }
        Err(failure) => Err(Error::invalid("/url", format!("cannot be fetched: {failure}"))),
    }
}

/// Checks a component and keeps it. It is not in service yet.
pub async fn install(place: Place<'_>, upload: Upload, actor: &Actor) -> Result<Artifact> {
    let Upload { component, sha256, key, signature } = upload;
    let digest = Digest::of(&component);
    if let Some(expected) = sha256
        && !expected.trim().eq_ignore_ascii_case(&digest.to_string())
    {
        let detail = format!("the component's SHA-256 is {digest}: it was altered on its way");
        return Err(Error::invalid("", detail));
    }
    let mut conn = place.store.read().await?;
    signature::check(&mut conn, place.signatures, digest, signature.as_ref()).await?;
    drop(conn);
    let Admission { size, wit_version, imports, pure, manifest, warnings, .. } =
        place.runtime.admit(&component).await.map_err(refused)?;
    if let Some(key) = key
        && key != manifest.key
    {
        let detail = format!("the component is for the provider {:?}, not {key:?}", manifest.key);
        return Err(Error::invalid("", detail));
    }
    let now = place.clock.now();
    let (signed, publisher) = signature.map(|s| (s.signature, s.public_key)).unzip();
    let artifact = Artifact {
        digest: digest.as_bytes().to_vec(),
        provider_key: manifest.key.clone(),
        version: manifest.version.clone(),
        wit_version,
        pure,
        imports: imports.into(),
        manifest: serde_json::to_value(&manifest).context("write a manifest")?.into(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        warnings: warnings.into(),
        uploaded_by: actor.name.clone(),
        signature: signed,
        publisher_key: publisher,
        quarantined_at: None,
        quarantine_reason: None,
        deleted_at: None,
        created_at: now,
    };
    let mut tx = place.store.begin().await?;
    if providers::insert_artifact(&mut tx, &artifact, &component).await? {
        let what = json!({
            "digest": digest.to_string(),
            "version": artifact.version,
            "size": artifact.size,
            "signed_by": artifact.publisher_key.as_ref().map(hex::encode),
        });
        audit_logs::note(&mut tx, actor, "provider.install", &manifest.key, what, now).await?;
    }
    let artifact = providers::find_artifact(&mut tx, &manifest.key, &artifact.digest).await?;
    tx.commit().await?;
    Ok(artifact)
}

/// What a person gets to read of a component that cannot be used.
fn refused(err: LoadError) -> Error {
    match err.blame() {
        Blame::Guest => Error::invalid("", format!("the component was refused: {err}")),
        Blame::Host | Blame::Vendor => Error::Internal(anyhow::Error::new(err)),
    }
}

/// The components of `folder` with what they ask for, without a database.
pub async fn load_folder(runtime: &Runtime, folder: &Path) -> anyhow::Result<Vec<Route>> {
    let mut routes = Vec::new();
    for file in components(folder)? {
        let component = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let plugin =
            runtime.load(&component).await.with_context(|| format!("load {}", file.display()))?;
        routes.push(Route::new(&plugin, Grant::as_requested(plugin.manifest())));
    }
    Ok(routes)
}

/// The `.wasm` files of a folder by name; none when there is no such folder.
pub(super) fn components(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        tracing::warn!("no plugin folder at {}: no component is installed", folder.display());
        return Ok(vec![]);
    }
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort();
    Ok(files)
}
