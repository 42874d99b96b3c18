use super::{AWAY, BullConfig, RELAY, name_of, reconciler::Reconciler};
use crate::{
    Clock, Result,
    ids::{ProcessId, WorkspaceId},
    queue::{
        Handlers, Presence, Queue, QueueSpec,
        limits::{self, Controls, Cursors},
        rate,
        shares::{self, Lane, Turns},
    },
    store::{
        Store, Tx,
        claims::Waiting,
        dispatches::{self, Dispatch},
        jobs::Priority,
        lanes::{self, UnderWay},
        leaders, processes,
    },
    telemetry::metrics,
};
use anyhow::Context as _;
use bullmq::{BulkJob, JobOptions, QueueOptions};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Moves due jobs from the table to Redis. Every process has one; the leader's works.
pub struct Relay {
    bull: BullConfig,
    store: Store,
    clock: Clock,
    queue: Queue,
    handlers: Arc<dyn Handlers>,
    owner: ProcessId,
    queues: HashMap<&'static str, bullmq::Queue>,
    controls: Controls,
    pace: HashMap<&'static str, Pace>,
    reconciler: Reconciler,
    /// Since when Redis has not answered.
    failing_since: Option<Instant>,
    leads_until: Option<Instant>,
}

/// Where a queue is, between two looks.
#[derive(Default)]
struct Pace {
    turns: Turns,
    cursors: Cursors,
    /// What each lane had with the broker after the last look.
    dispatched: HashMap<String, usize>,
    /// What each lane may have there at the next: what it took lately, and some.
    allowance: HashMap<String, usize>,
    /// What Redis was last told about the queue's pause.
    paused: bool,
}

/// How long the lead holds; another process goes on at most this long after the leader died.
const LEAD: Duration = Duration::from_secs(5);
/// Between two looks when there is nothing to do; hints shorten it.
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks while jobs are under way.
const BUSY: Duration = Duration::from_millis(50);
/// Between a look that found jobs and the next: as many wait in Redis as workers take meanwhile.
const SENT: Duration = Duration::from_millis(20);
/// How long Redis may be silent before workers claim from the table.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a lane is given at least.
const START: usize = 64;

impl Relay {
    pub fn new(
        bull: BullConfig,
        store: Store,
        clock: Clock,
        queue: Queue,
        handlers: Arc<dyn Handlers>,
        presence: &Presence,
    ) -> Self {
        Relay {
            bull,
            store,
            clock,
            queue,
            handlers,
            owner: presence.id(),
            queues: HashMap::new(),
            controls: Controls::default(),
            pace: HashMap::new(),
            reconciler: Reconciler::default(),
            failing_since: None,
            leads_until: None,
        }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.look().await {
                Ok(wait) => wait,
                Err(err) => {
                    tracing::warn!("cannot relay jobs to Redis: {err:#}");
                    IDLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.queue.relay.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(err) = self.resign().await {
            tracing::debug!("cannot give up the lead: {err:#}");
        }
    }

    async fn resign(&mut self) -> anyhow::Result<()> {
        let mut tx = self.store.begin().await?;
        leaders::release(&mut tx, RELAY, self.owner).await?;
        tx.commit().await?;
        Ok(())
    }

    /// One round over all queues; says how long to wait for the next.
    async fn look(&mut self) -> anyhow::Result<Duration> {
        if !self.lead().await? {
            return Ok(IDLE);
        }
        match self.relay().await {
            Ok(wait) => {
                if self.failing_since.take().is_some() {
                    self.back().await?;
                }
                Ok(wait)
            }
            Err(Failure::Table(err)) => Err(err),
            Err(Failure::Redis(err)) => {
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                // A connection that broke may not come back by itself.
                self.queues.clear();
                self.reconciler = Reconciler::default();
                if since.elapsed() >= PATIENCE {
                    self.away().await?;
                }
                Err(err)
            }
        }
    }

    /// Takes or keeps the lead.
    async fn lead(&mut self) -> Result<bool> {
        let fresh = self.leads_until.is_some_and(|until| Instant::now() + LEAD / 2 < until);
        if fresh {
            return Ok(true);
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let led = self.leads_until.take().is_some();
        let leads = leaders::acquire(&mut tx, RELAY, self.owner, now + LEAD, now).await?;
        tx.commit().await?;
        if leads {
            self.leads_until = Some(Instant::now() + LEAD);
            if !led {
                tracing::info!("relays jobs to Redis");
                // What the last leader knew of Redis this one does not.
                self.reconciler = Reconciler::default();
            }
        }
        Ok(leads)
    }

    /// Redis is away: what it was given is the table's again.
    async fn away(&mut self) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let held = leaders::is_held(&mut tx, AWAY, now).await?;
        leaders::acquire(&mut tx, AWAY, self.owner, now + LEAD, now).await?;
        for spec in self.handlers.queues() {
            dispatches::forget_all(&mut tx, spec.name).await?;
        }
        tx.commit().await?;
        if !held {
            tracing::warn!("Redis is away: workers claim from the database until it is back");
        }
        Ok(())
    }

    async fn back(&mut self) -> Result<()> {
        let mut tx = self.store.begin().await?;
        leaders::release(&mut tx, AWAY, self.owner).await?;
        tx.commit().await?;
        tracing::info!("Redis is back");
        Ok(())
    }

    async fn relay(&mut self) -> Result<Duration, Failure> {
        let mut wait = IDLE;
        for spec in self.handlers.queues() {
            if !self.queues.contains_key(spec.name) {
                let options = QueueOptions::new()
                    .connection(self.bull.connection())
                    .prefix(self.bull.prefix.clone());
                let queue = bullmq::Queue::with_options(spec.name, options)
                    .await
                    .map_err(Failure::redis)?;
                self.queues.insert(spec.name, queue);
            }
        }
        self.reconciler.check(&self.queues, &self.store, &self.clock).await?;
        for spec in self.handlers.queues() {
            wait = wait.min(self.relay_queue(spec).await?);
        }
        Ok(wait)
    }

    async fn relay_queue(&mut self, spec: QueueSpec) -> Result<Duration, Failure> {
        let now = self.clock.now();
        let mut conn = self.store.read().await.map_err(Failure::table)?;
        self.controls.refresh(&mut conn, spec.name, IDLE).await?;
        let control = self.controls.queue(spec.name);
        let paused = control.is_some_and(|control| control.paused);
        let queue_limit = control.and_then(|control| control.max_in_flight);
        let pace = self.pace.entry(spec.name).or_default();
        let broker = self.queues.get(spec.name).context("the queue is open")?;
        // What a person pauses in BullMQ's own tools stays paused; only a change here is told.
        if paused != pace.paused {
            let told = if paused { broker.pause().await } else { broker.resume().await };
            told.map_err(Failure::redis)?;
            pace.paused = paused;
        }
        let under_way = lanes::under_way(&mut conn, spec.name).await?;
        pace.adapt(&under_way, spec.concurrency.max(START), self.bull.window);
        let dispatched: usize = pace.dispatched.values().sum();
        let busy_wait = if under_way.is_empty() { IDLE } else { BUSY };
        if paused {
            return Ok(busy_wait);
        }
        let outlook =
            limits::look(&mut conn, spec.name, &self.controls, &mut pace.cursors, now).await?;
        let slots: i64 = processes::list(&mut conn, now - TimeDelta::seconds(30))
            .await?
            .iter()
            .map(|process| process.concurrency)
            .sum();
        drop(conn);
        let mut free = self.bull.window.saturating_sub(dispatched);
        if let Some(limit) = queue_limit {
            let all: i64 = under_way.iter().map(|lane| lane.running + lane.dispatched).sum();
            free = free.min(usize::try_from(limit - all).unwrap_or(0));
        }
        if outlook.lanes.is_empty() || free == 0 {
            let next = outlook.next_at.and_then(|at| (at - now).to_std().ok()).unwrap_or(IDLE);
            return Ok(busy_wait.min(next).max(Duration::from_millis(10)));
        }

        let fleet = usize::try_from(slots).unwrap_or(0).max(spec.concurrency);
        let lanes: Vec<Lane> = outlook
            .lanes
            .into_iter()
            .map(|(name, waiting)| pace.lane(name, waiting, &under_way, fleet, self.bull.window))
            .collect();
        let mut tx = self.store.begin().await.map_err(Failure::table)?;
        let (lanes, spending) = self.handlers_limits(&mut tx, spec, lanes, &under_way, now).await?;
        let pace = self.pace.entry(spec.name).or_default();
        let grants = shares::share(free, self.bull.window, &lanes, &mut pace.turns, now);
        let due = dispatches::due(&mut tx, spec.name, &grants, now).await?;
        if due.is_empty() {
            return Ok(busy_wait);
        }
        for (lane, (rate, tat)) in &spending {
            let jobs = due.iter().filter(|job| job.lane == *lane).count();
            if jobs > 0 {
                let tat = rate::spent(*rate, *tat, jobs, now);
                lanes::spend(&mut tx, spec.name, lane, tat).await?;
            }
        }
        // The rate is spent before the jobs are out: a crash in between costs some of it, and
        // never lets more start than it allows.
        tx.commit().await.map_err(Failure::table)?;

        self.send(spec.name, &due).await?;
        let sent: Vec<_> = due.iter().map(|job| (job.id, job.epoch)).collect();
        let mut tx = self.store.begin().await.map_err(Failure::table)?;
        dispatches::mark(&mut tx, &sent, now).await?;
        tx.commit().await.map_err(Failure::table)?;
        metrics::dispatched(spec.name, sent.len());
        if let Some(pace) = self.pace.get_mut(spec.name) {
            for job in &due {
                *pace.dispatched.entry(job.lane.clone()).or_default() += 1;
            }
        }
        Ok(SENT)
    }

    /// The lanes with what their rates and limits leave of their credit.
    async fn handlers_limits(
        &self,
        tx: &mut Tx,
        spec: QueueSpec,
        mut lanes: Vec<Lane>,
        under_way: &[UnderWay],
        now: DateTime<Utc>,
    ) -> Result<(Vec<Lane>, BTreeMap<String, (rate::Rate, Option<DateTime<Utc>>)>)> {
        let mut spending = BTreeMap::new();
        for lane in &mut lanes {
            let known = self.controls.lane(spec.name, &lane.name);
            let limited = limits::rate(&*self.handlers, spec.name, &lane.name, known).is_some();
            if !limited && known.is_none() {
                continue;
            }
            let control = lanes::lock(tx, spec.name, &lane.name, now).await?;
            let rate = limits::rate(&*self.handlers, spec.name, &lane.name, Some(&control));
            lane.most = limits::most(lane.most, rate, Some(&control));
            let of_lane = under_way.iter().filter(|row| row.lane == lane.name);
            if let Some(limit) = control.max_in_flight {
                let all: i64 = of_lane.clone().map(|row| row.running + row.dispatched).sum();
                lane.credit = lane.credit.min(usize::try_from(limit - all).unwrap_or(0));
            }
            if let Some(rate) = rate {
                // What waits in Redis may start all at once: so much of the rate and no more.
                let waits: i64 = of_lane.map(|row| row.dispatched).sum();
                let ahead = rate.in_a_moment().saturating_sub(usize::try_from(waits).unwrap_or(0));
                let allowed = rate::allowed(rate, control.tat, now).jobs;
                lane.credit = lane.credit.min(allowed).min(ahead);
                spending.insert(lane.name.clone(), (rate, control.tat));
            }
        }
        Ok((lanes, spending))
    }

    async fn send(&self, queue: &'static str, due: &[Dispatch]) -> Result<(), Failure> {
        let broker = self.queues.get(queue).context("the queue is open")?;
        let jobs = due
            .iter()
            .map(|job| {
                let options = JobOptions {
                    job_id: Some(name_of(job.id, job.epoch)),
                    attempts: Some(1),
                    priority: priority(job.priority),
                    ..JobOptions::default()
                };
                let data = json!({"id": job.id, "epoch": job.epoch, "lane": job.lane});
                BulkJob::with_options(queue, data, options)
            })
            .collect();
        broker.add_bulk(jobs).await.map_err(Failure::redis)?;
        Ok(())
    }
}

/// BullMQ runs jobs without a priority first, then lower numbers before higher ones.
fn priority(value: i64) -> Option<u32> {
    let value = value - Priority::Interactive.value();
    u32::try_from(value).ok().filter(|value| *value > 0)
}

impl Pace {
    /// Lets lanes that took what they were given have more, and slow ones less: what waits in
    /// Redis is served in order, so nobody gets ahead of it.
    fn adapt(&mut self, under_way: &[UnderWay], start: usize, window: usize) {
        let mut now: HashMap<String, usize> = HashMap::new();
        for row in under_way {
            *now.entry(row.lane.clone()).or_default() +=
                usize::try_from(row.dispatched).unwrap_or(0);
        }
        for (lane, before) in &self.dispatched {
            let taken = before.saturating_sub(now.get(lane).copied().unwrap_or(0));
            let allowance = self.allowance.entry(lane.clone()).or_insert(start);
            *allowance = (taken * 4).max(*allowance / 2).clamp(start.min(window), window);
        }
        self.dispatched = now;
    }

    fn lane(
        &self,
        name: String,
        waiting: Vec<Waiting>,
        under_way: &[UnderWay],
        fleet: usize,
        window: usize,
    ) -> Lane {
        let of_lane = under_way.iter().filter(|row| row.lane == name);
        let mut busy: HashMap<WorkspaceId, usize> = HashMap::new();
        let (mut running, mut dispatched) = (0, 0);
        for row in of_lane {
            running += usize::try_from(row.running).unwrap_or(0);
            dispatched += usize::try_from(row.dispatched).unwrap_or(0);
            let all = usize::try_from(row.running + row.dispatched).unwrap_or(0);
            *busy.entry(row.workspace_id).or_default() += all;
        }
        let alone = self.dispatched.keys().all(|lane| *lane == name);
        let allowance = self.allowance.get(&name).copied().unwrap_or(fleet.max(START));
        // A slow lane must not end up with every slot while others wait.
        let credit = if alone || running < fleet.div_ceil(2) {
            allowance.saturating_sub(dispatched)
        } else {
            0
        };
        Lane { name, waiting, credit, most: window + fleet, busy }
    }
}

/// Which side failed.
#[derive(Debug)]
pub(super) enum Failure {
    Redis(anyhow::Error),
    Table(anyhow::Error),
}

impl Failure {
    pub(super) fn redis(err: impl Into<anyhow::Error>) -> Self {
        Failure::Redis(err.into())
    }

    pub(super) fn table(err: impl Into<anyhow::Error>) -> Self {
        Failure::Table(err.into())
    }
}

impl From<crate::Error> for Failure {
    fn from(err: crate::Error) -> Self {
        Failure::Table(err.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(err: anyhow::Error) -> Self {
        Failure::Table(err)
    }
}
