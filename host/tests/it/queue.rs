//! The jobs table: who holds what, and what an end is worth.

use crate::support::{Host, empty_store};
use aiv::{
    Clock,
    ids::{ProcessId, WorkspaceId},
    queue::{Ended, Handlers, Queue, QueueSpec, Worker, WorkerConfig},
    store::{
        Conn, Store,
        claims::{self, Grant, Lease},
        jobs::{self, Claimed, JobEnd, NewJob},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const QUEUE: &str = "runPrompt";

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn job(lane: &str, priority: i64, run_at: DateTime<Utc>) -> NewJob {
    NewJob {
        queue: QUEUE,
        lane: lane.into(),
        workspace: None,
        priority,
        unique_key: None,
        payload: json!({"priority": priority}),
        run_at,
        max_attempts: 3,
    }
}

async fn add(store: &Store, jobs: &[NewJob]) -> u64 {
    let mut tx = store.begin().await.unwrap();
    let added = jobs::insert(&mut tx, jobs, start()).await.unwrap();
    tx.commit().await.unwrap();
    added
}

async fn claim(store: &Store, lane: &str, owner: ProcessId, now: DateTime<Utc>) -> Vec<Claimed> {
    let mut tx = store.begin().await.unwrap();
    let start = (i64::MIN, WorkspaceId(uuid::Uuid::nil()));
    let waiting = claims::waiting(&mut tx, QUEUE, lane, start, 1000).await.unwrap();
    let grants: Vec<_> = waiting
        .into_iter()
        .map(|group| Grant {
            lane: lane.into(),
            priority: group.priority,
            workspace: group.workspace_id,
            jobs: 10,
        })
        .collect();
    let lease = Lease { owner, until: now + TimeDelta::seconds(30) };
    let claimed = claims::claim(&mut tx, QUEUE, &grants, lease, now).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn end(store: &Store, owner: ProcessId, claimed: &Claimed, end: JobEnd) -> bool {
    let mut tx = store.begin().await.unwrap();
    let ends = [(claimed.id, claimed.epoch, end)];
    let ended = jobs::end(&mut tx, owner, &ends, start()).await.unwrap();
    tx.commit().await.unwrap();
    ended.contains(&claimed.id)
}

#[tokio::test]
async fn due_jobs_are_claimed_once_in_order_of_priority() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    let later = start() + TimeDelta::seconds(60);
    add(&store, &[job("a", 200, start()), job("a", 100, start()), job("a", 1, later)]).await;

    let (one, other) = (ProcessId::generate(), ProcessId::generate());
    let mut taken: Vec<_> = claim(&store, "a", one, start())
        .await
        .iter()
        .map(|job| job.payload["priority"].as_i64().unwrap())
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, [100, 200]);
    assert!(claim(&store, "a", other, start()).await.is_empty());
    assert_eq!(claim(&store, "a", other, later).await.len(), 1);
}

#[tokio::test]
async fn lanes_with_work_are_found() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    let mut conn = store.read().await.unwrap();
    assert!(claims::lanes(&mut conn, QUEUE).await.unwrap().is_empty());
    drop(conn);
    add(&store, &[job("b", 1, start()), job("a", 1, start()), job("b", 1, start())]).await;
    let mut conn = store.read().await.unwrap();
    assert_eq!(claims::lanes(&mut conn, QUEUE).await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_unique_key_keeps_a_second_job_out_until_the_first_has_ended() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    let unique = NewJob { unique_key: Some("once".into()), ..job("a", 1, start()) };
    assert_eq!(add(&store, std::slice::from_ref(&unique)).await, 1);
    assert_eq!(add(&store, std::slice::from_ref(&unique)).await, 0);
    let owner = ProcessId::generate();
    let claimed = claim(&store, "a", owner, start()).await;
    assert!(end(&store, owner, &claimed[0], JobEnd::Succeeded).await);
    assert_eq!(add(&store, &[unique]).await, 1);
}

#[tokio::test]
async fn what_an_old_owner_says_does_not_count() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    add(&store, &[job("a", 1, start())]).await;
    let (old, new) = (ProcessId::generate(), ProcessId::generate());
    let lost = claim(&store, "a", old, start()).await.remove(0);

    let expired = start() + TimeDelta::seconds(31);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(jobs::rescue(&mut tx, 3, start()).await.unwrap().len(), 0);
    assert_eq!(jobs::rescue(&mut tx, 3, expired).await.unwrap().len(), 1);
    tx.commit().await.unwrap();

    let taken = claim(&store, "a", new, expired).await.remove(0);
    assert!(!end(&store, old, &lost, JobEnd::Succeeded).await);
    assert!(end(&store, new, &taken, JobEnd::Succeeded).await);
    assert!(!end(&store, new, &taken, JobEnd::Succeeded).await, "an end counts once");
}

#[tokio::test]
async fn a_job_that_keeps_losing_its_worker_is_buried() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    add(&store, &[job("a", 1, start())]).await;
    let mut now = start();
    for round in 0..4 {
        assert_eq!(claim(&store, "a", ProcessId::generate(), now).await.len(), 1);
        now += TimeDelta::seconds(31);
        let mut tx = store.begin().await.unwrap();
        let rescued = jobs::rescue(&mut tx, 3, now).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(rescued[0].buried, round == 3);
    }
    assert!(claim(&store, "a", ProcessId::generate(), now).await.is_empty());
}

#[tokio::test]
async fn a_retry_that_does_not_count_leaves_the_attempts_alone() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    add(&store, &[job("a", 1, start())]).await;
    let owner = ProcessId::generate();
    for counts in [false, false, true] {
        let claimed = claim(&store, "a", owner, start()).await.remove(0);
        assert_eq!(claimed.attempt, 1);
        let retry = JobEnd::Retry { run_at: start(), counts, error: Some("busy".into()) };
        assert!(end(&store, owner, &claimed, retry).await);
    }
    assert_eq!(claim(&store, "a", owner, start()).await[0].attempt, 2);
}

#[tokio::test]
async fn handed_back_jobs_are_as_if_never_claimed() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    add(&store, &[job("a", 1, start()), job("a", 1, start())]).await;
    let owner = ProcessId::generate();
    assert_eq!(claim(&store, "a", owner, start()).await.len(), 2);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(jobs::hand_back(&mut tx, owner, start()).await.unwrap(), 2);
    tx.commit().await.unwrap();
    let again = claim(&store, "a", ProcessId::generate(), start()).await;
    assert!(again.iter().all(|job| job.attempt == 1));
}

#[tokio::test]
async fn many_claimers_never_get_the_same_job() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    let jobs: Vec<_> = (0..200).map(|n| job("a", n, start())).collect();
    add(&store, &jobs).await;
    let claimers = (0..8).map(|_| {
        let store = store.clone();
        async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&store, "a", ProcessId::generate(), start()).await;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|job| job.id));
            }
        }
    });
    let all: Vec<_> = futures_util::future::join_all(claimers).await.concat();
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 200);
}

#[tokio::test]
async fn a_job_of_an_unknown_kind_is_retried_and_then_buried() {
    let host = Host::start().await;
    let mut tx = host.app.store.begin().await.unwrap();
    let broken = NewJob { payload: json!({"nonsense": true}), ..job("a", 1, start()) };
    jobs::insert(&mut tx, &[broken], start()).await.unwrap();
    tx.commit().await.unwrap();
    host.work().await;
    let mut conn = host.app.store.read().await.unwrap();
    let counts = jobs::counts(&mut conn).await.unwrap();
    assert_eq!((counts.len(), counts[0].state.as_str()), (1, "dead"), "{counts:?}");
}

/// Jobs of lane `slow` wait until they are released; the others end at once.
struct SlowLane {
    released: CancellationToken,
    done: Mutex<Vec<String>>,
}

impl Handlers for SlowLane {
    fn queues(&self) -> Vec<QueueSpec> {
        vec![QueueSpec { name: QUEUE, concurrency: 4 }]
    }

    fn run(&self, job: Claimed) -> BoxFuture<'_, aiv::Result<Ended>> {
        Box::pin(async move {
            if job.lane == "slow" {
                self.released.cancelled().await;
            }
            self.done.lock().unwrap().push(job.lane);
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

#[tokio::test]
async fn a_slow_lane_leaves_room_for_the_others() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    let slow = (0..20).map(|n| job("slow", n, start()));
    let quick = (0..12).map(|n| job("quick", 100 + n, start()));
    add(&store, &slow.chain(quick).collect::<Vec<_>>()).await;

    let handlers =
        Arc::new(SlowLane { released: CancellationToken::new(), done: Mutex::default() });
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let config = WorkerConfig { poll_every: Duration::from_millis(5), ..WorkerConfig::default() };
    let clock = Clock::fixed(start());
    let worker = Worker::embedded(config, store, clock, Queue::new(true), handlers.clone());
    tasks.spawn(worker.run(stop.clone()));
    let done = || handlers.done.lock().unwrap().clone();
    while done().len() < 12 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(done().iter().all(|lane| lane == "quick"));
    handlers.released.cancel();
    while done().len() < 32 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
