//! The queue: jobs wait in the `jobs` table, dispatchers hand them to workers, workers do them.
//!
//! A job is written in the transaction of its cause, so that neither is ever without the other.
//! Without Redis, [`SqlDispatcher`] claims from the table. With it, [`BullDispatcher`] takes what
//! BullMQ queues deliver, and the table still decides who has a job.
//!
//! **Invariant:** the table is the truth. A dispatcher that forgets, repeats or dies costs time,
//! never a job and never a second try beside the first.
//! **Invariant:** the queue knows no job by name; [`Handlers`] does.

use crate::{
    Result,
    store::{
        Conn, Store, hints,
        jobs::{self, Claimed, JobEnd, NewJob},
        lanes,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

mod bull;
mod dispatcher;
mod limits;
mod presence;
pub mod rate;
mod shares;
mod sql;
mod task;
mod worker;

pub use self::{
    bull::{BullConfig, BullDispatcher, Relay},
    dispatcher::{Dispatcher, Place, Room, Settled, Taken},
    presence::{Presence, ProcessRole},
    rate::Rate,
    sql::SqlDispatcher,
    worker::{Worker, WorkerConfig},
};

/// Where work is put. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    wake: Arc<Notify>,
    relay: Arc<Notify>,
    /// Lower the rate of a lane whose vendor refuses calls.
    auto_throttle: bool,
}

impl Queue {
    pub fn new(auto_throttle: bool) -> Self {
        Queue { wake: Arc::default(), relay: Arc::default(), auto_throttle }
    }

    /// Adds jobs in the caller's transaction; call [`Queue::wake`] once it is committed. Other
    /// processes are told by the database, where it can.
    pub async fn enqueue(
        &self,
        conn: &mut Conn,
        new: &[NewJob],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let added = jobs::insert(conn, new, now).await?;
        if added > 0 {
            hints::work(conn).await?;
        }
        Ok(added)
    }

    /// Tells this process's worker that there is work. Others find it when they look.
    pub fn wake(&self) {
        self.wake.notify_one();
        self.relay.notify_one();
    }

    /// A vendor refused a call: its lane is left alone for a while, and goes on more slowly.
    pub async fn refused(
        &self,
        store: &Store,
        (queue, lane): (&str, &str),
        retry_after: Option<Duration>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        // A refusal that names no time is met by a short pause: others of the lane may fare better.
        let pause = retry_after.unwrap_or(Duration::from_secs(1)).min(Duration::from_hours(24));
        let until = now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::hours(24));
        let mut tx = store.begin().await?;
        let control = lanes::lock(&mut tx, queue, lane, now).await?;
        let share = if self.auto_throttle {
            rate::after_refusal(control.throttle, control.throttled_at, now)
        } else {
            control.throttle
        };
        let changed_at = (share != control.throttle).then_some(now).or(control.throttled_at);
        lanes::refused(&mut tx, &control, until, share, changed_at).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A queue that a worker serves.
#[derive(Debug, Clone, Copy)]
pub struct QueueSpec {
    pub name: &'static str,
    /// Jobs in flight at once in this process.
    pub concurrency: usize,
}

/// How a handler left its job.
#[derive(Debug)]
pub enum Ended {
    /// The worker writes this end.
    As(JobEnd),
    /// The handler wrote the end together with what the job did.
    Written(Outcome),
}

/// How a try ended, for whoever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Retried,
    Dead,
    Cancelled,
    /// Somebody else had taken the job meanwhile.
    Lost,
}

impl Outcome {
    pub fn of(end: &JobEnd) -> Self {
        match end {
            JobEnd::Succeeded => Outcome::Succeeded,
            JobEnd::Retry { .. } => Outcome::Retried,
            JobEnd::Dead { .. } => Outcome::Dead,
            JobEnd::Cancelled => Outcome::Cancelled,
        }
    }

    /// As the metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Succeeded => "completed",
            Outcome::Retried => "retried",
            Outcome::Dead => "dead",
            Outcome::Cancelled => "skipped",
            Outcome::Lost => "lost",
        }
    }
}

/// What the jobs of each queue do.
pub trait Handlers: Send + Sync + 'static {
    fn queues(&self) -> Vec<QueueSpec>;

    /// How often a lane may start a job when no operator says otherwise; `None` as often as it
    /// likes.
    fn rate(&self, _queue: &str, _lane: &str) -> Option<Rate> {
        None
    }

    /// Does one job. An error is retried until the job's attempts are used up.
    fn run(&self, job: Claimed) -> BoxFuture<'_, Result<Ended>>;

    /// Cleans up after a job that will not be tried again, in the transaction that says so.
    fn bury<'a>(
        &'a self,
        conn: &'a mut Conn,
        queue: &'a str,
        payload: serde_json::Value,
        error: &'a str,
    ) -> BoxFuture<'a, Result<()>>;
}
