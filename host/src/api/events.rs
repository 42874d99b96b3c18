use super::{Caller, Problem, Tag, stream, stream::EventStream};
use crate::{
    App, Error, Result,
    ids::{EventId, WorkspaceId},
    store::events,
    telemetry::metrics::StreamOpen,
};
use futures_util::StreamExt;
use poem_openapi::{
    OpenApi,
    param::{Header, Query},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A silent stream says this often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream ends after this time, and its caller proves again who it is.
const LONGEST: Duration = Duration::from_mins(15);
/// Streams of one workspace in this process.
const MOST: usize = 100;
/// Events read at once.
const PAGE: i64 = 100;

pub(super) struct Api {
    pub(super) app: App,
    /// Ends the streams.
    pub(super) stop: CancellationToken,
    pub(super) open: Arc<Open>,
}

/// How many streams each workspace has open.
#[derive(Default)]
pub(super) struct Open(Mutex<HashMap<WorkspaceId, usize>>);

#[OpenApi(tag = "Tag::Events")]
impl Api {
    /// Stream events
    ///
    /// What happens in the workspace, as server-sent events: the same that webhooks tell of. It
    /// begins with what happens from now on or, with `Last-Event-ID`, with what followed that
    /// event; events are kept for 30 days. Every 15 minutes the stream ends: connect again with the
    /// id of the last event. Browsers, whose `EventSource` cannot send a key, take a ticket first
    /// (`POST /v1/stream-tickets`).
    #[oai(path = "/events", method = "get", operation_id = "stream_events")]
    async fn stream(
        &self,
        caller: Caller,
        /// Id of the last event that you have.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// The same, for those who cannot send a header.
        #[oai(name = "last_event_id")]
        after: Query<Option<String>>,
        /// A ticket, instead of a key.
        #[expect(unused_variables, reason = "read where callers are let in")]
        ticket: Query<Option<String>>,
    ) -> Result<EventStream, Problem> {
        let after = last_event_id.0.or(after.0).filter(|id| !id.is_empty());
        let seat = self.open.clone().take(caller.workspace)?;
        let position = match after {
            None => self.app.events.last().await?,
            Some(id) => self.position(caller.workspace, &id).await?,
        };
        let tail = Tail {
            app: self.app.clone(),
            workspace: caller.workspace,
            sent: position,
            looked: position,
            ready: VecDeque::from(["retry: 2000\n: connected\n\n".to_owned()]),
            end: Instant::now() + LONGEST,
            stop: self.stop.clone(),
            _seat: seat,
            _open: StreamOpen::begin(),
        };
        let chunks = futures_util::stream::unfold(tail, |mut tail| async move {
            tail.next().await.map(|chunk| (chunk, tail))
        });
        Ok(EventStream(chunks.boxed()))
    }
}

impl Api {
    async fn position(&self, workspace: WorkspaceId, id: &str) -> Result<i64> {
        let mut conn = self.app.store.read().await?;
        let known = match id.parse::<EventId>() {
            Ok(id) => events::position(&mut conn, workspace, id).await?,
            Err(_) => None,
        };
        known.ok_or_else(|| {
            Error::Malformed(
                "`Last-Event-ID` names no event of the last 30 days: start without it".into(),
            )
        })
    }
}

/// A listener's place in the events of its workspace.
struct Tail {
    app: App,
    workspace: WorkspaceId,
    /// Up to here it was told.
    sent: i64,
    /// Up to here there is nothing more for it.
    looked: i64,
    ready: VecDeque<String>,
    end: Instant,
    stop: CancellationToken,
    _seat: Seat,
    _open: StreamOpen,
}

impl Tail {
    /// What to send next; `None` ends the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            let quiet = Instant::now() + HEARTBEAT;
            let feed = self.app.events.clone();
            let last = tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.end) => return None,
                () = tokio::time::sleep_until(quiet) => return Some(": still here\n\n".into()),
                last = feed.beyond(self.looked) => last,
            };
            // A database that is away ends the stream; the listener comes back with its place.
            let read = match last {
                Ok(last) => self.read(last).await,
                Err(error) => Err(error),
            };
            if let Err(error) = read {
                tracing::warn!("a stream of events ends: {error:#}");
                return None;
            }
        }
    }

    /// Reads a page of what there is up to the position `last`.
    async fn read(&mut self, last: i64) -> Result<()> {
        let mut conn = self.app.store.read().await?;
        let page = events::list(&mut conn, self.workspace, self.sent, PAGE).await?;
        let whole = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        for event in &page {
            self.sent = event.position.unwrap_or(self.sent);
            self.ready.push_back(stream::frame(
                &event.id.to_string(),
                event.kind.as_str(),
                &crate::events::document(event).to_string(),
            ));
        }
        self.looked = if whole { last.max(self.sent) } else { self.sent };
        Ok(())
    }
}

/// One open stream of a workspace; given back when it is dropped.
struct Seat {
    open: Arc<Open>,
    workspace: WorkspaceId,
}

impl Open {
    fn take(self: Arc<Self>, workspace: WorkspaceId) -> Result<Seat, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(workspace).or_default();
        if *count >= MOST {
            return Err(Problem::too_many(HEARTBEAT));
        }
        *count += 1;
        drop(open);
        Ok(Seat { open: self, workspace })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.workspace);
            }
        }
    }
}
