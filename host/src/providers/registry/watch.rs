//! The plugin folder of a developer: what lies there is in service.

use super::{
    Registry, activate,
    install::{FOLDER, components},
};
use crate::{
    Result,
    store::{activations, audit_logs::Actor},
};
use aiv_runtime::Digest;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A file as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    written: Option<SystemTime>,
    size: u64,
    digest: Digest,
}

/// What a developer's folder held at the last look.
#[derive(Debug, Default)]
pub struct Folder(BTreeMap<PathBuf, Seen>);

impl Registry {
    /// Watches the plugin folder until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        tracing::info!("watching {}", self.0.folder.display());
        let mut folder = Folder::default();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            if let Err(err) = self.look(&mut folder).await {
                tracing::warn!("cannot look at {}: {err:#}", self.0.folder.display());
            }
        }
    }

    /// Looks once: what is new or changed is put in service, what is gone gives way to the one
    /// before.
    pub async fn look(&self, folder: &mut Folder) -> anyhow::Result<()> {
        let mut there = BTreeMap::new();
        for path in components(&self.0.folder)? {
            // It may be gone again by now.
            let Ok(known) = std::fs::metadata(&path) else { continue };
            let (written, size) = (known.modified().ok(), known.len());
            if let Some(seen) = folder.0.get(&path)
                && (seen.written, seen.size) == (written, size)
            {
                there.insert(path, seen.clone());
                continue;
            }
            let Ok(component) = std::fs::read(&path) else { continue };
            let digest = Digest::of(&component);
            there.insert(path.clone(), Seen { written, size, digest });
            if let Err(err) = self.appeared(component, digest, &path).await {
                tracing::error!("{} is not in service: {err}", path.display());
            }
        }
        let gone: Vec<_> = folder
            .0
            .iter()
            .filter(|(path, _)| !there.contains_key(*path))
            .map(|(path, seen)| (path.clone(), seen.digest))
            .collect();
        folder.0 = there;
        for (path, digest) in gone {
            if !folder.0.values().any(|seen| seen.digest == digest) {
                self.disappeared(&path, digest).await?;
            }
        }
        Ok(())
    }

    async fn appeared(&self, component: Vec<u8>, digest: Digest, path: &Path) -> Result<()> {
        let mut conn = self.0.store.read().await?;
        let slots = activations::current(&mut conn, None).await?;
        drop(conn);
        let serves = |slot: &activations::Activation| {
            slot.slot == "main" && slot.digest.as_deref() == Some(digest.as_bytes())
        };
        if slots.iter().any(serves) {
            return Ok(());
        }
        let activation = self.install_file(component, path).await?;
        self.wake();
        self.settled(activation.id, Duration::from_mins(1)).await?;
        self.refresh().await?;
        tracing::info!(provider.key = activation.provider_key, "{} is in service", path.display());
        Ok(())
    }

    async fn disappeared(&self, path: &Path, digest: Digest) -> Result<()> {
        let now = self.0.clock.now();
        let actor = Actor { workspace: None, name: FOLDER.into(), request_id: None };
        let reason = format!("{} is gone", path.display());
        let mut tx = self.0.store.begin().await?;
        let generation = activations::next_generation(&mut tx).await?;
        let slots = activations::current(&mut tx, None).await?;
        let held = slots.into_iter().find(|slot| {
            slot.slot == "main"
                && slot.activated_by == FOLDER
                && slot.digest.as_deref() == Some(digest.as_bytes())
        });
        let Some(held) = held else { return Ok(()) };
        let key = held.provider_key.clone();
        let back = activate::restore(&mut tx, &key, generation, &reason, &actor, now).await?;
        let outcome = match back {
            Some(activation) => activation,
            None => activate::empty(&mut tx, &held, generation, &actor, &reason, now).await?,
        };
        tx.commit().await?;
        self.wake();
        self.settled(outcome.id, Duration::from_mins(1)).await?;
        self.refresh().await
    }
}
