//! The jobs table against a model of it: whatever workers, brokers and operators do, in whatever
//! order, a job has one owner per epoch, an end counts once, and what has ended stays ended.

use crate::support::empty_store;
use aiv::{
    ids::{JobId, ProcessId, WorkspaceId},
    store::{
        Store,
        claims::{self, Grant, Lease},
        dispatches,
        jobs::{self, JobEnd, NewJob},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;

const QUEUE: &str = "model";
const LEASE: TimeDelta = TimeDelta::seconds(30);
const MAX_LOST: i64 = 2;

#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Claim {
        worker: usize,
        jobs: u8,
    },
    /// A broker gets jobs.
    Dispatch(u8),
    /// A broker delivers, maybe again, maybe late.
    Begin {
        worker: usize,
        which: prop::sample::Index,
    },
    /// Somebody says how a try ended, maybe long after it stopped being theirs.
    End {
        which: prop::sample::Index,
        end: End,
    },
    Renew(usize),
    Wait(u8),
    Rescue,
    HandBack(usize),
    /// A broker loses its memory.
    Wipe,
    TakeBack(prop::sample::Index),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Succeeded,
    Retry { counts: bool },
    Dead,
    Cancelled,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..3_usize;
    let which = any::<prop::sample::Index>();
    let end = prop_oneof![
        3 => Just(End::Succeeded),
        2 => any::<bool>().prop_map(|counts| End::Retry { counts }),
        1 => Just(End::Dead),
        1 => Just(End::Cancelled),
    ];
    prop_oneof![
        3 => (1..4_u8).prop_map(Step::Add),
        4 => (worker.clone(), 1..4_u8).prop_map(|(worker, jobs)| Step::Claim { worker, jobs }),
        2 => (1..4_u8).prop_map(Step::Dispatch),
        4 => (worker.clone(), which.clone())
            .prop_map(|(worker, which)| Step::Begin { worker, which }),
        6 => (which.clone(), end).prop_map(|(which, end)| Step::End { which, end }),
        1 => worker.clone().prop_map(Step::Renew),
        2 => (1..40_u8).prop_map(Step::Wait),
        2 => Just(Step::Rescue),
        1 => worker.prop_map(Step::HandBack),
        1 => Just(Step::Wipe),
        1 => which.prop_map(Step::TakeBack),
    ]
}

/// A row, as far as the model speaks of it.
#[derive(Debug, Clone, PartialEq)]
struct Job {
    state: &'static str,
    epoch: i64,
    attempt: i64,
    lost: i64,
    owner: Option<usize>,
    dispatched: bool,
}

struct Model {
    store: Store,
    lane: String,
    now: DateTime<Utc>,
    workers: Vec<ProcessId>,
    jobs: BTreeMap<JobId, Job>,
    leases: BTreeMap<JobId, DateTime<Utc>>,
    /// All that a broker ever had.
    broker: Vec<(JobId, i64)>,
    /// All tries that ever began.
    tries: Vec<(usize, JobId, i64)>,
}

impl Model {
    fn new(store: Store) -> Self {
        Model {
            store,
            lane: uuid::Uuid::now_v7().to_string(),
            now: DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
            workers: (0..3).map(|_| ProcessId::generate()).collect(),
            jobs: BTreeMap::new(),
            leases: BTreeMap::new(),
            broker: vec![],
            tries: vec![],
        }
    }

    fn grant(&self, jobs: u8) -> Vec<Grant> {
        let (lane, workspace) = (self.lane.clone(), WorkspaceId(uuid::Uuid::nil()));
        vec![Grant { lane, priority: 1, workspace, jobs: jobs.into() }]
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of step")]
    async fn apply(&mut self, step: Step) {
        let mut tx = self.store.begin().await.unwrap();
        let now = self.now;
        match step {
            Step::Add(jobs) => {
                let job = NewJob {
                    queue: QUEUE,
                    lane: self.lane.clone(),
                    workspace: None,
                    priority: 1,
                    unique_key: None,
                    payload: json!({}),
                    run_at: now,
                    max_attempts: 3,
                };
                let new = vec![job; jobs.into()];
                assert_eq!(jobs::insert(&mut tx, &new, now).await.unwrap(), u64::from(jobs));
                tx.commit().await.unwrap();
                for id in self.rows().await.into_keys() {
                    self.jobs.entry(id).or_insert(Job {
                        state: "available",
                        epoch: 0,
                        attempt: 0,
                        lost: 0,
                        owner: None,
                        dispatched: false,
                    });
                }
                return;
            }
            Step::Claim { worker, jobs } => {
                let lease = Lease { owner: self.workers[worker], until: now + LEASE };
                let grants = self.grant(jobs);
                let claimed = claims::claim(&mut tx, QUEUE, &grants, lease, now).await.unwrap();
                let free = self.jobs.values().filter(|j| j.state == "available" && !j.dispatched);
                assert_eq!(claimed.len(), free.count().min(jobs.into()));
                for job in claimed {
                    assert!(!self.jobs[&job.id].dispatched);
                    self.begun(worker, job.id, job.epoch, job.attempt);
                }
            }
            Step::Dispatch(jobs) => {
                let grants = self.grant(jobs);
                let due = dispatches::due(&mut tx, QUEUE, &grants, now).await.unwrap();
                let sent: Vec<_> = due.iter().map(|job| (job.id, job.epoch)).collect();
                dispatches::mark(&mut tx, &sent, now).await.unwrap();
                for (id, epoch) in &sent {
                    let job = self.jobs.get_mut(id).unwrap();
                    assert!(job.state == "available" && job.epoch == *epoch && !job.dispatched);
                    job.dispatched = true;
                }
                self.broker.extend(sent);
            }
            Step::Begin { worker, which } if !self.broker.is_empty() => {
                let (id, epoch) = *which.get(&self.broker);
                let lease = Lease { owner: self.workers[worker], until: now + LEASE };
                let begun = claims::begin(&mut tx, &[(id, epoch)], lease, now).await.unwrap();
                let job = &self.jobs[&id];
                assert_eq!(begun.len() == 1, job.state == "available" && job.epoch == epoch);
                if let Some(job) = begun.first() {
                    self.begun(worker, id, epoch, job.attempt);
                }
            }
            Step::End { which, end } if !self.tries.is_empty() => {
                let (worker, id, epoch) = *which.get(&self.tries);
                self.end(&mut tx, worker, id, epoch, end).await;
            }
            Step::Renew(worker) => {
                let until = now + LEASE;
                jobs::renew(&mut tx, self.workers[worker], until).await.unwrap();
                for (id, job) in self.jobs.iter().filter(|(_, job)| job.owner == Some(worker)) {
                    assert_eq!(job.state, "running");
                    self.leases.insert(*id, until);
                }
            }
            Step::Wait(seconds) => self.now += TimeDelta::seconds(seconds.into()),
            Step::Rescue => {
                jobs::rescue(&mut tx, MAX_LOST, now).await.unwrap();
                for (id, job) in self.jobs.iter_mut().filter(|(_, job)| job.state == "running") {
                    if self.leases[id] < now {
                        job.state = if job.lost >= MAX_LOST { "dead" } else { "available" };
                        (job.epoch, job.lost) = (job.epoch + 1, job.lost + 1);
                        (job.owner, job.dispatched) = (None, false);
                    }
                }
            }
            Step::HandBack(worker) => {
                jobs::hand_back(&mut tx, self.workers[worker], now).await.unwrap();
                for job in self.jobs.values_mut().filter(|job| job.owner == Some(worker)) {
                    (job.state, job.epoch, job.attempt) =
                        ("available", job.epoch + 1, job.attempt - 1);
                    (job.owner, job.dispatched) = (None, false);
                }
            }
            Step::Wipe => {
                dispatches::forget_all(&mut tx, QUEUE).await.unwrap();
                for job in self.jobs.values_mut().filter(|job| job.state == "available") {
                    job.dispatched = false;
                }
            }
            Step::TakeBack(which) if !self.broker.is_empty() => {
                let (id, epoch) = *which.get(&self.broker);
                dispatches::take_back(&mut tx, &[(id, epoch)]).await.unwrap();
                let job = self.jobs.get_mut(&id).unwrap();
                if job.state == "available" && job.epoch == epoch {
                    (job.epoch, job.dispatched) = (epoch + 1, false);
                }
            }
            Step::Begin { .. } | Step::End { .. } | Step::TakeBack(_) => {}
        }
        tx.commit().await.unwrap();
    }

    fn begun(&mut self, worker: usize, id: JobId, epoch: i64, attempt: i64) {
        let job = self.jobs.get_mut(&id).unwrap();
        assert_eq!((job.state, job.epoch, job.attempt + 1), ("available", epoch, attempt));
        (job.state, job.attempt, job.owner) = ("running", attempt, Some(worker));
        self.leases.insert(id, self.now + LEASE);
        let again = self.tries.iter().any(|(_, other, old)| (*other, *old) == (id, epoch));
        assert!(!again, "two tries under one epoch");
        self.tries.push((worker, id, epoch));
    }

    async fn end(
        &mut self,
        tx: &mut aiv::store::Tx,
        worker: usize,
        id: JobId,
        epoch: i64,
        end: End,
    ) {
        let error = || "as the test says".to_owned();
        let said = match end {
            End::Succeeded => JobEnd::Succeeded,
            End::Retry { counts } => {
                JobEnd::Retry { run_at: self.now, counts, error: Some(error()) }
            }
            End::Dead => JobEnd::Dead { error: error() },
            End::Cancelled => JobEnd::Cancelled,
        };
        let owner = self.workers[worker];
        let ended = jobs::end(tx, owner, &[(id, epoch, said)], self.now).await.unwrap();
        let job = self.jobs.get_mut(&id).unwrap();
        let is_theirs = job.owner == Some(worker) && job.epoch == epoch;
        assert_eq!(ended.contains(&id), is_theirs);
        if !is_theirs {
            return;
        }
        (job.owner, job.dispatched) = (None, false);
        match end {
            End::Succeeded => job.state = "succeeded",
            End::Dead => job.state = "dead",
            End::Cancelled => job.state = "cancelled",
            End::Retry { counts } => {
                (job.state, job.epoch) = ("available", job.epoch + 1);
                job.attempt -= i64::from(!counts);
            }
        }
    }

    /// The rows of this model's lane.
    async fn rows(&self) -> BTreeMap<JobId, Job> {
        let sql = AssertSqlSafe(format!(
            "SELECT id, state, epoch, attempt, lost, owner, dispatched_at IS NOT NULL AS dispatched
             FROM jobs WHERE queue = '{QUEUE}' AND lane = '{}'",
            self.lane
        ));
        macro_rules! read {
            ($pool:expr) => {
                sqlx::query(sql)
                    .fetch_all($pool)
                    .await
                    .unwrap()
                    .iter()
                    .map(|row| {
                        let state: String = row.get("state");
                        let owner: Option<ProcessId> = row.get("owner");
                        let place = |id| self.workers.iter().position(|other| *other == id);
                        let job = Job {
                            state: state.leak(),
                            epoch: row.get("epoch"),
                            attempt: row.get("attempt"),
                            lost: row.get("lost"),
                            owner: owner.map(|id| place(id).unwrap()),
                            dispatched: row.get("dispatched"),
                        };
                        (row.get("id"), job)
                    })
                    .collect()
            };
        }
        match &self.store {
            Store::Postgres(pool) => read!(pool),
            Store::Sqlite { readers, .. } => read!(readers),
        }
    }

    async fn check(&self) {
        let mut rows = self.rows().await;
        for (id, job) in &self.jobs {
            let mut row = rows.remove(id).unwrap();
            // What a broker was said to have means nothing once somebody has the job.
            if row.state != "available" {
                row.dispatched = job.dispatched;
            }
            assert_eq!(row, *job);
        }
        assert!(rows.is_empty());
    }
}

#[test]
fn the_table_does_what_the_model_does() {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let files = tempfile::tempdir().unwrap();
    let store = tokio.block_on(empty_store(&files));
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..<_>::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..60))| {
        tokio.block_on(async {
            let mut model = Model::new(store.clone());
            for step in steps {
                model.apply(step).await;
                model.check().await;
            }
        });
    });
}
