use crate::{
    Clock, Result,
    ids::ProcessId,
    store::{
        Store,
        processes::{self, Process},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often a process says that it lives.
const BEAT: Duration = Duration::from_secs(10);
/// How long gone processes are remembered.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProcessRole {
    /// Serves the API, the docs and the dashboard.
    Api,
    /// Does what waits in the queues.
    Worker,
    /// Starts what schedules ask for.
    Scheduler,
    /// Everything.
    All,
}

impl ProcessRole {
    pub fn as_str(self) -> &'static str {
        match self {
            ProcessRole::Api => "api",
            ProcessRole::Worker => "worker",
            ProcessRole::Scheduler => "scheduler",
            ProcessRole::All => "all",
        }
    }

    pub fn works(self) -> bool {
        matches!(self, ProcessRole::Worker | ProcessRole::All)
    }

    pub fn schedules(self) -> bool {
        matches!(self, ProcessRole::Scheduler | ProcessRole::All)
    }

    pub fn serves(self) -> bool {
        matches!(self, ProcessRole::Api | ProcessRole::All)
    }
}

/// This process among the others. Cheap to clone.
#[derive(Clone)]
pub struct Presence(Arc<Inner>);

struct Inner {
    id: ProcessId,
    role: ProcessRole,
    concurrency: usize,
    started_at: DateTime<Utc>,
    in_flight: AtomicI64,
    draining: AtomicBool,
    /// Processes that live, this one included.
    living: AtomicUsize,
}

impl Presence {
    /// A process that does `concurrency` runs at once, if its role is to do any.
    pub fn new(role: ProcessRole, concurrency: usize, now: DateTime<Utc>) -> Self {
        Presence(Arc::new(Inner {
            id: ProcessId::generate(),
            role,
            concurrency: if role.works() { concurrency } else { 0 },
            started_at: now,
            in_flight: AtomicI64::new(0),
            draining: AtomicBool::new(false),
            living: AtomicUsize::new(1),
        }))
    }

    /// What its claims are signed with.
    pub fn id(&self) -> ProcessId {
        self.0.id
    }

    /// Somebody wants it to take no more jobs.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Processes that lived at the last beat, at least 1.
    pub fn living(&self) -> usize {
        self.0.living.load(Ordering::Relaxed)
    }

    pub(super) fn set_in_flight(&self, jobs: usize) {
        self.0.in_flight.store(i64::try_from(jobs).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Says that the process lives until `stop`, and that it is gone then.
    pub async fn run(self, store: Store, clock: Clock, stop: CancellationToken) {
        loop {
            if let Err(err) = self.beat(&store, &clock).await {
                tracing::warn!("cannot say that this process lives: {err}");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        let left = async {
            let mut tx = store.begin().await?;
            processes::leave(&mut tx, self.0.id).await?;
            tx.commit().await?;
            Result::<()>::Ok(())
        };
        if let Err(err) = left.await {
            tracing::debug!("cannot say that this process ends: {err}");
        }
    }

    /// Says once that the process lives, and learns who else does.
    pub async fn beat(&self, store: &Store, clock: &Clock) -> Result<()> {
        clock.follow(store.time().await?);
        let now = clock.now();
        let mut tx = store.begin().await?;
        processes::beat(&mut tx, &self.row(now)).await?;
        processes::forget(&mut tx, now - REMEMBERED).await?;
        let living = processes::living(&mut tx, now).await?;
        tx.commit().await?;
        let asked = living.iter().any(|process| process.id == self.0.id && process.draining);
        if asked && !self.0.draining.swap(true, Ordering::Relaxed) {
            tracing::info!("asked to take no more jobs");
        }
        self.0.living.store(living.len().max(1), Ordering::Relaxed);
        Ok(())
    }

    fn row(&self, now: DateTime<Utc>) -> Process {
        let system = rustix::system::uname();
        Process {
            id: self.0.id,
            role: self.0.role.as_str().into(),
            host: system.nodename().to_string_lossy().into_owned(),
            pid: i64::from(std::process::id()),
            version: env!("CARGO_PKG_VERSION").into(),
            concurrency: i64::try_from(self.0.concurrency).unwrap_or(i64::MAX),
            in_flight: self.0.in_flight.load(Ordering::Relaxed),
            draining: self.is_draining(),
            started_at: self.0.started_at,
            seen_at: now,
            // Said by whoever puts components in service.
            provider_generation: 0,
        }
    }
}
