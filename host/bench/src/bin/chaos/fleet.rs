//! Everything that takes part.

use super::Arguments;
use aiv_bench::{
    host::{Host, Place, Process},
    http::Api,
    mock::Mock,
    servers::{Client, Postgres, Redis},
};
use anyhow::ensure;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const DATABASE: &str = "aiv";

/// Servers and processes. Faults need parts of it for themselves, so they are public.
pub(crate) struct Fleet {
    pub(crate) workers: Workers,
    pub(crate) api: Process,
    pub(crate) host: std::sync::Arc<Host>,
    pub(crate) vendors: Mock,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Option<Redis>,
    pub(crate) sql: Client,
}

/// The worker processes; `None` while one is dead.
pub(crate) struct Workers {
    pub(crate) processes: Vec<Option<Process>>,
    host: std::sync::Arc<Host>,
    concurrency: String,
}

impl Fleet {
    pub(crate) async fn start(
        arguments: &Arguments,
        workers: usize,
        concurrency: usize,
        lease: u64,
    ) -> anyhow::Result<Self> {
        let program = program(arguments)?;
        let fsync = if arguments.no_fsync { "fsync=off" } else { "fsync=on" };
        let postgres = Postgres::start(&[fsync]).await?;
        let redis = if arguments.no_redis { None } else { Some(Redis::start().await?) };
        let vendors = Mock::start().await?;
        if arguments.folder.exists() {
            clear_logs(&arguments.folder)?;
        }
        let mut host = Host::install(Place {
            program: &program,
            plugins: &arguments.plugins,
            folder: &arguments.folder,
            database_url: postgres.create(DATABASE).await?,
            redis_url: redis.as_ref().map(|redis| redis.url(0)),
            vendors_url: vendors.url(),
        })
        .await?;
        host.set("WORKER_LEASE_SECONDS", lease.to_string());
        let host = std::sync::Arc::new(host);
        let api = host.serve("api", "api", &[]).await?;
        let mut fleet = Workers {
            processes: Vec::new(),
            host: std::sync::Arc::clone(&host),
            concurrency: concurrency.to_string(),
        };
        for at in 0..workers {
            fleet.processes.push(None);
            fleet.start(at).await?;
        }
        let sql = postgres.client(DATABASE);
        Ok(Self { workers: fleet, api, host, vendors, postgres, redis, sql })
    }

    pub(crate) async fn workspace(&self, concurrency: usize) -> anyhow::Result<Api> {
        self.host.workspace(&self.api.base, concurrency).await
    }

    /// Asks every process to stop; says whether all did.
    pub(crate) async fn stop(mut self) -> bool {
        let mut stopped = true;
        for process in self.workers.processes.iter_mut().filter_map(Option::take) {
            stopped &= process.server.stop(Duration::from_secs(40)).await;
        }
        stopped & self.api.server.stop(Duration::from_secs(40)).await
    }
}

impl Workers {
    /// Starts the worker that was dead.
    pub(crate) async fn start(&mut self, at: usize) -> anyhow::Result<()> {
        let settings = [("WORKER_CONCURRENCY", self.concurrency.as_str())];
        let process = self.host.serve(&format!("worker-{at}"), "worker", &settings).await?;
        self.processes[at] = Some(process);
        Ok(())
    }
}

fn program(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(program) = &arguments.aiv {
        return Ok(program.clone());
    }
    let built = ["target/release/aiv", "target/debug/aiv"].map(PathBuf::from);
    let found = built.into_iter().find(|program| program.exists());
    ensure!(found.is_some(), "no host is built: run `cargo build -p aiv`");
    Ok(found.unwrap_or_default())
}

/// Logs of an earlier run would be taken for this one's.
fn clear_logs(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
