use super::{Ended, Handlers, Outcome, QueueSpec, Settled};
use crate::{
    Clock,
    store::jobs::{Claimed, JobEnd},
    telemetry::metrics,
};
use chrono::TimeDelta;
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tokio::time::Instant;

/// One job on its own task.
pub(super) struct Task {
    pub(super) clock: Clock,
    pub(super) handlers: Arc<dyn Handlers>,
    pub(super) spec: QueueSpec,
}

/// A job that its task is done with.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) settled: Settled,
    /// What the worker has to write; `None` when the handler wrote it.
    pub(super) end: Option<UnwrittenEnd>,
}

#[derive(Debug)]
pub(super) struct UnwrittenEnd {
    pub(super) end: JobEnd,
    pub(super) payload: serde_json::Value,
}

impl Task {
    pub(super) async fn run(self, job: Claimed) -> Done {
        let started = Instant::now();
        let mut settled = Settled {
            id: job.id,
            epoch: job.epoch,
            queue: self.spec.name,
            lane: job.lane.clone(),
            workspace: job.workspace_id,
            outcome: Outcome::Lost,
        };
        let (attempt, max_attempts) = (job.attempt, job.max_attempts);
        let payload = job.payload.0.clone();
        // A panic is an ordinary failure of the job, never of the worker.
        let end = match AssertUnwindSafe(self.handlers.run(job)).catch_unwind().await {
            Ok(Ok(Ended::Written(outcome))) => {
                settled.outcome = outcome;
                None
            }
            Ok(Ok(Ended::As(end))) => Some(end),
            Ok(Err(err)) => Some(self.retry_or_bury(attempt, max_attempts, err.to_string())),
            Err(panic) => {
                let text = panic_text(panic.as_ref());
                let queue = settled.queue;
                tracing::error!(job.id = %settled.id, job.queue = queue, "a job panicked: {text}");
                Some(self.retry_or_bury(attempt, max_attempts, format!("panic: {text}")))
            }
        };
        if let Some(end) = &end {
            settled.outcome = Outcome::of(end);
        }
        metrics::job(settled.queue, settled.outcome.label(), started.elapsed());
        Done { settled, end: end.map(|end| UnwrittenEnd { end, payload }) }
    }

    fn retry_or_bury(&self, attempt: i64, max_attempts: i64, error: String) -> JobEnd {
        if attempt >= max_attempts {
            return JobEnd::Dead { error };
        }
        // 2 s, 4 s, 8 s … up to a minute, spread so that failures do not come back together.
        let ceiling = 60_000.min(1000_i64 << attempt.clamp(1, 10));
        let wait = rand::random_range(ceiling / 2..=ceiling);
        let run_at = self.clock.now() + TimeDelta::milliseconds(wait);
        JobEnd::Retry { run_at, counts: true, error: Some(error) }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
