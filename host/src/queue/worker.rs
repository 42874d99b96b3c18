use super::{
    Dispatcher, Handlers, Outcome, Place, Presence, ProcessRole, Queue, Room, Settled,
    SqlDispatcher, Taken, rate,
    task::{Done, Task, UnwrittenEnd},
};
use crate::{
    Clock, Result,
    ids::JobId,
    store::{
        Store,
        jobs::{self, Claimed, JobEnd},
        lanes,
        queue_minutes::{self, QueueMinute},
    },
    telemetry::metrics,
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
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
    /// How often throughput is noted and what is old is forgotten.
    pub tidy_every: Duration,
    /// How long a worker that starts leaves expired leases alone.
    pub rescue_grace: Duration,
    /// How long an idle worker waits before it looks by itself.
    pub poll_every: Duration,
    /// How long a stopping worker waits for jobs in flight before it hands them back.
    pub drain_timeout: Duration,
    /// How often a job may lose its worker before it is buried.
    pub max_lost: i64,
    /// How long ended jobs are kept.
    pub keep: TimeDelta,
    /// Give throttled lanes their rate back.
    pub auto_throttle: bool,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig::with_lease(Duration::from_secs(30))
    }
}

impl WorkerConfig {
    /// All times that follow from how long a claim holds.
    pub fn with_lease(lease: Duration) -> Self {
        let renew_every = lease / 3;
        WorkerConfig {
            lease,
            renew_every,
            rescue_every: (lease / 6).min(Duration::from_secs(2)),
            tidy_every: Duration::from_secs(5),
            rescue_grace: renew_every + Duration::from_secs(2),
            poll_every: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(25),
            max_lost: 3,
            keep: TimeDelta::hours(24),
            auto_throttle: true,
        }
    }
}

/// Ends that come within this time share the next claim: one for many costs as much as for one.
const GATHER: Duration = Duration::from_millis(5);
/// How long throughput is remembered.
const MINUTES_KEPT: TimeDelta = TimeDelta::hours(48);
/// Ended jobs forgotten at once; there may be more.
const PURGE_ROUNDS: usize = 20;

/// Takes jobs, does them, and says how they ended.
pub struct Worker {
    config: WorkerConfig,
    store: Store,
    clock: Clock,
    handlers: Arc<dyn Handlers>,
    dispatcher: Box<dyn Dispatcher>,
    presence: Presence,
    room: Room,
    tasks: JoinSet<Done>,
    /// The jobs of `tasks`, and those whose end is not written yet.
    held: HashMap<JobId, i64>,
    /// A claim failed, and may have been made all the same: its answer was lost.
    unsure: bool,
    /// What ended since the last note of it.
    minutes: HashMap<(&'static str, DateTime<Utc>), QueueMinute>,
    /// Ended, and not written yet.
    done: Vec<Done>,
    rescue_after: Instant,
}

impl Worker {
    pub fn new(
        config: WorkerConfig,
        store: Store,
        clock: Clock,
        handlers: Arc<dyn Handlers>,
        dispatcher: Box<dyn Dispatcher>,
        presence: Presence,
    ) -> Self {
        let room = Room::new(handlers.queues());
        // Whoever starts a worker right after an outage gives the others time too.
        let rescue_after = Instant::now() + config.rescue_grace;
        Worker {
            config,
            store,
            clock,
            handlers,
            dispatcher,
            presence,
            room,
            tasks: JoinSet::new(),
            held: HashMap::new(),
            unsure: false,
            minutes: HashMap::new(),
            done: Vec::new(),
            rescue_after,
        }
    }

    /// A worker without any other service: it claims from the table, on its own.
    pub fn embedded(
        config: WorkerConfig,
        store: Store,
        clock: Clock,
        queue: Queue,
        handlers: Arc<dyn Handlers>,
    ) -> Self {
        let slots = handlers.queues().iter().map(|spec| spec.concurrency).max().unwrap_or(0);
        let presence = Presence::new(ProcessRole::All, slots, clock.now());
        let place =
            Place { store: store.clone(), clock: clock.clone(), queue, owner: presence.id() };
        let dispatcher = Box::new(SqlDispatcher::new(place, Arc::clone(&handlers), &config));
        Worker::new(config, store, clock, handlers, dispatcher, presence)
    }

    /// Works until `stop`, then waits for the jobs in flight or hands them back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut renew_at = Instant::now() + self.config.renew_every;
        let (mut maintain_at, mut tidy_at) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() && !self.presence.is_draining() {
            if Instant::now() >= renew_at {
                let again = match self.renew().await {
                    Ok(()) => self.config.renew_every,
                    // Others wait for a while after an outage, but not for ever.
                    Err(err) => {
                        tracing::warn!("cannot renew leases: {err}");
                        self.note_outage();
                        self.config.poll_every
                    }
                };
                renew_at = Instant::now() + again.min(self.config.renew_every);
            }
            if Instant::now() >= maintain_at {
                self.maintain().await;
                maintain_at = Instant::now() + self.config.rescue_every;
            }
            if Instant::now() >= tidy_at {
                if let Err(err) = self.tidy(self.clock.now()).await {
                    tracing::warn!("cannot tidy up the queues: {err}");
                }
                tidy_at = Instant::now() + self.config.tidy_every;
            }
            let timer = match self.dispatcher.take(&self.room).await {
                Ok(Taken { jobs, .. }) if !jobs.is_empty() => {
                    self.start(jobs);
                    continue;
                }
                Ok(Taken { next_at, .. }) => {
                    (Instant::now() + self.until(next_at)).min(maintain_at).min(renew_at)
                }
                Err(err) => {
                    tracing::warn!("cannot take jobs: {err}");
                    self.unsure = true;
                    self.note_outage();
                    renew_at = Instant::now();
                    Instant::now() + self.config.poll_every
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.dispatcher.ready() => {}
                Some(done) = self.tasks.join_next() => {
                    self.note_done(done);
                    self.gather().await;
                    self.write_ends().await;
                }
                () = tokio::time::sleep_until(timer) => {}
            }
        }
        self.drain().await;
        // A worker that was asked to drain lives on idle: its process serves and is stopped by
        // whoever started it.
        stop.cancelled().await;
    }

    fn until(&self, next_at: Option<DateTime<Utc>>) -> Duration {
        next_at
            .and_then(|at| (at - self.clock.now()).to_std().ok())
            .map_or(self.config.poll_every, |wait| wait.min(self.config.poll_every))
            .max(Duration::from_millis(1))
    }

    fn start(&mut self, jobs: Vec<Claimed>) {
        let now = self.clock.now();
        for job in jobs {
            let Some(spec) = self.room.spec(&job.queue) else {
                tracing::error!(job.id = %job.id, "took a job of the unknown queue {}", job.queue);
                continue;
            };
            self.room.start(spec, &job.lane, job.workspace_id);
            metrics::job_waited(spec.name, (now - job.run_at).to_std().unwrap_or_default());
            let task =
                Task { clock: self.clock.clone(), handlers: Arc::clone(&self.handlers), spec };
            self.held.insert(job.id, job.epoch);
            self.tasks.spawn(task.run(job));
        }
        self.presence.set_in_flight(self.tasks.len());
    }

    /// Waits a moment for more ends, unless there is room for a good claim already.
    async fn gather(&mut self) {
        let deadline = Instant::now() + GATHER;
        let enough = |room: &Room| room.specs().iter().all(|s| room.free(*s) * 4 >= s.concurrency);
        loop {
            while let Some(done) = self.tasks.try_join_next() {
                self.note_done(done);
            }
            if enough(&self.room) || self.tasks.is_empty() {
                return;
            }
            tokio::select! {
                Some(done) = self.tasks.join_next() => self.note_done(done),
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    fn note_done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(done) => {
                let Settled { queue, lane, workspace, .. } = &done.settled;
                self.room.end(queue, lane, *workspace);
                self.presence.set_in_flight(self.tasks.len());
                self.done.push(done);
            }
            Err(err) => tracing::error!("a job's task ended badly: {err}"),
        }
    }

    /// Writes the ends of all jobs that are done in one transaction. What cannot be written now is
    /// written later: the leases are renewed until then, so nobody else takes these jobs.
    async fn write_ends(&mut self) {
        if self.done.is_empty() {
            return;
        }
        let now = self.clock.now();
        let written = match self.try_write_ends(now).await {
            Ok(written) => written,
            Err(err) => {
                tracing::warn!(jobs = self.done.len(), "cannot write how jobs ended: {err}");
                self.note_outage();
                return;
            }
        };
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut settled = Vec::with_capacity(self.done.len());
        for mut done in self.done.drain(..) {
            // It may be held again by now, for its next try.
            if self.held.get(&done.settled.id) == Some(&done.settled.epoch) {
                self.held.remove(&done.settled.id);
            }
            if done.end.is_some() && !written.contains(&done.settled.id) {
                done.settled.outcome = Outcome::Lost;
            }
            let queue = done.settled.queue;
            let counts = self.minutes.entry((queue, minute)).or_insert_with(|| QueueMinute {
                queue: queue.into(),
                minute,
                ..QueueMinute::default()
            });
            match done.settled.outcome {
                Outcome::Succeeded => counts.succeeded += 1,
                Outcome::Retried => counts.retried += 1,
                Outcome::Dead => counts.dead += 1,
                Outcome::Cancelled => counts.cancelled += 1,
                Outcome::Lost => {}
            }
            settled.push(done.settled);
        }
        self.dispatcher.settle(&settled);
    }

    /// The jobs whose end counts.
    async fn try_write_ends(&self, now: DateTime<Utc>) -> Result<HashSet<JobId>> {
        let ends: Vec<_> = self
            .done
            .iter()
            .filter_map(|done| {
                Some((done.settled.id, done.settled.epoch, done.end.as_ref()?.end.clone()))
            })
            .collect();
        if ends.is_empty() {
            return Ok(HashSet::new());
        }
        let mut tx = self.store.begin().await?;
        let ended = jobs::end(&mut tx, self.presence.id(), &ends, now).await?;
        for Done { settled, end } in
            self.done.iter().filter(|done| ended.contains(&done.settled.id))
        {
            let Some(UnwrittenEnd { end: JobEnd::Dead { error }, payload }) = end else { continue };
            let queue = settled.queue;
            tracing::error!(job.id = %settled.id, job.queue = queue, "a job failed for good: {error}");
            self.handlers.bury(&mut tx, queue, payload.clone(), error).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// The database was away: other workers' leases may have run out although they live. They get
    /// time to renew them before anybody takes their jobs.
    fn note_outage(&mut self) {
        self.rescue_after = Instant::now() + self.config.renew_every + self.config.poll_every * 2;
    }

    async fn renew(&mut self) -> Result<()> {
        if self.held.is_empty() && !self.unsure {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        let now = self.clock.now();
        let owner = self.presence.id();
        let mut stray = jobs::renew(&mut tx, owner, now + self.config.lease).await?;
        stray.retain(|id| !self.held.contains_key(id));
        // Nobody works on them, and as long as they are renewed nobody else would.
        if !stray.is_empty() {
            jobs::hand_back_each(&mut tx, owner, &stray, now).await?;
            tracing::warn!(jobs = stray.len(), "handed back jobs that were claimed unnoticed");
        }
        tx.commit().await?;
        self.unsure = false;
        Ok(())
    }

    async fn maintain(&mut self) {
        let now = self.clock.now();
        self.write_ends().await;
        if Instant::now() >= self.rescue_after {
            match self.rescue(now).await {
                Ok(0) => {}
                Ok(rescued) => {
                    metrics::leases_expired(rescued);
                    tracing::warn!(jobs = rescued, "took back jobs of a lost worker");
                }
                Err(err) => {
                    tracing::warn!("cannot look for lost jobs: {err}");
                    self.note_outage();
                }
            }
        }
    }

    async fn rescue(&self, now: DateTime<Utc>) -> Result<usize> {
        let mut tx = self.store.begin().await?;
        let rescued = jobs::rescue(&mut tx, self.config.max_lost, now).await?;
        for job in rescued.iter().filter(|job| job.buried) {
            let payload = job.payload.0.clone();
            self.handlers.bury(&mut tx, &job.queue, payload, jobs::LOST).await?;
        }
        tx.commit().await?;
        Ok(rescued.len())
    }

    /// Notes throughput, forgets what is old, and lets throttled lanes recover.
    async fn tidy(&mut self, now: DateTime<Utc>) -> Result<()> {
        if !self.minutes.is_empty() {
            let mut tx = self.store.begin().await?;
            let mut done: Vec<_> = self.minutes.values().collect();
            // Processes that add to the same rows do so in the same order.
            done.sort_by(|a, b| (&a.queue, a.minute).cmp(&(&b.queue, b.minute)));
            for minute in done {
                queue_minutes::add(&mut tx, minute).await?;
            }
            queue_minutes::purge(&mut tx, now - MINUTES_KEPT).await?;
            tx.commit().await?;
            self.minutes.clear();
        }
        if self.config.auto_throttle {
            let mut tx = self.store.begin().await?;
            for spec in self.room.specs() {
                let quiet_since = now - rate::QUIET;
                lanes::recover(&mut tx, spec.name, rate::STEP, quiet_since, now).await?;
            }
            tx.commit().await?;
        }
        for _ in 0..PURGE_ROUNDS {
            let mut tx = self.store.begin().await?;
            let purged = jobs::purge(&mut tx, now - self.config.keep).await?;
            tx.commit().await?;
            if purged < jobs::PURGED_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    async fn drain(&mut self) {
        self.dispatcher.close().await;
        let deadline = Instant::now() + self.config.drain_timeout;
        let mut renew_at = Instant::now();
        if !self.tasks.is_empty() {
            tracing::info!(jobs = self.tasks.len(), "waiting for jobs in flight");
        }
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(done) = self.tasks.join_next() => {
                    self.note_done(done);
                    self.gather().await;
                    self.write_ends().await;
                }
                () = tokio::time::sleep_until(renew_at) => {
                    if let Err(err) = self.renew().await {
                        tracing::warn!("cannot renew leases: {err}");
                    }
                    renew_at = Instant::now() + self.config.renew_every.min(self.config.poll_every);
                }
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.tasks.shutdown().await;
        self.presence.set_in_flight(0);
        self.write_ends().await;
        let handed_back = async {
            let mut tx = self.store.begin().await?;
            let jobs = jobs::hand_back(&mut tx, self.presence.id(), self.clock.now()).await?;
            tx.commit().await?;
            Result::<u64>::Ok(jobs)
        };
        match handed_back.await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "handed back jobs that were not done"),
            Err(err) => tracing::warn!("cannot hand back jobs, their leases will expire: {err}"),
        }
        if let Err(err) = self.tidy(self.clock.now()).await {
            tracing::warn!("cannot note what this process did: {err}");
        }
    }
}
