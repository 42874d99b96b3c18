//! How a process keeps up with the registry.

use super::{Registry, digest};
use crate::{
    Result,
    ids::ProcessId,
    store::{
        activations::{self, Activation, Readiness},
        hints,
    },
};
use aiv_runtime::Digest;
use rand::Rng;
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a process that hears nothing waits before it looks by itself: so long at least, and at
/// most twice that, so that processes do not all look at once.
const LOOK: Duration = Duration::from_secs(5);

impl Registry {
    /// Keeps this process up with the registry until `stop`. The process must have said that it
    /// lives.
    pub async fn follow(self, process: ProcessId, stop: CancellationToken) {
        let mut served = None;
        loop {
            match self.catch_up(process, served).await {
                Ok(generation) => served = Some(generation),
                Err(err) => tracing::warn!("cannot keep up with the registry: {err:#}"),
            }
            let pause = LOOK.mul_f64(rand::rng().random_range(1.0..2.0));
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.woken.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks once; returns the generation that is in service and said to be.
    pub async fn catch_up(&self, process: ProcessId, served: Option<i64>) -> Result<i64> {
        let mut conn = self.0.store.read().await?;
        let newest = activations::generation(&mut conn).await?;
        drop(conn);
        // Said before what is in service is built: a swap must not wait for it.
        let refreshed = if newest == self.generation() { Ok(()) } else { self.refresh().await };
        self.prepare(process).await?;
        if self.settle().await? {
            self.refresh().await?;
        }
        refreshed?;
        let generation = self.generation();
        if served != Some(generation) {
            let mut tx = self.0.store.begin().await?;
            activations::serves_generation(&mut tx, process, generation).await?;
            tx.commit().await?;
        }
        Ok(generation)
    }

    /// Loads what is about to be in service, and says which components are ready here.
    async fn prepare(&self, process: ProcessId) -> Result<()> {
        let mut conn = self.0.store.read().await?;
        let open = activations::preparing(&mut conn).await?;
        let said = activations::readiness(&mut conn).await?;
        drop(conn);
        let said: BTreeMap<Digest, &Readiness> = said
            .iter()
            .filter(|row| row.process_id == process)
            .filter_map(|row| Some((digest(&row.digest)?, row)))
            .collect();
        let asked: BTreeMap<Digest, &Activation> =
            open.iter().filter_map(|row| Some((digest(row.digest.as_deref()?)?, row))).collect();

        let mut words = Vec::new();
        for (wanted, activation) in &asked {
            let answered = said
                .get(wanted)
                .is_some_and(|word| word.ready || word.updated_at >= activation.created_at);
            if answered && self.0.runtime.loaded(wanted).is_some() {
                continue;
            }
            let loaded = self.load(*wanted).await;
            if loaded.is_ok() {
                self.hot().insert(*wanted);
            }
            words.push(self.word(process, *wanted, loaded.err().map(|err| format!("{err:#}"))));
        }
        // What is hot for another reason makes the next activation of it immediate.
        let hot = self.hot().clone();
        for ready in &hot {
            let told = said.get(ready).is_some_and(|word| word.ready);
            if !told && !asked.contains_key(ready) && self.0.runtime.loaded(ready).is_some() {
                words.push(self.word(process, *ready, None));
            }
        }
        let cold: Vec<_> = said
            .keys()
            .filter(|digest| !hot.contains(digest) && !asked.contains_key(digest))
            .collect();
        if words.is_empty() && cold.is_empty() {
            return Ok(());
        }
        let mut tx = self.0.store.begin().await?;
        activations::save_readiness(&mut tx, &words).await?;
        for digest in cold {
            activations::forget_readiness(&mut tx, process, digest.as_bytes()).await?;
        }
        if !asked.is_empty() {
            hints::providers(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    fn word(&self, process: ProcessId, digest: Digest, error: Option<String>) -> Readiness {
        Readiness {
            process_id: process,
            digest: digest.as_bytes().to_vec(),
            ready: error.is_none(),
            error,
            updated_at: self.0.clock.now(),
        }
    }
}
