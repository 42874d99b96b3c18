use super::{Context, Job, RunPrompt, budget_policy};
use crate::{
    App, Error, Result, Violation,
    ids::{BatchId, PromptId, RunId, WorkspaceId},
    queue::Ended,
    store::{
        Conn,
        batches::{self, Batch, BatchState, Selection},
        budgets, engines,
        jobs::{Claimed, JobEnd, NewJob, Priority},
        prompts::{self, Prompt},
        runs::{self, NewRun},
        workspaces,
    },
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashSet};

/// Makes the runs of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunBatch {
    pub workspace: WorkspaceId,
    pub batch: BatchId,
    /// Of the runs that it makes.
    #[serde(default)]
    pub priority: Priority,
}

/// What somebody wants asked.
#[derive(Debug, Clone, Default)]
pub struct BatchRequest {
    /// These prompts; all active ones when `None`.
    pub prompts: Option<Vec<PromptId>>,
    /// Only prompts with one of these tags, when there are any.
    pub tags: Vec<String>,
    /// These engines; all enabled ones when `None`.
    pub engines: Option<Vec<String>>,
    /// How often each prompt is asked of each engine.
    pub samples: i64,
    /// The instant the runs stand for; the present one when `None`. A slot is asked once.
    pub slot: Option<String>,
    pub priority: Priority,
}

/// A request with what it comes to.
#[derive(Debug, Clone)]
pub struct BatchPlan {
    pub selection: Selection,
    pub samples: i64,
    pub slot: Option<String>,
    pub priority: Priority,
    pub planned: i64,
    pub estimated_micros: i64,
    /// What each engine's part costs as a rule, by key.
    pub by_engine: Vec<(String, i64)>,
}

/// Whether a batch can be paid today.
#[derive(Debug, Clone)]
pub struct BudgetFit {
    /// All of it can. A batch that fits in part is started; the rest of it is skipped.
    pub fits: bool,
    /// What the workspace may still spend today; no bound when `None`.
    pub left_micros: Option<i64>,
    pub engines: Vec<EngineFit>,
}

/// Whether an engine's part of a batch can be paid today.
#[derive(Debug, Clone)]
pub struct EngineFit {
    pub engine: String,
    pub estimated_micros: i64,
    /// What the engine may still spend today; no bound when `None`.
    pub left_micros: Option<i64>,
    pub fits: bool,
}

impl EngineFit {
    /// Nothing can be asked of it today.
    pub fn is_closed(&self) -> bool {
        self.left_micros == Some(0)
    }
}

/// Holds a plan against the budgets of today. Refuses when every engine of it is closed.
pub async fn budget_fit(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    plan: &BatchPlan,
) -> Result<BudgetFit> {
    let now = app.clock.now();
    let day = workspaces::find(conn, workspace).await?.day(now);
    let levels = budgets::today(conn, workspace, day, &budget_policy(app), now).await?;
    let left = |scope: budgets::Scope, engine: &str| {
        let level = levels.iter().find(|l| l.key.scope == scope && l.key.engine == engine);
        level.and_then(|found| found.level.left())
    };
    let enough = |left: Option<i64>, wanted: i64| left.is_none_or(|left| wanted <= left);
    let engines: Vec<EngineFit> = plan
        .by_engine
        .iter()
        .map(|(engine, estimated)| {
            let left_micros = left(budgets::Scope::Engine, engine);
            EngineFit {
                engine: engine.clone(),
                estimated_micros: *estimated,
                left_micros,
                fits: enough(left_micros, *estimated) && left_micros != Some(0),
            }
        })
        .collect();
    if !engines.is_empty() && engines.iter().all(EngineFit::is_closed) {
        return Err(Error::Budget(format!(
            "the budget of every engine of this batch is used up or closed on {day}: raise the \
             daily_budget_micros of one, or wait for tomorrow"
        )));
    }
    let left_micros = left(budgets::Scope::Workspace, "");
    let shared = [left_micros, left(budgets::Scope::Platform, "")];
    let fits = engines.iter().all(|engine| engine.fits)
        && shared.into_iter().all(|left| enough(left, plan.estimated_micros) && left != Some(0));
    Ok(BudgetFit { fits, left_micros, engines })
}

/// Finds what a request comes to; refuses what cannot be asked, naming each mistake.
pub async fn plan_batch(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    request: BatchRequest,
) -> Result<BatchPlan> {
    let BatchRequest { prompts: wanted, tags, engines: keys, samples, slot, priority } = request;
    let mut violations = Vec::new();

    let mut chosen = prompts::active(conn, workspace).await?;
    if let Some(wanted) = wanted {
        let known: HashSet<_> = chosen.iter().map(|prompt| prompt.id).collect();
        for (index, id) in wanted.iter().enumerate().filter(|(_, id)| !known.contains(id)) {
            violations.push(Violation {
                pointer: format!("/prompt_ids/{index}"),
                detail: format!("no active prompt has the id {id}"),
            });
        }
        let wanted: HashSet<_> = wanted.into_iter().collect();
        chosen.retain(|prompt| wanted.contains(&prompt.id));
    }
    if !tags.is_empty() {
        chosen.retain(|prompt| prompt.tags.iter().any(|tag| tags.contains(tag)));
    }

    let configured = engines::list(conn, workspace).await?;
    let enabled = configured.iter().filter(|engine| engine.enabled);
    let available: Vec<_> = enabled.clone().map(|engine| engine.key.as_str()).collect();
    let keys = match keys {
        Some(keys) => {
            for (index, key) in keys.iter().enumerate() {
                if !available.contains(&key.as_str()) {
                    violations.push(Violation {
                        pointer: format!("/engines/{index}"),
                        detail: format!(
                            "no enabled engine is called {key:?}; there are {available:?}"
                        ),
                    });
                }
            }
            keys
        }
        None => available.iter().map(ToString::to_string).collect(),
    };
    if violations.is_empty() && keys.is_empty() {
        violations.push(Violation {
            pointer: "/engines".into(),
            detail: "the workspace has no enabled engine: PUT /v1/engines/{key} first".into(),
        });
    }
    if violations.is_empty() && chosen.is_empty() {
        violations.push(Violation {
            pointer: "/prompt_ids".into(),
            detail: "no active prompt matches: POST /v1/prompts first".into(),
        });
    }
    if !violations.is_empty() {
        return Err(Error::Invalid(violations));
    }

    let per_engine = i64::try_from(chosen.len()).unwrap_or(i64::MAX).saturating_mul(samples);
    let by_engine: Vec<(String, i64)> = enabled
        .filter(|engine| keys.contains(&engine.key))
        .map(|engine| {
            let route = app.providers.find(&engine.key);
            let surface = route.as_ref().and_then(|route| route.surface(&engine.surface));
            let typical = surface.map_or(0, |surface| i64::from(surface.typical_cost_micro_usd));
            (engine.key.clone(), typical.saturating_mul(per_engine))
        })
        .collect();
    let estimated_micros =
        by_engine.iter().fold(0_i64, |sum, (_, micros)| sum.saturating_add(*micros));
    Ok(BatchPlan {
        planned: per_engine.saturating_mul(i64::try_from(keys.len()).unwrap_or(i64::MAX)),
        selection: Selection {
            prompts: chosen.iter().map(|prompt| prompt.id).collect(),
            engines: keys,
        },
        samples,
        slot,
        priority,
        estimated_micros,
        by_engine,
    })
}

/// Writes the batch and the job that makes its runs; wake the queue after the commit.
///
/// Refuses when the budget of the day is used up, or that of every engine: all runs would be
/// skipped. A batch that fits in part is started; the runs that do not are skipped.
pub async fn start_batch(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    plan: BatchPlan,
    created_by: &str,
) -> Result<Batch> {
    let now = app.clock.now();
    let owner = workspaces::find(conn, workspace).await?;
    budgets::check(conn, workspace, owner.day(now), &budget_policy(app), now).await?;
    budget_fit(app, conn, workspace, &plan).await?;
    let batch = Batch {
        id: BatchId::generate(),
        workspace_id: workspace,
        state: BatchState::Expanding,
        slot: plan.slot.unwrap_or_else(|| now.to_rfc3339_opts(SecondsFormat::Micros, true)),
        samples: plan.samples,
        selection: plan.selection.into(),
        planned: plan.planned,
        estimated_micros: plan.estimated_micros,
        created_by: created_by.into(),
        created_at: now,
        finished_at: None,
    };
    batches::insert(conn, &batch).await?;
    let job = RunBatch { workspace, batch: batch.id, priority: plan.priority };
    let job = NewJob {
        workspace: Some(workspace),
        priority: plan.priority.value(),
        unique_key: Some(batch.id.to_string()),
        ..job.queued(app)?
    };
    app.queue.enqueue(conn, &[job], now).await?;
    Ok(batch)
}

impl Job for RunBatch {
    const QUEUE: &'static str = "runBatch";
    const MAX_ATTEMPTS: i64 = 3;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let app = &context.app;
        let mut conn = app.store.read().await?;
        let batch = batches::find(&mut conn, self.workspace, self.batch).await?;
        if batch.state != BatchState::Expanding {
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let asked: HashSet<_> = batch.selection.prompts.iter().copied().collect();
        let mut chosen = prompts::active(&mut conn, self.workspace).await?;
        chosen.retain(|prompt| asked.contains(&prompt.id));
        drop(conn);

        let synthetic = app.providers.is_synthetic();
        let runs = expand(&batch, &chosen, synthetic);
        let now = app.clock.now();
        // Runs and their jobs by the thousand: a transaction of millions would hold up the others.
        for chunk in runs.chunks(1000) {
            let mut tx = app.store.begin().await?;
            let made = runs::insert(&mut tx, self.workspace, chunk, now).await?;
            let new: Vec<_> = chunk.iter().filter(|run| made.contains(&run.id)).collect();
            let jobs: Vec<NewJob> = new
                .iter()
                .map(|run| run_job(app, self.workspace, run, self.priority))
                .collect::<Result<_>>()?;
            app.queue.enqueue(&mut tx, &jobs, now).await?;
            tx.commit().await?;
            app.queue.wake();
        }
        let mut tx = app.store.begin().await?;
        batches::expanded(&mut tx, self.workspace, self.batch).await?;
        // A slot that was asked before leaves nothing to do.
        batches::complete(&mut tx, &BTreeSet::from([(self.workspace, self.batch)]), now).await?;
        tx.commit().await?;
        Ok(Ended::As(JobEnd::Succeeded))
    }
}

/// Breadth first: the first sample of everything, then the second.
fn expand(batch: &Batch, prompts: &[Prompt], synthetic: bool) -> Vec<NewRun> {
    let mut runs = Vec::new();
    for sample in 1..=batch.samples {
        for prompt in prompts {
            for engine in &batch.selection.engines {
                runs.push(NewRun {
                    id: RunId::generate(),
                    batch: Some(batch.id),
                    prompt: prompt.id,
                    prompt_version: prompt.version_id,
                    engine: engine.clone(),
                    sample,
                    slot: batch.slot.clone(),
                    run_key: run_key(batch, prompt, engine, sample),
                    synthetic,
                });
            }
        }
    }
    runs
}

/// SHA-256 over all that makes two runs the same. Lengths keep the parts apart.
fn run_key(batch: &Batch, prompt: &Prompt, engine: &str, sample: i64) -> Vec<u8> {
    let locale = [&prompt.language, &prompt.country, &prompt.location];
    let mut hash = Sha256::new();
    hash.update(batch.workspace_id.0.as_bytes());
    hash.update(prompt.version_id.0.as_bytes());
    let texts = [engine, batch.slot.as_str()];
    for part in texts.into_iter().chain(locale.map(|part| part.as_deref().unwrap_or_default())) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(sample.to_be_bytes());
    hash.finalize().to_vec()
}

fn run_job(app: &App, workspace: WorkspaceId, run: &NewRun, priority: Priority) -> Result<NewJob> {
    let job = RunPrompt { workspace, run: run.id };
    Ok(NewJob {
        lane: run.engine.clone(),
        workspace: Some(workspace),
        priority: priority.value(),
        ..job.queued(app)?
    })
}
