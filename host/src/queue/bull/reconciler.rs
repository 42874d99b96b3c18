use super::{name_of, relay::Failure};
use crate::{
    Clock, Result,
    ids::JobId,
    store::{Store, dispatches},
    telemetry::metrics,
};
use anyhow::Context as _;
use chrono::TimeDelta;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;
use uuid::Uuid;

/// Finds out what Redis lost, and gives it back to the table.
///
/// A sentinel key is exchanged at every look: another value than the last one, or none, means
/// that Redis was wiped or restored, and that nothing in it can be relied on. Single jobs that are
/// with Redis for long are looked up by name.
#[derive(Default)]
pub(super) struct Reconciler {
    /// The value that was left there; `None` when it is not known what Redis holds.
    sentinel: Option<String>,
    /// Where the last look at single jobs stopped.
    cursors: HashMap<&'static str, Option<JobId>>,
    looked_at: Option<Instant>,
}

/// Between two looks at single jobs.
const EVERY: Duration = Duration::from_secs(1);
/// A job that waits longer is looked up.
const LONG: TimeDelta = TimeDelta::seconds(3);
/// Jobs looked up at once.
const PAGE: i64 = 500;

impl Reconciler {
    pub(super) async fn check(
        &mut self,
        queues: &HashMap<&'static str, bullmq::Queue>,
        store: &Store,
        clock: &Clock,
    ) -> Result<(), Failure> {
        self.check_sentinel(queues, store).await?;
        if self.looked_at.is_none_or(|at| at.elapsed() >= EVERY) {
            for (name, queue) in queues {
                self.check_jobs(name, queue, store, clock).await?;
            }
            self.looked_at = Some(Instant::now());
        }
        Ok(())
    }

    async fn check_sentinel(
        &mut self,
        queues: &HashMap<&'static str, bullmq::Queue>,
        store: &Store,
    ) -> Result<(), Failure> {
        let queue = queues.values().next().context("there is a queue")?;
        // Beside the queues' keys, and apart from those of other platforms in the same Redis.
        let key = format!("aiv:{}:sentinel", queue.keys().prefix());
        let value = Uuid::now_v7().to_string();
        let mut conn = queue.connection().connection();
        let found: Option<String> = redis::cmd("SET")
            .arg(&key)
            .arg(&value)
            .arg("GET")
            .query_async(&mut conn)
            .await
            .map_err(Failure::redis)?;
        let known = self.sentinel.replace(value);
        if known.is_some() && known == found {
            return Ok(());
        }
        let mut tx = store.begin().await.map_err(Failure::table)?;
        let mut forgotten = 0;
        for name in queues.keys() {
            forgotten += dispatches::forget_all(&mut tx, name).await?;
        }
        tx.commit().await.map_err(Failure::table)?;
        if known.is_some() {
            metrics::redispatched("wiped", forgotten);
            tracing::warn!(jobs = forgotten, "Redis lost its memory: jobs are sent again");
        }
        Ok(())
    }

    /// Looks single jobs up: BullMQ's tools can remove them, and acknowledgements get lost.
    async fn check_jobs(
        &mut self,
        name: &'static str,
        queue: &bullmq::Queue,
        store: &Store,
        clock: &Clock,
    ) -> Result<(), Failure> {
        let cursor = self.cursors.entry(name).or_default();
        let mut conn = store.read().await.map_err(Failure::table)?;
        let before = clock.now() - LONG;
        let jobs = dispatches::stale(&mut conn, name, before, *cursor, PAGE).await?;
        drop(conn);
        *cursor = jobs.last().filter(|_| jobs.len() >= 500).map(|job| job.id);
        if jobs.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for job in &jobs {
            let key = queue.keys().job_key(&name_of(job.id, job.epoch));
            pipe.cmd("HMGET").arg(key).arg("timestamp").arg("finishedOn");
        }
        let mut redis = queue.connection().connection();
        let found: Vec<(Option<String>, Option<String>)> =
            pipe.query_async(&mut redis).await.map_err(Failure::redis)?;
        let (mut missing, mut finished) = (Vec::new(), Vec::new());
        for (job, (added, ended)) in jobs.iter().zip(found) {
            match (added, ended) {
                (None, _) => missing.push((job.id, job.epoch)),
                // It ended there and nobody has it here: the name is used up.
                (Some(_), Some(_)) => finished.push((job.id, job.epoch)),
                (Some(_), None) => {}
            }
        }
        if missing.is_empty() && finished.is_empty() {
            return Ok(());
        }
        let mut tx = store.begin().await.map_err(Failure::table)?;
        let lost = dispatches::forget(&mut tx, &missing).await?;
        let over = dispatches::take_back(&mut tx, &finished).await?;
        tx.commit().await.map_err(Failure::table)?;
        metrics::redispatched("missing", lost);
        metrics::redispatched("finished", over);
        Ok(())
    }
}
