use super::{Outcome, Queue, QueueSpec};
use crate::{
    Clock, Result,
    ids::{JobId, ProcessId, WorkspaceId},
    store::{Store, jobs::Claimed},
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::collections::HashMap;

/// Brings jobs to a worker.
///
/// **Invariant:** what [`Dispatcher::take`] returns is the worker's: claimed in the table, under
/// a lease. What a broker merely delivered is not.
pub trait Dispatcher: Send + Sync {
    /// Takes jobs for the free slots; returns at once, maybe with none.
    fn take<'a>(&'a mut self, room: &'a Room) -> BoxFuture<'a, Result<Taken>>;

    /// Resolves when there may be something to take. May be dropped at any time.
    fn ready(&mut self) -> BoxFuture<'_, ()>;

    /// Learns how jobs ended; the table knows already.
    fn settle(&mut self, ended: &[Settled]);

    /// Takes no more, and gives back what was delivered and not taken.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

/// Where a dispatcher works, and for whom.
#[derive(Clone)]
pub struct Place {
    pub store: Store,
    pub clock: Clock,
    pub queue: Queue,
    /// What claims are signed with.
    pub owner: ProcessId,
}

/// What a look brought.
#[derive(Debug, Default)]
pub struct Taken {
    pub jobs: Vec<Claimed>,
    /// When the next job is due or may start, as far as that is known.
    pub next_at: Option<DateTime<Utc>>,
}

/// A job that ended.
#[derive(Debug, Clone)]
pub struct Settled {
    pub id: JobId,
    pub epoch: i64,
    pub queue: &'static str,
    pub lane: String,
    pub workspace: WorkspaceId,
    pub outcome: Outcome,
}

/// The slots of a worker, and who has them.
#[derive(Debug, Default)]
pub struct Room {
    specs: Vec<QueueSpec>,
    busy: HashMap<(&'static str, String), HashMap<WorkspaceId, usize>>,
}

impl Room {
    pub fn new(specs: Vec<QueueSpec>) -> Self {
        Room { specs, busy: HashMap::new() }
    }

    pub fn specs(&self) -> &[QueueSpec] {
        &self.specs
    }

    /// Free slots of a queue.
    pub fn free(&self, spec: QueueSpec) -> usize {
        let lanes = self.busy.iter().filter(|((queue, _), _)| *queue == spec.name);
        let busy: usize = lanes.flat_map(|(_, workspaces)| workspaces.values()).sum();
        spec.concurrency.saturating_sub(busy)
    }

    /// Slots that a lane has, by workspace.
    pub fn busy(&self, spec: QueueSpec, lane: &str) -> HashMap<WorkspaceId, usize> {
        self.busy.get(&(spec.name, lane.to_owned())).cloned().unwrap_or_default()
    }

    pub(super) fn spec(&self, queue: &str) -> Option<QueueSpec> {
        self.specs.iter().copied().find(|spec| spec.name == queue)
    }

    pub(super) fn start(&mut self, spec: QueueSpec, lane: &str, workspace: WorkspaceId) {
        let lane = self.busy.entry((spec.name, lane.to_owned())).or_default();
        *lane.entry(workspace).or_default() += 1;
    }

    pub(super) fn end(&mut self, queue: &'static str, lane: &str, workspace: WorkspaceId) {
        let key = (queue, lane.to_owned());
        let Some(workspaces) = self.busy.get_mut(&key) else { return };
        if let Some(busy) = workspaces.get_mut(&workspace) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                workspaces.remove(&workspace);
            }
        }
        if workspaces.is_empty() {
            self.busy.remove(&key);
        }
    }
}
