use super::{Ended, Handlers, Queue, QueueSpec};
use crate::{
    Clock, Result,
    ids::JobId,
    store::{
        Store,
        jobs::{self, Claimed, JobEnd},
    },
    telemetry::metrics,
};
use chrono::TimeDelta;
use futures_util::FutureExt;
use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// How a worker behaves.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// How long a claim holds without renewal.
    pub lease: Duration,
    /// How often leases are renewed.
    pub renew_every: Duration,
    /// How often expired leases are looked for.
    pub rescue_every: Duration,
    /// How long an idle worker waits before it looks by itself.
    pub poll_every: Duration,
    /// How long a stopping worker waits for jobs in flight before it hands them back.
    pub drain_timeout: Duration,
    /// How often a job may lose its worker before it is buried.
    pub max_lost: i64,
    /// How long ended jobs are kept.
    pub keep: TimeDelta,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            lease: Duration::from_secs(30),
            renew_every: Duration::from_secs(10),
            rescue_every: Duration::from_secs(5),
            poll_every: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(25),
            max_lost: 3,
            keep: TimeDelta::hours(24),
        }
    }
}

/// Takes jobs, does them, and says how they ended.
pub struct Worker {
    config: WorkerConfig,
    store: Store,
    clock: Clock,
    queue: Queue,
    handlers: Arc<dyn Handlers>,
    /// What its claims are signed with.
    owner: JobId,
    in_flight: HashMap<(&'static str, String), usize>,
    /// Which lane comes first the next time.
    turn: usize,
    tasks: JoinSet<(&'static str, String)>,
}

impl Worker {
    pub fn new(
        config: WorkerConfig,
        store: Store,
        clock: Clock,
        queue: Queue,
        handlers: Arc<dyn Handlers>,
    ) -> Self {
        Worker {
            config,
            store,
            clock,
            queue,
            handlers,
            owner: JobId::generate(),
            in_flight: HashMap::new(),
            turn: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Works until `stop`, then waits for the jobs in flight or hands them back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut renew_at = Instant::now() + self.config.renew_every;
        let mut rescue_at = Instant::now();
        while !stop.is_cancelled() {
            if Instant::now() >= rescue_at {
                self.rescue().await;
                rescue_at = Instant::now() + self.config.rescue_every;
            }
            if Instant::now() >= renew_at {
                self.renew().await;
                renew_at = Instant::now() + self.config.renew_every;
            }
            let claimed = self.claim_all().await.unwrap_or_else(|err| {
                tracing::warn!("cannot take jobs: {err}");
                0
            });
            if claimed > 0 {
                continue;
            }
            let pause = Instant::now() + self.config.poll_every;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.queue.wake.notified() => {}
                Some(ended) = self.tasks.join_next() => {
                    self.note_ended(ended);
                    // A claim for one slot costs as much as one for many: let some more come free.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                () = tokio::time::sleep_until(pause.min(renew_at).min(rescue_at)) => {}
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.note_ended(ended);
            }
        }
        self.drain().await;
    }

    /// Fills the free slots of every queue; returns how many jobs it took.
    async fn claim_all(&mut self) -> Result<usize> {
        let mut claimed = 0;
        for spec in self.handlers.queues() {
            claimed += self.claim_queue(spec).await?;
        }
        Ok(claimed)
    }

    async fn claim_queue(&mut self, spec: QueueSpec) -> Result<usize> {
        let busy: usize =
            self.in_flight.iter().filter(|((name, _), _)| *name == spec.name).map(|(_, n)| n).sum();
        let mut free = spec.concurrency.saturating_sub(busy);
        if free == 0 {
            return Ok(0);
        }
        let mut conn = self.store.read().await?;
        let lanes = jobs::lanes(&mut conn, spec.name).await?;
        drop(conn);
        if lanes.is_empty() {
            return Ok(0);
        }

        let now = self.clock.now();
        let lease_until = now + self.config.lease;
        let mut taken = Vec::new();
        let mut tx = self.store.begin().await?;
        let waiting = lanes.len();
        // A slow lane must not end up with every slot while others wait.
        let most = if waiting > 1 { spec.concurrency.div_ceil(2) } else { spec.concurrency };
        let first = self.turn % waiting;
        self.turn = self.turn.wrapping_add(1);
        for index in 0..waiting {
            let lane = &lanes[(first + index) % waiting];
            let busy = self.in_flight.get(&(spec.name, lane.clone())).copied().unwrap_or(0);
            // What is free is shared by the lanes that have not had their turn.
            let share = free.div_ceil(waiting - index).min(most.saturating_sub(busy));
            if share == 0 {
                continue;
            }
            let limit = i64::try_from(share).unwrap_or(i64::MAX);
            let jobs =
                jobs::claim(&mut tx, spec.name, lane, limit, self.owner, lease_until, now).await?;
            free -= jobs.len();
            taken.extend(jobs.into_iter().map(|job| (lane.clone(), job)));
            if free == 0 {
                break;
            }
        }
        if taken.is_empty() {
            return Ok(0);
        }
        tx.commit().await?;

        let count = taken.len();
        for (lane, job) in taken {
            *self.in_flight.entry((spec.name, lane.clone())).or_default() += 1;
            let task = Task {
                store: self.store.clone(),
                clock: self.clock.clone(),
                handlers: Arc::clone(&self.handlers),
            };
            self.tasks.spawn(async move {
                task.run(job).await;
                (spec.name, lane)
            });
        }
        Ok(count)
    }

    fn note_ended(&mut self, ended: Result<(&'static str, String), tokio::task::JoinError>) {
        match ended {
            Ok(key) => {
                if let Some(busy) = self.in_flight.get_mut(&key) {
                    *busy = busy.saturating_sub(1);
                    if *busy == 0 {
                        self.in_flight.remove(&key);
                    }
                }
            }
            Err(err) => tracing::error!("a job's task ended badly: {err}"),
        }
    }

    async fn renew(&self) {
        if self.tasks.is_empty() {
            return;
        }
        let renewed = async {
            let mut tx = self.store.begin().await?;
            jobs::renew(&mut tx, self.owner, self.clock.now() + self.config.lease).await?;
            tx.commit().await?;
            Result::<()>::Ok(())
        };
        if let Err(err) = renewed.await {
            tracing::warn!("cannot renew leases: {err}");
        }
    }

    async fn rescue(&self) {
        let now = self.clock.now();
        let rescued = async {
            let mut tx = self.store.begin().await?;
            let rescued = jobs::rescue(&mut tx, self.config.max_lost, now).await?;
            for job in rescued.iter().filter(|job| job.buried) {
                let payload = job.payload.0.clone();
                self.handlers.bury(&mut tx, &job.queue, payload, jobs::LOST).await?;
            }
            jobs::purge(&mut tx, now - self.config.keep).await?;
            tx.commit().await?;
            Result::<usize>::Ok(rescued.len())
        };
        match rescued.await {
            Ok(0) => {}
            Ok(rescued) => tracing::warn!(jobs = rescued, "took back jobs of a lost worker"),
            Err(err) => tracing::warn!("cannot look for lost jobs: {err}"),
        }
    }

    async fn drain(mut self) {
        let deadline = Instant::now() + self.config.drain_timeout;
        if !self.tasks.is_empty() {
            tracing::info!(jobs = self.tasks.len(), "waiting for jobs in flight");
        }
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.note_ended(ended),
                () = tokio::time::sleep(self.config.renew_every) => self.renew().await,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.tasks.shutdown().await;
        let handed_back = async {
            let mut tx = self.store.begin().await?;
            let jobs = jobs::hand_back(&mut tx, self.owner, self.clock.now()).await?;
            tx.commit().await?;
            Result::<u64>::Ok(jobs)
        };
        match handed_back.await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "handed back jobs that were not done"),
            Err(err) => tracing::warn!("cannot hand back jobs, their leases will expire: {err}"),
        }
    }
}

/// One job on its own task.
struct Task {
    store: Store,
    clock: Clock,
    handlers: Arc<dyn Handlers>,
}

impl Task {
    async fn run(self, job: Claimed) {
        let started = Instant::now();
        let (id, epoch, owner) = (job.id, job.epoch, job.owner);
        let (queue, attempt, max_attempts) = (job.queue.clone(), job.attempt, job.max_attempts);
        let payload = job.payload.0.clone();
        // A panic is an ordinary failure of the job, never of the worker.
        let ended = match AssertUnwindSafe(self.handlers.run(job)).catch_unwind().await {
            Ok(Ok(ended)) => ended,
            Ok(Err(err)) => Ended::As(self.retry_or_bury(attempt, max_attempts, err.to_string())),
            Err(panic) => {
                let text = panic_text(panic.as_ref());
                tracing::error!(job.id = %id, job.queue = queue, "a job panicked: {text}");
                Ended::As(self.retry_or_bury(attempt, max_attempts, format!("panic: {text}")))
            }
        };
        let outcome = match &ended {
            Ended::Written | Ended::As(JobEnd::Succeeded) => "completed",
            Ended::As(JobEnd::Retry { .. }) => "retried",
            Ended::As(JobEnd::Dead { .. }) => "dead",
            Ended::As(JobEnd::Cancelled) => "skipped",
        };
        metrics::job(&queue, outcome, started.elapsed());
        let Ended::As(end) = ended else { return };
        let buried = match &end {
            JobEnd::Dead { error } => Some(error.clone()),
            _ => None,
        };
        let written = async {
            let mut tx = self.store.begin().await?;
            let ended = jobs::end(&mut tx, owner, &[(id, epoch, end)], self.clock.now()).await?;
            if let Some(error) = buried.filter(|_| ended.contains(&id)) {
                tracing::error!(job.id = %id, job.queue = queue, "a job failed for good: {error}");
                self.handlers.bury(&mut tx, &queue, payload, &error).await?;
            }
            tx.commit().await?;
            Result::<()>::Ok(())
        };
        // What cannot be written now is repeated after the lease: jobs are idempotent.
        if let Err(err) = written.await {
            tracing::warn!(job.id = %id, "cannot write how a job ended: {err}");
        }
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
