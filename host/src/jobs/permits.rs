use crate::ids::WorkspaceId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many runs of an engine are called at once. How many in a second is the lane's business.
#[derive(Default)]
pub(super) struct Permits {
    places: Mutex<HashMap<(WorkspaceId, String), Places>>,
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
}
