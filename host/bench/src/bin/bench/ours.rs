//! The host, as an operator would start it.

use super::stage::Stage;
use aiv_bench::{
    host::{self, Host, Place, Process},
    http::Api,
};
use anyhow::{Context, ensure};
use serde_json::json;

/// An installation: one database, one or more processes.
pub(crate) struct Installation<'a> {
    stage: &'a Stage,
    pub(crate) database: String,
    host: Host,
}

/// A workspace to ask questions in.
pub(crate) struct Workspace {
    pub(crate) api: Api,
    pub(crate) prompts: Vec<String>,
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
        let place = Place {
            program: &stage.arguments.aiv,
            plugins: &stage.arguments.plugins,
            folder: &stage.folder.join("host"),
            database_url: stage.postgres.create(&database).await?,
            redis_url: redis.map(|number| stage.redis.url(number)),
            vendors_url: stage.vendors.url.clone(),
        };
        let host = Host::install(place).await?;
        Ok(Self { stage, database, host })
    }

    /// Starts a process with so many runs at once, and waits until it is ready.
    pub(crate) async fn serve(&self, concurrency: usize) -> anyhow::Result<Process> {
        let settings = [("WORKER_CONCURRENCY", concurrency.to_string())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.host.serve(&self.database, "all", &settings).await
    }

    /// Another workspace with brands, engines and prompts, made over the API.
    pub(crate) async fn workspace(
        &self,
        process: &Process,
        prompts: usize,
        concurrency: usize,
    ) -> anyhow::Result<Workspace> {
        let api = self.host.workspace(&process.base, concurrency).await?;
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
                host::text(&made, "/id")
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
        host::text(&batch, "/id")
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
