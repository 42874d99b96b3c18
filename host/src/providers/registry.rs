//! From the database to the catalogue: which component of each provider is in service.
//!
//! **Invariant:** the activation log is the truth. The plugin folder only adds to it, at start.

use super::{Grant, Providers, Route};
use crate::{
    Clock,
    store::{
        Store,
        providers::{self, Artifact},
    },
    telemetry::metrics,
};
use aiv_runtime::{Digest, Runtime};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Who activates what lies in the plugin folder.
const FOLDER: &str = "plugin-folder";

/// Installs the components of `folder` that were not installed from there the last time, in the
/// order of their names.
///
/// The operator who puts a component there accepts what it asks for. A component that somebody
/// took out of service since stays out.
pub async fn install_folder(
    store: &Store,
    runtime: &Runtime,
    clock: &Clock,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut conn = store.read().await?;
    let installed = providers::last_activated_by(&mut conn, FOLDER).await?;
    drop(conn);
    for file in components(folder)? {
        let component = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        if installed.iter().any(|digest| digest == Digest::of(&component).as_bytes()) {
            continue;
        }
        let place = file.display().to_string();
        // One broken file must not keep the others from service.
        if let Err(err) = install(store, runtime, clock, component, FOLDER, &place).await {
            tracing::error!("cannot install {place}: {err:#}");
        }
    }
    Ok(())
}

/// Checks a component, keeps it and puts it in service with what it asks for.
pub async fn install(
    store: &Store,
    runtime: &Runtime,
    clock: &Clock,
    component: Vec<u8>,
    by: &str,
    reason: &str,
) -> anyhow::Result<()> {
    let admission = runtime.admit(&component).await?;
    let key = admission.manifest.key.clone();
    let now = clock.now();
    let grant = serde_json::to_value(Grant::as_requested(&admission.manifest))?;
    let artifact = Artifact {
        digest: admission.digest.as_bytes().to_vec(),
        provider_key: key.clone(),
        version: admission.manifest.version.clone(),
        wit_version: admission.wit_version,
        pure: admission.pure,
        imports: admission.imports.into(),
        manifest: serde_json::to_value(&admission.manifest)?.into(),
        component,
        created_at: now,
    };
    let mut tx = store.begin().await?;
    providers::insert_artifact(&mut tx, &artifact).await?;
    let grant = providers::insert_grant(&mut tx, &key, &grant, by, now).await?;
    providers::activate(&mut tx, &key, &artifact.digest, grant, by, reason, now).await?;
    tx.commit().await?;
    metrics::plugin_swap(&key, "activated");
    Ok(())
}

/// Puts what the activation log says in service. A component that does not load is left out and
/// the rest goes on.
pub async fn load(store: &Store, runtime: &Runtime, catalogue: &Providers) -> anyhow::Result<()> {
    let mut conn = store.read().await?;
    let mut routes = Vec::new();
    for active in providers::active(&mut conn).await? {
        let key = &active.provider_key;
        let component = providers::find_component(&mut conn, &active.digest)
            .await?
            .with_context(|| format!("the component of {key} is not in the database"))?;
        let grant: Grant = serde_json::from_value(active.grants.0)
            .with_context(|| format!("read the grant of {key}"))?;
        match runtime.load(&component).await {
            Ok(plugin) => routes.push(Route::new(&plugin, grant)),
            Err(err) => tracing::error!(provider.name = key, "cannot load its component: {err}"),
        }
    }
    catalogue.replace(routes);
    Ok(())
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
fn components(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
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
