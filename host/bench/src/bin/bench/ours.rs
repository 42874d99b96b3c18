//! The host, as an operator would start it.

use super::{
    http::Api,
    servers::{self, Server, free_port, wait_for},
    stage::Stage,
};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::process::Command;

pub(crate) const ENGINES: [&str; 3] = ["perplexity", "aio", "brave"];
const BRANDS: [&str; 6] = ["Asana", "Trello", "Monday.com", "Notion", "ClickUp", "Wrike"];

/// An installation: one database, one or more processes.
pub(crate) struct Installation<'a> {
    stage: &'a Stage,
    pub(crate) database: String,
    settings: Vec<(String, String)>,
}

/// A workspace to ask questions in.
pub(crate) struct Workspace {
    api: Api,
    pub(crate) prompts: Vec<String>,
}

/// One `aiv serve`.
pub(crate) struct Process {
    pub(crate) server: Server,
    pub(crate) base: String,
}

/// Rows of finished runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) runs: f64,
    pub(crate) answers: f64,
    pub(crate) mentions: f64,
    pub(crate) citations: f64,
}

impl Rows {
    pub(crate) fn since(self, before: Rows) -> Rows {
        Rows {
            runs: self.runs - before.runs,
            answers: self.answers - before.answers,
            mentions: self.mentions - before.mentions,
            citations: self.citations - before.citations,
        }
    }

    /// Every run ended once, with an answer in which brands were found.
    pub(crate) fn check(self, runs: usize) -> anyhow::Result<()> {
        let expected = f64::from(u32::try_from(runs)?);
        ensure!(
            (self.runs, self.answers) == (expected, expected)
                && self.mentions > expected
                && self.citations > expected,
            "{runs} runs were due, these rows were written: {self:?}"
        );
        Ok(())
    }

    /// Reads four counts, separated by `|`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Rows> {
        let counts: Vec<f64> =
            text.split('|').map(str::parse).collect::<Result<_, _>>().context("read the counts")?;
        let [runs, answers, mentions, citations] = counts[..] else {
            anyhow::bail!("four counts were due: {text}")
        };
        Ok(Rows { runs, answers, mentions, citations })
    }
}

impl<'a> Installation<'a> {
    /// An empty database with the current schema. `redis` is a database number there.
    pub(crate) async fn new(
        stage: &'a Stage,
        name: &str,
        redis: Option<u8>,
    ) -> anyhow::Result<Self> {
        let database = format!("aiv_{name}");
        let url = stage.postgres.create(&database).await?;
        let folder = stage.folder.join("host");
        let set = |name: &str, value: String| (name.to_owned(), value);
        let mut settings = vec![
            set("DATABASE_URL", url),
            set("PROVIDER_MODE", "mock".into()),
            set("PROVIDER_MOCK_URL", stage.vendors.url.clone()),
            set("PLUGIN_DIR", absolute(&stage.arguments.plugins)?),
            set("PLUGIN_CACHE_DIR", absolute(&folder)? + "/plugin-cache"),
            set("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000".into()),
            set("RATE_LIMIT_BURST", "100000".into()),
            set("RUST_LOG", "warn".into()),
            set("LOG_FORMAT", "json".into()),
        ];
        settings.extend(redis.map(|number| set("REDIS_URL", stage.redis.url(number))));
        std::fs::create_dir_all(&folder)?;
        let installation = Self { stage, database, settings };
        servers::output(installation.aiv().arg("migrate")).await?;
        Ok(installation)
    }

    fn aiv(&self) -> Command {
        let mut command = Command::new(&self.stage.arguments.aiv);
        command.env_clear().envs(self.settings.iter().cloned());
        command
    }

    /// Starts a process with so many runs at once, and waits until it is ready.
    pub(crate) async fn serve(
        &self,
        concurrency: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let port = free_port()?;
        let mut command = self.aiv();
        command.arg("serve").env("PORT", port.to_string());
        command.env("WORKER_CONCURRENCY", concurrency.to_string()).envs(settings.iter().copied());
        let log = self.stage.folder.join(format!("{}-{port}.log", self.database));
        let server = Server::start(&mut command, &log)?;
        let base = format!("http://127.0.0.1:{port}");
        let api = Api::new(base.clone(), None)?;
        wait_for(&format!("aiv serve ({})", log.display()), || api.is_ready("/readyz")).await?;
        Ok(Process { server, base })
    }

    /// Another workspace with brands, engines and prompts, made over the API.
    pub(crate) async fn workspace(
        &self,
        process: &Process,
        prompts: usize,
        concurrency: usize,
    ) -> anyhow::Result<Workspace> {
        let made = servers::output(self.aiv().args(["--json", "key", "create", "--admin"])).await?;
        let made: Value = serde_json::from_str(&made)?;
        let operator = Api::new(&process.base, Some(text(&made, "/key")?))?;
        let made = operator.post("/v1/workspaces", &json!({ "name": "Bench" })).await?;
        let api = Api::new(&process.base, Some(text(&made, "/owner/key")?))?;
        for (at, name) in BRANDS.iter().enumerate() {
            let kind = if at == 0 { "own" } else { "competitor" };
            api.post("/v1/brands", &json!({ "name": name, "kind": kind })).await?;
        }
        for engine in ENGINES {
            let path = format!("/v1/engines/{engine}");
            api.put(&path, &json!({ "concurrency": concurrency.min(1024) })).await?;
        }
        let mut ids = Vec::with_capacity(prompts);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..prompts {
            if tasks.len() >= 16 {
                ids.extend(tasks.join_next().await.transpose()?.transpose()?);
            }
            let api = api.clone();
            tasks.spawn(async move {
                let text = format!("Which project management tools suit team number {number}?");
                let made = api.post("/v1/prompts", &json!({ "text": text })).await?;
                self::text(&made, "/id")
            });
        }
        while let Some(made) = tasks.join_next().await {
            ids.push(made??);
        }
        Ok(Workspace { api, prompts: ids })
    }

    pub(crate) async fn rows(&self) -> anyhow::Result<Rows> {
        let sql = "SELECT (SELECT count(*) FROM runs WHERE state = 'succeeded'),
                          (SELECT count(*) FROM answers), (SELECT count(*) FROM mentions),
                          (SELECT count(*) FROM citations)";
        Rows::parse(&self.stage.postgres.query(&self.database, sql).await?)
    }
}

impl Workspace {
    /// Starts a batch of the first `prompts` prompts with every engine, for a slot of its own.
    pub(crate) async fn start(&self, slot: &str, prompts: usize) -> anyhow::Result<String> {
        let ids = &self.prompts[..prompts.min(self.prompts.len())];
        let batch =
            self.api.post("/v1/batches", &json!({ "slot": slot, "prompt_ids": ids })).await?;
        text(&batch, "/id")
    }

    /// Waits for the end of a batch.
    pub(crate) async fn finish(&self, batch: &str) -> anyhow::Result<()> {
        loop {
            let found = self.api.get(&format!("/v1/batches/{batch}")).await?;
            if found["state"] == "completed" {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {pointer} in {value}"))?.to_owned())
}

fn absolute(path: &PathBuf) -> anyhow::Result<String> {
    Ok(std::path::absolute(path)?.display().to_string())
}
