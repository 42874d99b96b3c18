//! From the database to the catalogue: which components are in service, and how others get there.
//!
//! A component is admitted and kept ([`install`]). Somebody wants it in a slot ([`activate`]):
//! every worker process loads it and says so, and when all have, the activation takes effect
//! ([`settle`]). Each process notices by the generation ([`follow`]), builds another catalogue and
//! swaps it. A component that fails again and again is taken out ([`guard`]).
//!
//! **Invariant:** the activation log is the truth. A process that missed every hint finds out
//! within seconds by itself.
//! **Invariant:** a component that does not load anywhere is never in service there: what was in
//! the slot before stays.
//! **Invariant:** a call that waits goes on with the component that made its state.

pub mod activate;
pub mod follow;
pub mod guard;
pub mod inspect;
pub mod install;
pub mod settle;
pub mod watch;

pub use self::install::load_folder;

use super::{Catalogue, Grant, Providers, Route};
use crate::{
    Clock, Result,
    config::{self, SignaturePolicy},
    store::{
        Store,
        activations::{self, InService},
        providers,
    },
};
use aiv_runtime::{Digest, Runtime};
use anyhow::Context;
use moka::future::Cache;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Components out of service that calls still wait for.
const ON_DEMAND: u64 = 16;
const ON_DEMAND_IDLE: Duration = Duration::from_mins(15);

/// Everything that puts components in service. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    store: Store,
    runtime: Arc<Runtime>,
    providers: Providers,
    clock: Clock,
    signatures: SignaturePolicy,
    folder: PathBuf,
    quarantine_after: i64,
    canary: guard::CanaryRule,
    /// The generation that is in service here.
    generation: AtomicI64,
    /// Components that are in memory on purpose.
    hot: Mutex<BTreeSet<Digest>>,
    on_demand: Cache<Digest, Arc<Route>>,
    /// One catalogue is built at a time, so that an older one never follows a newer one.
    building: tokio::sync::Mutex<()>,
    woken: Notify,
}

impl Registry {
    pub fn new(
        store: Store,
        runtime: Arc<Runtime>,
        providers: Providers,
        clock: Clock,
        settings: &config::Providers,
    ) -> Self {
        Registry(Arc::new(Inner {
            store,
            runtime,
            providers,
            clock,
            signatures: settings.signatures,
            folder: settings.plugin_dir.clone(),
            quarantine_after: settings.quarantine_after.get().into(),
            canary: guard::CanaryRule {
                calls: settings.canary_calls.get().into(),
                margin: settings.canary_margin,
            },
            generation: AtomicI64::new(0),
            hot: Mutex::default(),
            on_demand: Cache::builder()
                .max_capacity(ON_DEMAND)
                .time_to_idle(ON_DEMAND_IDLE)
                .build(),
            building: tokio::sync::Mutex::new(()),
            woken: Notify::new(),
        }))
    }

    /// The generation that is in service here.
    pub fn generation(&self) -> i64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Somebody changed something: look at once.
    pub fn wake(&self) {
        self.0.woken.notify_one();
    }

    /// Puts what the activation log says in service.
    ///
    /// # Errors
    /// When the database is away, or a component does not load: then its slot keeps what it had,
    /// and everything else is in service.
    pub async fn refresh(&self) -> Result<()> {
        let Inner { store, providers: catalogue, .. } = &*self.0;
        let _turn = self.0.building.lock().await;
        let mut conn = store.read().await?;
        let generation = activations::generation(&mut conn).await?;
        let rows = activations::in_service(&mut conn).await?;
        let spare = spares(&mut conn, &rows).await?;
        let opening = activations::preparing(&mut conn).await?;
        drop(conn);

        let before = catalogue.catalogue();
        let mut next = Catalogue::default();
        let mut failed = None;
        for row in &rows {
            match self.route(row, before.slot(row)).await {
                Ok(route) => next.put(row, route),
                Err(err) => {
                    tracing::error!(
                        provider.key = row.provider_key,
                        "cannot load its component, {}: {err:#}",
                        if before.slot(row).is_some() { "the one before stays" } else { "none" }
                    );
                    if let Some(route) = before.slot(row) {
                        next.put(row, Arc::clone(route));
                    }
                    failed = Some(err);
                }
            }
        }
        let mut hot = next.digests();
        catalogue.put_in_service(next);
        hot.extend(opening.iter().filter_map(|row| digest(row.digest.as_deref()?)));
        for digest in spare.into_iter().filter_map(|bytes| digest(&bytes)) {
            // It is no harm when it cannot be had: a rollback loads it, or says why not.
            match self.load(digest).await {
                Ok(_) => drop(hot.insert(digest)),
                Err(err) => tracing::warn!(provider.digest = %digest, "not kept ready: {err:#}"),
            }
        }
        self.keep_hot(&hot);
        if let Some(err) = failed {
            return Err(err.into());
        }
        self.0.generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// The component that made a waiting call's state; `None` when its bytes are gone.
    pub async fn route_of(&self, digest: Digest) -> Result<Option<Arc<Route>>> {
        if let Some(route) = self.0.providers.find_digest(digest) {
            return Ok(Some(route));
        }
        if let Some(route) = self.0.on_demand.get(&digest).await {
            return Ok(Some(route));
        }
        let mut conn = self.0.store.read().await?;
        let Some((key, component)) =
            providers::find_component(&mut conn, digest.as_bytes()).await?
        else {
            return Ok(None);
        };
        let Some(grant) = providers::find_grant(&mut conn, &key).await? else { return Ok(None) };
        drop(conn);
        let grant: Grant = serde_json::from_value(grant.grants.0).context("read a grant")?;
        let plugin = self.0.runtime.load(&component).await.map_err(anyhow::Error::from)?;
        let route = Arc::new(Route::new(&plugin, grant));
        if !self.hot().contains(&digest) {
            self.0.runtime.forget(&digest);
        }
        self.0.on_demand.insert(digest, Arc::clone(&route)).await;
        Ok(Some(route))
    }

    /// The route for a row; the one that the slot had when nothing about it changed.
    async fn route(
        &self,
        row: &InService,
        before: Option<&Arc<Route>>,
    ) -> anyhow::Result<Arc<Route>> {
        let grant: Grant = serde_json::from_value(row.grants.0.clone())
            .with_context(|| format!("read the grant of {}", row.provider_key))?;
        let digest = digest(&row.digest).context("a digest has 32 bytes")?;
        if let Some(route) = before
            && route.digest == digest
            && route.grant == grant
        {
            return Ok(Arc::clone(route));
        }
        let plugin = self.load(digest).await?;
        Ok(Arc::new(Route::new(&plugin, grant)))
    }

    /// Loads a component and proves that it is the one it should be.
    async fn load(&self, digest: Digest) -> anyhow::Result<Arc<aiv_runtime::Plugin>> {
        if let Some(plugin) = self.0.runtime.loaded(&digest) {
            return Ok(plugin);
        }
        let mut conn = self.0.store.read().await?;
        let (_, component) = providers::find_component(&mut conn, digest.as_bytes())
            .await?
            .with_context(|| format!("component {digest} is not in the database"))?;
        drop(conn);
        anyhow::ensure!(
            Digest::of(&component) == digest,
            "component {digest} was altered in the database"
        );
        Ok(self.0.runtime.load(&component).await?)
    }

    fn hot(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.0.hot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of components that were kept in memory and need not be any more.
    fn keep_hot(&self, hot: &BTreeSet<Digest>) {
        let before = std::mem::replace(&mut *self.hot(), hot.clone());
        for digest in before.difference(hot) {
            self.0.runtime.forget(digest);
        }
    }
}

/// What rollbacks would go back to.
async fn spares(conn: &mut crate::store::Conn, rows: &[InService]) -> Result<BTreeSet<Vec<u8>>> {
    let keys: BTreeSet<_> = rows.iter().map(|row| row.provider_key.as_str()).collect();
    let mut spares = BTreeSet::new();
    for key in keys {
        let previous = activations::previous(conn, key).await?;
        spares.extend(previous.and_then(|activation| activation.digest));
    }
    Ok(spares)
}

/// A digest as it is stored.
pub fn digest(bytes: &[u8]) -> Option<Digest> {
    <[u8; 32]>::try_from(bytes).ok().map(Digest::from)
}
