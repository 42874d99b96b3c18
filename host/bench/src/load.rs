//! Work: batches of questions that nobody asked before.

use crate::{
    host::{ENGINES, text},
    http::Api,
    servers::Client,
};
use anyhow::Context;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Requests of one workspace at once.
const AT_ONCE: usize = 8;
/// How long a request is repeated. Longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(90);

/// A workspace that starts batches, and remembers what was accepted.
pub struct Load {
    api: Api,
    number: usize,
    batches: usize,
    pub accepted: Vec<Accepted>,
}

/// A batch that the API said it would do.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub batch: String,
    pub runs: usize,
}

impl Load {
    pub fn new(api: Api, number: usize) -> Self {
        Self { api, number, batches: 0, accepted: Vec::new() }
    }

    /// Asks `prompts` new questions of every engine.
    pub async fn batch(&mut self, prompts: usize) -> anyhow::Result<()> {
        self.batches += 1;
        let name = format!("{}-{}", self.number, self.batches);
        let (mut ids, mut made) = (Vec::with_capacity(prompts), JoinSet::new());
        for number in 0..prompts {
            if made.len() >= AT_ONCE {
                ids.extend(made.join_next().await.transpose()?.transpose()?);
            }
            let (api, key) = (self.api.clone(), format!("prompt-{name}-{number}"));
            made.spawn(async move {
                let text = format!("Which project management tools suit team {key}?");
                let prompt = insist(&api, "/v1/prompts", &json!({ "text": text }), &key).await?;
                self::text(&prompt, "/id")
            });
        }
        while let Some(prompt) = made.join_next().await {
            ids.push(prompt??);
        }
        let body = json!({ "slot": name, "prompt_ids": ids });
        let batch = insist(&self.api, "/v1/batches", &body, &format!("batch-{name}")).await?;
        self.accepted.push(Accepted { batch: text(&batch, "/id")?, runs: prompts * ENGINES.len() });
        Ok(())
    }

    /// Starts batches until `end`, whenever fewer than `most` runs wait; `waiting` knows how many.
    pub async fn keep_going(
        mut self,
        prompts: usize,
        waiting: &AtomicUsize,
        most: usize,
        end: Instant,
    ) -> anyhow::Result<Vec<Accepted>> {
        while Instant::now() < end {
            if waiting.load(Ordering::Relaxed) < most {
                // Counted at once: the others must not fill the same gap.
                waiting.fetch_add(prompts * ENGINES.len(), Ordering::Relaxed);
                self.batch(prompts).await?;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(self.accepted)
    }
}

/// Repeats a request until it succeeds. It carries a key, so that it has one effect.
async fn insist(api: &Api, path: &str, body: &Value, key: &str) -> anyhow::Result<Value> {
    let start = Instant::now();
    loop {
        match api.post_once(path, body, key).await {
            Ok(answer) => return Ok(answer),
            Err(err) if start.elapsed() > PATIENCE => {
                return Err(err).with_context(|| format!("no success in {PATIENCE:?}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Notes again and again how many runs wait, for as long as it is polled.
pub async fn watch(sql: &Client, waiting: &AtomicUsize) {
    loop {
        // It cannot be known while the database is away.
        if let Some(count) = unfinished(sql).await {
            waiting.store(count, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// Jobs that wait or are being done.
pub async fn unfinished(sql: &Client) -> Option<usize> {
    let count = "SELECT count(*) FROM jobs WHERE state IN ('available', 'running')";
    sql.query(count).await.ok()?.parse().ok()
}

/// Waits until nothing is left to do, and says whether that came in time.
pub async fn finish(sql: &Client, patience: Duration) -> bool {
    let done = async {
        while unfinished(sql).await != Some(0) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(patience, done).await.is_ok()
}
