use crate::ids::WorkspaceId;
use aiv_runtime::types::Surface;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// When a run may be called: how many of an engine at once, and how many in a second.
#[derive(Default)]
pub(super) struct Permits {
    places: Mutex<HashMap<(WorkspaceId, String), Places>>,
    /// By provider and surface: all workspaces share the vendor's patience.
    rates: Mutex<HashMap<(String, String), Arc<DefaultDirectRateLimiter>>>,
}

/// The places of an engine.
struct Places {
    limit: usize,
    free: Arc<Semaphore>,
}

impl Places {
    fn new(limit: usize) -> Self {
        Places { limit, free: Arc::new(Semaphore::new(limit)) }
    }
}

impl Permits {
    /// Waits for a place among `limit`; it is free again when the permit is dropped.
    pub(super) async fn acquire(
        &self,
        workspace: WorkspaceId,
        engine: &str,
        limit: usize,
    ) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut engines = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let places =
                engines.entry((workspace, engine.to_owned())).or_insert_with(|| Places::new(limit));
            // A changed limit holds for the runs that come after.
            if places.limit != limit {
                *places = Places::new(limit);
            }
            Arc::clone(&places.free)
        };
        places.acquire_owned().await.ok()
    }

    /// Waits until the vendor of `surface` takes another request, by the rate that its component
    /// states.
    pub(super) async fn turn(&self, provider: &str, surface: &Surface) {
        let Some(quota) = quota(surface) else { return };
        let rate = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (provider.to_owned(), surface.id.clone());
            Arc::clone(rates.entry(key).or_insert_with(|| Arc::new(RateLimiter::direct(quota))))
        };
        rate.until_ready().await;
    }
}

/// `None` when the component states no rate.
fn quota(surface: &Surface) -> Option<Quota> {
    let period = Duration::try_from_secs_f64(surface.requests_per_second.recip()).ok()?;
    let burst = NonZeroU32::new(surface.burst.max(1))?;
    Some(Quota::with_period(period)?.allow_burst(burst))
}
