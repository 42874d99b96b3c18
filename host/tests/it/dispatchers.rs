//! What every dispatcher promises, tried on each of them: the table itself, and BullMQ in Redis
//! when `TEST_REDIS_URL` names one.

use crate::support::{empty_store, redis_url};
use aiv::{
    Clock,
    ids::WorkspaceId,
    queue::{
        BullConfig, BullDispatcher, Dispatcher, Ended, Handlers, Place, Presence, ProcessRole,
        Queue, QueueSpec, Rate, Relay, SqlDispatcher, Worker, WorkerConfig,
    },
    store::{
        Conn, Store,
        jobs::{self, Claimed, JobEnd, NewJob},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const QUEUE: &str = "runPrompt";
const LANE: &str = "perplexity";

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// Who hands the jobs out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Table,
    Bull,
}

/// Notes what was started, and does what the payload says: `end`, `wait` for the gate, `panic`
/// once, or take `ms` of time.
struct Recorder {
    concurrency: usize,
    rate: Option<Rate>,
    gate: CancellationToken,
    started: Mutex<Vec<i64>>,
    running: Mutex<HashMap<WorkspaceId, usize>>,
    most: Mutex<usize>,
}

impl Recorder {
    fn new(concurrency: usize) -> Self {
        Recorder {
            concurrency,
            rate: None,
            gate: CancellationToken::new(),
            started: Mutex::default(),
            running: Mutex::default(),
            most: Mutex::default(),
        }
    }

    fn started(&self) -> Vec<i64> {
        self.started.lock().unwrap().clone()
    }

    fn running(&self, workspace: WorkspaceId) -> usize {
        self.running.lock().unwrap().get(&workspace).copied().unwrap_or(0)
    }
}

impl Handlers for Recorder {
    fn queues(&self) -> Vec<QueueSpec> {
        vec![QueueSpec { name: QUEUE, concurrency: self.concurrency }]
    }

    fn rate(&self, _: &str, _: &str) -> Option<Rate> {
        self.rate
    }

    fn run(&self, job: Claimed) -> BoxFuture<'_, aiv::Result<Ended>> {
        Box::pin(async move {
            self.started.lock().unwrap().push(job.payload["n"].as_i64().unwrap());
            {
                let mut running = self.running.lock().unwrap();
                *running.entry(job.workspace_id).or_default() += 1;
                let now = running.values().sum();
                let mut most = self.most.lock().unwrap();
                *most = (*most).max(now);
            }
            match job.payload["do"].as_str().unwrap() {
                "wait" => self.gate.cancelled().await,
                "panic" if job.attempt == 1 => panic!("as the payload says"),
                "take" => {
                    let ms = job.payload["ms"].as_u64().unwrap();
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                _ => {}
            }
            *self.running.lock().unwrap().entry(job.workspace_id).or_default() -= 1;
            Ok(Ended::As(JobEnd::Succeeded))
        })
    }

    fn bury<'a>(
        &'a self,
        _: &'a mut Conn,
        _: &'a str,
        _: serde_json::Value,
        _: &'a str,
    ) -> BoxFuture<'a, aiv::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// A store, a queue and as many workers as a test starts.
struct Fleet {
    kind: Kind,
    store: Store,
    clock: Clock,
    bull: Option<BullConfig>,
    config: WorkerConfig,
    _files: TempDir,
}

/// A worker that was started.
struct Started {
    stop: CancellationToken,
    tasks: TaskTracker,
    abort: tokio::task::AbortHandle,
}

impl Started {
    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// As `kill -9` would: nothing is handed back, nothing is said.
    fn kill(&self) {
        self.abort.abort();
    }
}

impl Fleet {
    /// `None` when there is no Redis to try it on.
    async fn new(kind: Kind, clock: Clock) -> Option<Self> {
        let bull = match kind {
            Kind::Table => None,
            Kind::Bull => {
                let url = redis_url()?;
                let prefix = format!("t{}", uuid::Uuid::now_v7().simple());
                Some(BullConfig { url: url.into(), prefix, window: 5000 })
            }
        };
        let files = tempfile::tempdir().unwrap();
        let store = empty_store(&files).await;
        let config = WorkerConfig {
            poll_every: Duration::from_millis(20),
            rescue_grace: Duration::ZERO,
            rescue_every: Duration::from_millis(100),
            ..WorkerConfig::default()
        };
        Some(Fleet { kind, store, clock, bull, config, _files: files })
    }

    fn worker(&self, handlers: &Arc<Recorder>) -> Started {
        let handlers: Arc<dyn Handlers> = handlers.clone();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let queue = Queue::new(true);
        let slots = handlers.queues()[0].concurrency;
        let presence = Presence::new(ProcessRole::All, slots, self.clock.now());
        let place = Place {
            store: self.store.clone(),
            clock: self.clock.clone(),
            queue: queue.clone(),
            owner: presence.id(),
        };
        let dispatcher: Box<dyn Dispatcher> = match &self.bull {
            None => Box::new(SqlDispatcher::new(place, handlers.clone(), &self.config)),
            Some(bull) => {
                let relay = Relay::new(
                    bull.clone(),
                    self.store.clone(),
                    self.clock.clone(),
                    queue,
                    handlers.clone(),
                    &presence,
                );
                tasks.spawn(relay.run(stop.clone()));
                Box::new(BullDispatcher::start(bull, &self.config, place, handlers.clone(), &tasks))
            }
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let worker = Worker::new(self.config.clone(), store, clock, handlers, dispatcher, presence);
        let abort = tasks.spawn(worker.run(stop.clone())).abort_handle();
        Started { stop, tasks, abort }
    }

    async fn add(&self, new: &[NewJob]) {
        let mut tx = self.store.begin().await.unwrap();
        jobs::insert(&mut tx, new, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What an operator says, as the table holds it.
    async fn say(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.store {
            Store::Postgres(pool) => drop(pool.execute(sql).await.unwrap()),
            Store::Sqlite { writer, .. } => drop(writer.execute(sql).await.unwrap()),
        }
    }

    async fn count(&self, state: &str) -> i64 {
        let mut conn = self.store.read().await.unwrap();
        let counts = jobs::counts(&mut conn).await.unwrap();
        counts.iter().filter(|count| count.state == state).map(|count| count.jobs).sum()
    }

    /// Waits until so many jobs have succeeded.
    async fn succeeded(&self, jobs: i64) {
        eventually(async || self.count("succeeded").await >= jobs).await;
        assert_eq!(self.count("succeeded").await, jobs);
    }

    /// Removes all that Redis knows of these queues, as if it had been wiped.
    async fn wipe(&self) {
        let bull = self.bull.as_ref().unwrap();
        let client = redis::Client::open(redis_url().unwrap()).unwrap();
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        for pattern in [format!("{}:*", bull.prefix), format!("aiv:{}:*", bull.prefix)] {
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(pattern).query_async(&mut conn).await.unwrap();
            if !keys.is_empty() {
                redis::cmd("DEL").arg(keys).query_async::<()>(&mut conn).await.unwrap();
            }
        }
    }
}

/// Looks until it is so; a test that waits for what never comes fails.
async fn eventually(is_so: impl AsyncFn() -> bool) {
    for _ in 0..6000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to that");
}

/// Long enough for a dispatcher to do what it should not.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn job(n: i64, what: &str) -> NewJob {
    NewJob {
        queue: QUEUE,
        lane: LANE.into(),
        workspace: None,
        priority: 10,
        unique_key: None,
        payload: json!({"n": n, "do": what}),
        run_at: start(),
        max_attempts: 3,
    }
}

async fn a_delayed_job_waits(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(4));
    let later = start() + TimeDelta::minutes(5);
    fleet.add(&[NewJob { run_at: later, ..job(1, "end") }, job(2, "end")]).await;
    let worker = fleet.worker(&handlers);
    fleet.succeeded(1).await;
    a_while().await;
    assert_eq!(handlers.started(), [2]);
    fleet.clock.advance(TimeDelta::minutes(5));
    fleet.succeeded(2).await;
    worker.stop().await;
}

async fn higher_classes_go_first(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(1));
    let classes = [(1, 200), (2, 10), (3, 100)];
    fleet.add(&classes.map(|(n, priority)| NewJob { priority, ..job(n, "end") })).await;
    let worker = fleet.worker(&handlers);
    fleet.succeeded(3).await;
    assert_eq!(handlers.started(), [2, 3, 1]);
    worker.stop().await;
}

async fn what_is_paused_waits(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(4));
    fleet
        .say(
            "INSERT INTO queue_control (queue, paused, updated_by, updated_at)
              VALUES ('runPrompt', TRUE, 'test', '2026-01-01T00:00:00Z')",
        )
        .await;
    fleet.add(&[job(1, "end"), NewJob { lane: "brave".into(), ..job(2, "end") }]).await;
    let worker = fleet.worker(&handlers);
    a_while().await;
    assert!(handlers.started().is_empty());

    // The queue goes on, one of its lanes does not.
    fleet
        .say(
            "INSERT INTO lane_control (queue, lane, paused, throttle, updated_by, updated_at)
              VALUES ('runPrompt', 'brave', TRUE, 1000, 'test', '2026-01-01T00:00:00Z')",
        )
        .await;
    fleet.say("UPDATE queue_control SET paused = FALSE").await;
    fleet.succeeded(1).await;
    a_while().await;
    assert_eq!(handlers.started(), [1]);
    fleet.say("UPDATE lane_control SET paused = FALSE").await;
    fleet.succeeded(2).await;
    worker.stop().await;
}

async fn a_lane_keeps_to_its_rate(fleet: Fleet) {
    let rate = Some(Rate { per_minute: 60.0, burst: 5 });
    let handlers = Arc::new(Recorder { rate, ..Recorder::new(100) });
    fleet.add(&(0..40).map(|n| job(n, "end")).collect::<Vec<_>>()).await;
    let (one, other) = (fleet.worker(&handlers), fleet.worker(&handlers));
    fleet.succeeded(5).await;
    a_while().await;
    assert_eq!(handlers.started().len(), 5);
    for second in 1..=8 {
        fleet.clock.advance(TimeDelta::seconds(1));
        fleet.succeeded(5 + second).await;
    }
    a_while().await;
    assert_eq!(handlers.started().len(), 13);
    one.stop().await;
    other.stop().await;
}

async fn a_lane_keeps_to_its_limit(fleet: Fleet) {
    fleet
        .say(
            "INSERT INTO lane_control (queue, lane, paused, max_in_flight, throttle, updated_by,
                                       updated_at)
              VALUES ('runPrompt', 'perplexity', FALSE, 3, 1000, 'test', '2026-01-01T00:00:00Z')",
        )
        .await;
    let handlers = Arc::new(Recorder::new(20));
    fleet.add(&(0..12).map(|n| job(n, "wait")).collect::<Vec<_>>()).await;
    let (one, other) = (fleet.worker(&handlers), fleet.worker(&handlers));
    eventually(async || handlers.started().len() == 3).await;
    a_while().await;
    assert_eq!(handlers.started().len(), 3);
    handlers.gate.cancel();
    fleet.succeeded(12).await;
    assert_eq!(*handlers.most.lock().unwrap(), 3);
    one.stop().await;
    other.stop().await;
}

async fn a_workspace_leaves_others_half_of_a_lane(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(8));
    let (greedy, modest) = (WorkspaceId::generate(), WorkspaceId::generate());
    let of = |workspace, n| NewJob { workspace: Some(workspace), ..job(n, "wait") };
    let all = (0..50).map(|n| of(greedy, n)).chain((50..54).map(|n| of(modest, n)));
    fleet.add(&all.collect::<Vec<_>>()).await;
    let worker = fleet.worker(&handlers);
    eventually(async || handlers.started().len() == 8).await;
    assert_eq!((handlers.running(greedy), handlers.running(modest)), (4, 4));
    handlers.gate.cancel();
    fleet.succeeded(54).await;
    worker.stop().await;
}

async fn a_stopping_worker_ends_what_it_has(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(4));
    fleet.add(&(0..10).map(|n| job(n, "wait")).collect::<Vec<_>>()).await;
    let worker = fleet.worker(&handlers);
    eventually(async || handlers.started().len() == 4).await;
    let gate = handlers.gate.clone();
    let stopping = tokio::join!(worker.stop(), async {
        a_while().await;
        gate.cancel();
    });
    let ((), ()) = stopping;
    assert_eq!((fleet.count("succeeded").await, fleet.count("available").await), (4, 6));
    let worker = fleet.worker(&handlers);
    fleet.succeeded(10).await;
    assert_eq!(handlers.started().len(), 10);
    worker.stop().await;
}

async fn what_cannot_end_in_time_is_handed_back(mut fleet: Fleet) {
    fleet.config.drain_timeout = Duration::from_millis(50);
    let stuck = Arc::new(Recorder::new(4));
    fleet.add(&(0..4).map(|n| job(n, "wait")).collect::<Vec<_>>()).await;
    let worker = fleet.worker(&stuck);
    eventually(async || stuck.started().len() == 4).await;
    worker.stop().await;
    assert_eq!((fleet.count("available").await, fleet.count("running").await), (4, 0));
    let free = Arc::new(Recorder::new(4));
    free.gate.cancel();
    let worker = fleet.worker(&free);
    fleet.succeeded(4).await;
    worker.stop().await;
}

async fn a_panic_is_a_failure_of_the_job_alone(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(4));
    fleet.add(&[job(1, "panic"), job(2, "end")]).await;
    let worker = fleet.worker(&handlers);
    // A second attempt is due by the time at which the failure of the first is written.
    eventually(async || handlers.started().len() == 2 && fleet.count("running").await == 0).await;
    fleet.succeeded(1).await;
    fleet.clock.advance(TimeDelta::minutes(2));
    fleet.succeeded(2).await;
    assert_eq!(handlers.started().iter().filter(|n| **n == 1).count(), 2);
    worker.stop().await;
}

async fn a_thousand_are_in_flight_at_once(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(1000));
    fleet.add(&(0..1000).map(|n| job(n, "wait")).collect::<Vec<_>>()).await;
    let worker = fleet.worker(&handlers);
    eventually(async || handlers.started().len() == 1000).await;
    handlers.gate.cancel();
    fleet.succeeded(1000).await;
    worker.stop().await;
    assert_eq!(handlers.started().len(), 1000);
}

async fn a_long_backlog_is_done_once(fleet: Fleet) {
    let handlers = Arc::new(Recorder::new(64));
    fleet.add(&(0..4000).map(|n| job(n, "end")).collect::<Vec<_>>()).await;
    let (one, other) = (fleet.worker(&handlers), fleet.worker(&handlers));
    fleet.succeeded(4000).await;
    one.stop().await;
    other.stop().await;
    let mut started = handlers.started();
    started.sort_unstable();
    assert_eq!(started, (0..4000).collect::<Vec<_>>());
}

/// Nobody dies here, and jobs take longer than a lease: none may be taken for lost.
async fn a_healthy_fleet_does_nothing_twice(mut fleet: Fleet) {
    fleet.clock = Clock::default();
    fleet.config.lease = Duration::from_secs(1);
    fleet.config.renew_every = Duration::from_millis(300);
    let handlers = Arc::new(Recorder::new(30));
    let take = |n: i64| {
        let ms = [400, 1100, 2500][usize::try_from(n % 3).unwrap()];
        let payload = json!({"n": n, "do": "take", "ms": ms});
        NewJob { payload, run_at: fleet.clock.now(), ..job(n, "take") }
    };
    fleet.add(&(0..90).map(take).collect::<Vec<_>>()).await;
    let (one, other) = (fleet.worker(&handlers), fleet.worker(&handlers));
    fleet.succeeded(90).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(handlers.started().len(), 90);
}

async fn a_killed_worker_s_jobs_are_done_by_another(mut fleet: Fleet) {
    fleet.clock = Clock::default();
    fleet.config.lease = Duration::from_secs(1);
    fleet.config.renew_every = Duration::from_millis(300);
    let doomed = Arc::new(Recorder::new(10));
    let due = |n| NewJob { run_at: fleet.clock.now(), ..job(n, "wait") };
    fleet.add(&(0..30).map(due).collect::<Vec<_>>()).await;
    let victim = fleet.worker(&doomed);
    eventually(async || doomed.started().len() == 10).await;
    victim.kill();

    let heir = Arc::new(Recorder::new(10));
    heir.gate.cancel();
    let worker = fleet.worker(&heir);
    fleet.succeeded(30).await;
    assert_eq!(heir.started().len(), 30);
    victim.stop().await;
    worker.stop().await;
}

/// Redis forgets everything, again and again.
async fn a_wiped_broker_costs_nothing(fleet: Fleet) {
    if fleet.kind == Kind::Table {
        return;
    }
    let handlers = Arc::new(Recorder::new(8));
    let take =
        |n: i64| NewJob { payload: json!({"n": n, "do": "take", "ms": 20}), ..job(n, "take") };
    fleet.add(&(0..600).map(take).collect::<Vec<_>>()).await;
    let (one, other) = (fleet.worker(&handlers), fleet.worker(&handlers));
    for part in 1..5 {
        eventually(async || handlers.started().len() >= part * 100).await;
        fleet.wipe().await;
    }
    fleet.succeeded(600).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(handlers.started().len(), 600);
}

/// What BullMQ's own tools put there, or take away.
async fn strange_names_do_no_harm(fleet: Fleet) {
    let Some(bull) = &fleet.bull else { return };
    let connection = bullmq::options::RedisConnectionOptions {
        url: redis_url().unwrap(),
        ..bullmq::options::RedisConnectionOptions::default()
    };
    let options = bullmq::QueueOptions::new().connection(connection).prefix(bull.prefix.clone());
    let strange = bullmq::Queue::with_options(QUEUE, options).await.unwrap();
    let handlers = Arc::new(Recorder::new(4));
    let worker = fleet.worker(&handlers);
    strange.add("mine", json!({"hello": 1})).await.unwrap();
    let unknown = format!("{}.0", uuid::Uuid::now_v7());
    strange.add("old", json!({})).job_id(unknown).await.unwrap();
    fleet.add(&[job(1, "end")]).await;
    fleet.succeeded(1).await;
    eventually(async || strange.get_failed_count().await.unwrap() == 1).await;
    assert_eq!(handlers.started(), [1]);

    // Somebody pauses the queue there, and removes a job that waits.
    strange.pause().await.unwrap();
    fleet.add(&[job(2, "end"), job(3, "end")]).await;
    eventually(async || strange.get_waiting_count().await.unwrap() == 2).await;
    strange.drain(true).await.unwrap();
    strange.resume().await.unwrap();
    fleet.clock.advance(TimeDelta::seconds(10));
    fleet.succeeded(3).await;
    worker.stop().await;
}

macro_rules! on_every_dispatcher {
    ($($promise:ident),+ $(,)?) => {
        mod table {
            $(#[tokio::test]
            async fn $promise() {
                let clock = super::Clock::fixed(super::start());
                let fleet = super::Fleet::new(super::Kind::Table, clock).await.unwrap();
                super::$promise(fleet).await;
            })+
        }

        mod bull {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let clock = super::Clock::fixed(super::start());
                if let Some(fleet) = super::Fleet::new(super::Kind::Bull, clock).await {
                    super::$promise(fleet).await;
                }
            })+
        }
    };
}

on_every_dispatcher! {
    a_delayed_job_waits,
    higher_classes_go_first,
    what_is_paused_waits,
    a_lane_keeps_to_its_rate,
    a_lane_keeps_to_its_limit,
    a_workspace_leaves_others_half_of_a_lane,
    a_stopping_worker_ends_what_it_has,
    what_cannot_end_in_time_is_handed_back,
    a_panic_is_a_failure_of_the_job_alone,
    a_thousand_are_in_flight_at_once,
    a_long_backlog_is_done_once,
    a_healthy_fleet_does_nothing_twice,
    a_killed_worker_s_jobs_are_done_by_another,
    a_wiped_broker_costs_nothing,
    strange_names_do_no_harm,
}
