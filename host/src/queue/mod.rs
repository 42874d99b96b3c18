//! The queue: jobs wait in the `jobs` table, and workers take them from there.
//!
//! A job is written in the transaction of its cause, so that neither is ever without the other.
//! **Invariant:** the queue knows no job by name; [`Handlers`] does.

use crate::{
    Result,
    store::{
        Conn,
        jobs::{self, Claimed, JobEnd, NewJob},
    },
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::Notify;

mod worker;

pub use self::worker::{Worker, WorkerConfig};

/// Where work is put. Cheap to clone.
#[derive(Clone, Default)]
pub struct Queue {
    wake: Arc<Notify>,
}

impl Queue {
    /// Adds jobs in the caller's transaction; call [`Queue::wake`] once it is committed.
    pub async fn enqueue(
        &self,
        conn: &mut Conn,
        new: &[NewJob],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        jobs::insert(conn, new, now).await
    }

    /// Tells this process's worker that there is work. Others find it when they look.
    pub fn wake(&self) {
        self.wake.notify_one();
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
    Written,
}

/// What the jobs of each queue do.
pub trait Handlers: Send + Sync + 'static {
    fn queues(&self) -> Vec<QueueSpec>;

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
