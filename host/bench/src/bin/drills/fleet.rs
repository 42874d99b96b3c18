//! Everything that takes part: a database, vendors, an API and two workers.

use super::Arguments;
use aiv_bench::{
    host::{Host, Place, Process, text},
    http::Api,
    mock::{Control, Mock},
    servers::{Client, Postgres},
};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const DATABASE: &str = "aiv";

pub(crate) struct Fleet {
    pub(crate) api: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) operator: Api,
    pub(crate) sql: Client,
    host: Host,
    _vendors: Mock,
    _postgres: Postgres,
}

impl Fleet {
    pub(crate) async fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let postgres = Postgres::start(&["fsync=off"]).await?;
        let vendors = Mock::start().await?;
        vendors.control(Control { latency_ms: arguments.latency_ms, ..Control::default() });
        let host = Host::install(Place {
            program: &program(arguments)?,
            plugins: &arguments.plugins,
            folder: &arguments.folder,
            database_url: postgres.create(DATABASE).await?,
            redis_url: None,
            vendors_url: vendors.url(),
        })
        .await?;
        let concurrency = arguments.concurrency.to_string();
        let settings = [("WORKER_CONCURRENCY", concurrency.as_str())];
        let api = host.serve("api", "api", &[]).await?;
        let mut workers = Vec::new();
        for at in 0..2 {
            workers.push(host.serve(&format!("worker-{at}"), "worker", &settings).await?);
        }
        let operator = host.operator(&api.base).await?;
        let sql = postgres.client(DATABASE);
        Ok(Self { api, workers, operator, sql, host, _vendors: vendors, _postgres: postgres })
    }

    pub(crate) async fn workspace(&self, concurrency: usize) -> anyhow::Result<Api> {
        self.host.workspace(&self.api.base, concurrency).await
    }

    /// All that the API says of a provider.
    pub(crate) async fn inspect(&self, key: &str) -> anyhow::Result<Value> {
        self.operator.get(&format!("/v1/admin/providers/{key}")).await
    }

    /// Installs a component; gives back its digest.
    pub(crate) async fn install(&self, key: &str, component: Vec<u8>) -> anyhow::Result<String> {
        let (status, made) =
            self.operator.upload(&format!("/v1/admin/providers/{key}"), component).await?;
        ensure!(status == 201, "installing answered {status}: {made}");
        text(&made, "/digest")
    }

    /// Does `what` with a provider, and says how it came out and how long that took.
    pub(crate) async fn change(
        &self,
        key: &str,
        what: &str,
        body: &Value,
    ) -> anyhow::Result<(Value, Duration)> {
        let started = Instant::now();
        let path = format!("/v1/admin/providers/{key}/{what}");
        let mut answer = self.operator.post(&path, body).await?;
        if what == "disable" {
            answer = json!({"state": "active"});
        }
        ensure!(answer["state"] == "active", "{what} answered {answer}");
        Ok((answer, started.elapsed()))
    }

    /// Waits until every worker has the newest generation in service; how long since `started`.
    pub(crate) async fn converged(
        &self,
        started: Instant,
        patience: Duration,
    ) -> anyhow::Result<Option<Duration>> {
        let behind = "SELECT count(*) FROM processes, provider_generation
                      WHERE role = 'worker' AND provider_generation < generation";
        while started.elapsed() < patience {
            if self.sql.query(behind).await? == "0" {
                return Ok(Some(started.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    /// Resident memory of the workers, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<Vec<u64>> {
        self.workers
            .iter()
            .map(|worker| {
                let status =
                    std::fs::read_to_string(format!("/proc/{}/status", worker.server.pid))?;
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
                let kib = line.and_then(|line| line.trim().split(' ').next());
                Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
            })
            .collect()
    }

    /// Asks every process to stop; says whether all did.
    pub(crate) async fn stop(self) -> bool {
        let mut stopped = true;
        for process in self.workers {
            stopped &= process.server.stop(Duration::from_secs(40)).await;
        }
        stopped & self.api.server.stop(Duration::from_secs(40)).await
    }
}

pub(crate) fn program(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(program) = &arguments.aiv {
        return Ok(program.clone());
    }
    let built = ["target/release/aiv", "target/debug/aiv"].map(PathBuf::from);
    let found = built.into_iter().find(|program| program.exists());
    found.context("no host is built: run `cargo build -p aiv`")
}
