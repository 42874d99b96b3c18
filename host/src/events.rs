//! Events as listeners see them, and where those of this process wait for them.

use crate::{
    Result,
    store::{Store, events, events::Event},
};
use chrono::SecondsFormat;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, Notify};

/// How old the position of the newest event may be: so late listeners hear of what another process
/// published.
const FRESH: Duration = Duration::from_millis(500);

/// Where listeners wait for events. Cheap to clone.
///
/// However many listen, the database is asked for one number twice a second.
#[derive(Clone)]
pub struct EventFeed(Arc<Inner>);

struct Inner {
    store: Store,
    published: Notify,
    last: Mutex<Option<(i64, Instant)>>,
}

impl EventFeed {
    pub fn new(store: Store) -> Self {
        EventFeed(Arc::new(Inner { store, published: Notify::new(), last: Mutex::default() }))
    }

    /// Says that events were published in this process.
    pub async fn published(&self) {
        *self.0.last.lock().await = None;
        self.0.published.notify_waiters();
    }

    /// The position of the newest event, to within half a second.
    pub async fn last(&self) -> Result<i64> {
        // Whoever comes first asks for all.
        let mut last = self.0.last.lock().await;
        if let Some((position, at)) = *last
            && at.elapsed() < FRESH
        {
            return Ok(position);
        }
        let mut conn = self.0.store.read().await?;
        let position = events::last_position(&mut conn).await?;
        *last = Some((position, Instant::now()));
        Ok(position)
    }

    /// Waits until there is an event behind `position`; returns the position of the newest.
    pub async fn beyond(&self, position: i64) -> Result<i64> {
        loop {
            let published = self.0.published.notified();
            let last = self.last().await?;
            if last > position {
                return Ok(last);
            }
            tokio::select! {
                () = published => {}
                () = tokio::time::sleep(FRESH) => {}
            }
        }
    }
}

/// An event as streams and webhooks tell it.
pub fn document(event: &Event) -> serde_json::Value {
    json!({
        "id": event.id,
        "type": event.kind.as_str(),
        "timestamp": event.created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "workspace_id": event.workspace_id,
        "data": event.data.0,
    })
}
