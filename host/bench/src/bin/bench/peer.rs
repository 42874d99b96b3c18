//! The peer: the same job as another team would do it. It lives outside of this repository.

use super::{ours::Rows, stage::Stage};
use aiv_bench::{
    http::Api,
    servers::{Server, free_port, output, succeed, wait_for},
};
use anyhow::Context;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

pub(crate) const DATABASE: &str = "peer";
/// Its Redis database; it knows no other.
pub(crate) const REDIS: u8 = 0;

/// The peer, running.
pub(crate) struct Peer<'a> {
    stage: &'a Stage,
    pub(crate) worker: Server,
    pub(crate) api_server: Server,
    api: Api,
}

/// Copies what is at `from` to `to` and builds it there; nothing when it is absent, or npm is.
pub(crate) async fn build(from: &Path, to: &Path) -> anyhow::Result<Option<PathBuf>> {
    let npm = output(Command::new("npm").arg("--version")).await;
    if !from.join("package.json").exists() || npm.is_err() {
        return Ok(None);
    }
    copy(from, to).with_context(|| format!("copy {}", from.display()))?;
    if !to.join("node_modules").exists() {
        succeed("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], to).await?;
    }
    succeed("npx", ["tsc"], to).await?;
    Ok(Some(to.to_owned()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            // Not `fs::copy`: the original may be read-only, and what has not changed is not built
            // again.
            let content = fs::read(&from)?;
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::write(&to, content)?;
            }
        }
    }
    Ok(())
}

impl<'a> Peer<'a> {
    pub(crate) async fn start(
        stage: &'a Stage,
        folder: &Path,
        prompts: usize,
    ) -> anyhow::Result<Self> {
        let database = stage.postgres.create(DATABASE).await?;
        stage.postgres.run_file(DATABASE, &folder.join("sql/schema.sql"), &[]).await?;
        let variables = [("prompts", prompts.to_string())];
        stage.postgres.run_file(DATABASE, &folder.join("sql/base.sql"), &variables).await?;
        let port = free_port()?;
        let node = |script: &str| {
            let mut command = Command::new("node");
            command.arg(folder.join("dist").join(script)).env("DATABASE_URL", &database);
            command.env("REDIS_URL", stage.redis.url(REDIS)).env("MOCK_URL", &stage.vendors.url);
            command.env("API_PORT", port.to_string()).env("NODE_ENV", "production");
            command
        };
        let api_server = Server::start(&mut node("api.js"), &stage.folder.join("peer-api.log"))?;
        let worker = Server::start(&mut node("worker.js"), &stage.folder.join("peer-worker.log"))?;
        let api = Api::new(format!("http://127.0.0.1:{port}"), None)?;
        wait_for("the peer's API", || api.is_ready("/healthz")).await?;
        Ok(Self { stage, worker, api_server, api })
    }

    /// Empties its tables.
    pub(crate) async fn clear(stage: &Stage) -> anyhow::Result<()> {
        let tables = "prompt_runs, answers, mentions, citations, cost_ledger";
        stage.postgres.query(DATABASE, &format!("TRUNCATE {tables}")).await.map(drop)
    }

    pub(crate) async fn run(&self, salt: &str, prompts: usize) -> anyhow::Result<()> {
        let ids: Vec<String> = (1..=prompts).map(|number| format!("p{number}")).collect();
        let engines = ["PERPLEXITY", "AIO", "BRAVE"];
        let batch = json!({ "promptIds": ids, "engineKeys": engines, "salt": salt });
        let _: Value = self.api.post("/v1/runs/batch", &batch).await?;
        self.stage.vendors.wait_for(3 * prompts).await?;
        loop {
            let sql = "SELECT count(*) FROM prompt_runs WHERE status = 'PENDING'";
            if self.stage.postgres.number(DATABASE, sql).await? == 0.0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn rows(stage: &Stage) -> anyhow::Result<Rows> {
        let sql = "SELECT (SELECT count(*) FROM prompt_runs WHERE status = 'SUCCESS'),
                          (SELECT count(*) FROM answers), (SELECT count(*) FROM mentions),
                          (SELECT count(*) FROM citations)";
        Rows::parse(&stage.postgres.query(DATABASE, sql).await?)
    }
}
