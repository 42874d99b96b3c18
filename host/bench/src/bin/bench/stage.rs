//! What all parts share: servers, folders, and who takes part.

use super::{
    Arguments, floor,
    machine::{Usage, Used},
    mocking::Vendors,
    peer, report,
};
use aiv_bench::servers::{Postgres, Redis, Server};
use anyhow::ensure;
use std::{path::PathBuf, time::Duration};

/// How long a process may take to stop.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) arguments: StageArguments,
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) vendors: Vendors,
    /// Where the peer was built, when it is here.
    pub(crate) peer: Option<PathBuf>,
    /// The floor's program, when it is here.
    pub(crate) floor: Option<PathBuf>,
}

/// The arguments that parts read.
#[derive(Debug, Clone)]
pub(crate) struct StageArguments {
    pub(crate) runs: usize,
    pub(crate) rounds: usize,
    pub(crate) in_flight: usize,
    pub(crate) concurrency: usize,
    pub(crate) statements: bool,
    pub(crate) aiv: PathBuf,
    pub(crate) plugins: PathBuf,
}

impl Stage {
    pub(crate) async fn set_up(arguments: &Arguments) -> anyhow::Result<Self> {
        ensure!(
            arguments.aiv.exists(),
            "{} is missing: run `cargo build --release -p aiv`",
            arguments.aiv.display()
        );
        raise_file_limit();
        let folder = arguments.folder.clone();
        let peer = peer::build(&arguments.peer, &folder.join("peer")).await?;
        let floor = match &peer {
            Some(copy) => Some(floor::build(copy, &folder.join("target")).await?),
            None => None,
        };
        if peer.is_none() {
            let place = arguments.peer.display();
            report::note(format_args!("no peer at {place}: only our own figures follow"));
        }
        let mut settings = Vec::new();
        if arguments.statements {
            settings.push("shared_preload_libraries=pg_stat_statements");
        }
        Ok(Self {
            arguments: StageArguments {
                runs: arguments.runs,
                rounds: arguments.rounds.max(1),
                in_flight: arguments.in_flight,
                concurrency: arguments.concurrency,
                statements: arguments.statements,
                aiv: std::path::absolute(&arguments.aiv)?,
                plugins: arguments.plugins.clone(),
            },
            folder,
            postgres: Postgres::start(&settings).await?,
            redis: Redis::start().await?,
            vendors: Vendors::start().await?,
            peer,
            floor,
        })
    }

    pub(crate) async fn tear_down(self) {
        self.vendors.server.stop(PATIENCE).await;
    }

    /// A clean slate for the next measurement: no checkpoint or vacuum of the last one runs into it.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.postgres.query("postgres", "CHECKPOINT").await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    /// PostgreSQL and Redis.
    pub(crate) fn pids(&self) -> [u32; 2] {
        let pid = |server: &Option<Server>| server.as_ref().map_or(0, |server| server.pid);
        [pid(&self.postgres.server), pid(&self.redis.server)]
    }

    /// CPU of PostgreSQL, Redis and the vendors, and of `apps` after them.
    pub(crate) fn usage(&self, apps: &[u32]) -> Usage {
        let [postgres, redis] = self.pids();
        let mut pids = vec![postgres, redis, self.vendors.server.pid];
        pids.extend(apps);
        Usage::now(&pids)
    }
}

/// CPU seconds by part of the system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    pub(crate) postgres: f64,
    pub(crate) redis: f64,
    pub(crate) vendors: f64,
    pub(crate) app: f64,
}

impl Split {
    pub(crate) fn of(used: &Used) -> Self {
        let at = |at: usize| used.processes.get(at).copied().unwrap_or(0.0);
        Self {
            postgres: at(0),
            redis: at(1),
            vendors: at(2),
            app: used.processes.iter().skip(3).sum(),
        }
    }
}

/// Thousands of connections need as many files; children inherit the limit.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
