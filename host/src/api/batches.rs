use super::{
    Accepted, Begun, Body, Caller, Once, Paging, Problem, Tag, page, rules::Rules, types::Timestamp,
};
use crate::{
    App, Result,
    ids::{BatchId, PromptId},
    jobs::{BatchRequest, BudgetFit, budget_fit, plan_batch, start_batch},
    store::{
        audit_logs,
        batches::{self, BatchProgress},
        jobs::Priority,
    },
};
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaResponses, Registry},
};
use serde_json::json;
use uuid::Uuid;

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum BatchState {
    /// Its runs are being made.
    Expanding,
    /// Its runs are being asked.
    Running,
    /// All of its runs have ended.
    Completed,
    /// Cancelled; runs that were in flight have ended as usual.
    Cancelled,
}

/// One expansion of prompts × engines × samples.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Batch {
    id: Uuid,
    state: BatchState,
    /// The instant that the runs stand for. A prompt is asked once per engine, sample and slot.
    slot: String,
    /// How often each prompt is asked of each engine.
    samples: i64,
    prompt_ids: Vec<Uuid>,
    /// Keys of the engines.
    engines: Vec<String>,
    /// Runs that were asked for. Those that the slot had already are not made again.
    planned: i64,
    /// What they cost as a rule, in millionths of a US dollar.
    estimated_cost_micros: i64,
    /// Runs by state; left out of lists.
    runs: Option<RunCounts>,
    /// Share of the runs that have ended, from 0 to 1; left out of lists.
    progress: Option<f64>,
    /// What it cost so far, in millionths of a US dollar; left out of lists.
    cost_micros: Option<i64>,
    /// Who started it.
    created_by: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// Runs of a batch by state.
#[derive(Object)]
struct RunCounts {
    queued: i64,
    running: i64,
    succeeded: i64,
    failed: i64,
    skipped: i64,
    cancelled: i64,
}

/// What to ask whom.
#[derive(Object)]
struct NewBatch {
    /// These prompts; all active ones when absent.
    #[oai(validator(min_items = 1, max_items = 10000, unique_items))]
    prompt_ids: Option<Vec<Uuid>>,
    /// Only prompts with one of these tags.
    #[oai(default, validator(max_items = 50, unique_items))]
    tags: Vec<String>,
    /// These engines, by key; all enabled ones when absent.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    engines: Option<Vec<String>>,
    /// How often to ask each prompt of each engine.
    #[oai(default = "once", validator(minimum(value = "1"), maximum(value = "20")))]
    samples: i64,
    /// Names the instant that the runs stand for, such as `2026-W48`: what was asked for a slot is
    /// not asked again. The present instant when absent.
    #[oai(validator(min_length = 1, max_length = 100))]
    slot: Option<String>,
    /// Only tell what it would come to.
    #[oai(default)]
    dry_run: bool,
}

/// What a batch would come to.
#[derive(Object)]
struct PlannedBatch {
    /// Runs that would be made.
    planned: i64,
    /// What they cost as a rule, in millionths of a US dollar.
    estimated_cost_micros: i64,
    prompt_ids: Vec<Uuid>,
    /// Keys of the engines.
    engines: Vec<String>,
    samples: i64,
    budget: BatchBudget,
}

/// Whether a batch can be paid today.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct BatchBudget {
    /// All of it can be paid. A batch that fits in part is started; runs that do not are skipped.
    fits: bool,
    /// What the workspace may still spend today, in millionths of a US dollar; absent when
    /// unlimited.
    left_micros: Option<i64>,
    engines: Vec<EngineBudget>,
}

/// Whether an engine's part of a batch can be paid today.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct EngineBudget {
    /// Key of the engine.
    engine: String,
    /// What its runs cost as a rule, in millionths of a US dollar.
    estimated_cost_micros: i64,
    /// What the engine may still spend today; absent when unlimited.
    left_micros: Option<i64>,
    fits: bool,
}

page! {
    /// A page of batches, newest first.
    BatchPage of Batch
}

fn once() -> i64 {
    1
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Runs")]
impl Api {
    /// Create a batch
    ///
    /// Asks prompts of engines in the background: watch the batch at `Location`. With `dry_run`,
    /// nothing is asked; the answer tells what it would come to.
    #[oai(path = "/batches", method = "post", operation_id = "create_batch")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewBatch>,
    ) -> Result<Started, Problem> {
        let (request, dry_run) = new.0.checked()?;
        let now = self.0.clock.now();
        if dry_run {
            let mut conn = self.0.store.read().await?;
            let plan = plan_batch(&self.0, &mut conn, caller.workspace, request).await?;
            let budget = budget_fit(&self.0, &mut conn, caller.workspace, &plan).await?;
            return Ok(Started::Not(Json(PlannedBatch {
                budget: budget.into(),
                planned: plan.planned,
                estimated_cost_micros: plan.estimated_micros,
                prompt_ids: plan.selection.prompts.into_iter().map(|id| id.0).collect(),
                engines: plan.selection.engines,
                samples: plan.samples,
            })));
        }
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Started::Yes(Accepted::again(record))),
        };
        let plan = plan_batch(&self.0, &mut tx, caller.workspace, request).await?;
        let row = start_batch(&self.0, &mut tx, caller.workspace, plan, &caller.label()).await?;
        let what = json!({"planned": row.planned, "estimated_micros": row.estimated_micros});
        audit_logs::note(&mut tx, &caller.actor(), "batch.create", row.id, what, now).await?;
        let accepted = Accepted::new(format!("/v1/batches/{}", row.id), &Batch::from(row));
        doing.finish(&mut tx, &accepted).await?;
        tx.commit().await?;
        self.0.queue.wake();
        Ok(Started::Yes(accepted))
    }

    /// List the batches
    #[oai(path = "/batches", method = "get", operation_id = "list_batches")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<BatchPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "batches", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = batches::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a batch
    ///
    /// With its runs counted by state.
    #[oai(path = "/batches/:batch", method = "get", operation_id = "find_batch")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the batch.
        batch: Path<Uuid>,
    ) -> Result<Json<Batch>, Problem> {
        self.show(&caller, BatchId(batch.0)).await
    }

    /// Cancel a batch
    ///
    /// Runs that have not started are cancelled. Those in flight end as usual: their money is
    /// spent already.
    #[oai(path = "/batches/:batch/cancel", method = "post", operation_id = "cancel_batch")]
    async fn cancel(
        &self,
        caller: Caller,
        /// Id of the batch.
        batch: Path<Uuid>,
    ) -> Result<Json<Batch>, Problem> {
        let id = BatchId(batch.0);
        let mut tx = self.0.store.begin().await?;
        let now = self.0.clock.now();
        let runs = batches::cancel(&mut tx, caller.workspace, id, now).await?;
        let what = json!({"cancelled_runs": runs});
        audit_logs::note(&mut tx, &caller.actor(), "batch.cancel", id, what, now).await?;
        tx.commit().await?;
        self.show(&caller, id).await
    }
}

impl Api {
    async fn show(&self, caller: &Caller, id: BatchId) -> Result<Json<Batch>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = batches::find(&mut conn, caller.workspace, id).await?;
        let progress = batches::progress(&mut conn, caller.workspace, id).await?;
        Ok(Json(Batch::from(row).with(&progress)))
    }
}

/// A batch was started, or only planned.
enum Started {
    Yes(Accepted<Batch>),
    Not(Json<PlannedBatch>),
}

impl IntoResponse for Started {
    fn into_response(self) -> Response {
        match self {
            Started::Yes(accepted) => accepted.into_response(),
            Started::Not(plan) => plan.into_response(),
        }
    }
}

impl ApiResponse for Started {
    fn meta() -> MetaResponses {
        let mut planned = Json::<PlannedBatch>::meta().responses;
        for response in &mut planned {
            response.description = "What the batch would come to, with `dry_run`.";
        }
        planned.extend(Accepted::<Batch>::meta().responses);
        MetaResponses { responses: planned }
    }

    fn register(registry: &mut Registry) {
        <Json<PlannedBatch> as ApiResponse>::register(registry);
        <Accepted<Batch> as ApiResponse>::register(registry);
    }
}

impl NewBatch {
    fn checked(self) -> Result<(BatchRequest, bool)> {
        let NewBatch { prompt_ids, tags, engines, samples, slot, dry_run } = self;
        let mut rules = Rules::default();
        if let Some(slot) = &slot {
            rules.name("/slot", slot);
        }
        rules.check()?;
        let prompts = prompt_ids.map(|ids| ids.into_iter().map(PromptId).collect());
        let priority = Priority::Interactive;
        Ok((BatchRequest { prompts, tags, engines, samples, slot, priority }, dry_run))
    }
}

impl From<BudgetFit> for BatchBudget {
    fn from(fit: BudgetFit) -> Self {
        let BudgetFit { fits, left_micros, engines } = fit;
        let engines = engines.into_iter().map(|fit| EngineBudget {
            engine: fit.engine,
            estimated_cost_micros: fit.estimated_micros,
            left_micros: fit.left_micros,
            fits: fit.fits,
        });
        BatchBudget { fits, left_micros, engines: engines.collect() }
    }
}

impl Batch {
    #[expect(clippy::cast_precision_loss, reason = "a share of some thousands of runs")]
    fn with(self, progress: &BatchProgress) -> Self {
        let BatchProgress { queued, running, succeeded, failed, skipped, cancelled, cost_micros } =
            *progress;
        // While runs are being made, those that are missing count as not ended.
        let all = match self.state {
            BatchState::Expanding => progress.total().max(self.planned),
            _ => progress.total(),
        };
        let share = match (all, self.state) {
            (0, BatchState::Completed | BatchState::Cancelled) => 1.0,
            (0, _) => 0.0,
            (all, _) => progress.finished() as f64 / all as f64,
        };
        Batch {
            runs: Some(RunCounts { queued, running, succeeded, failed, skipped, cancelled }),
            progress: Some(share),
            cost_micros: Some(cost_micros),
            ..self
        }
    }
}

impl From<batches::Batch> for Batch {
    fn from(row: batches::Batch) -> Self {
        let batches::Batch {
            id,
            workspace_id: _,
            state,
            slot,
            samples,
            selection,
            planned,
            estimated_micros,
            created_by,
            created_at,
            finished_at,
        } = row;
        let batches::Selection { prompts, engines } = selection.0;
        Batch {
            id: id.0,
            state: match state {
                batches::BatchState::Expanding => BatchState::Expanding,
                batches::BatchState::Running => BatchState::Running,
                batches::BatchState::Completed => BatchState::Completed,
                batches::BatchState::Cancelled => BatchState::Cancelled,
            },
            slot,
            samples,
            prompt_ids: prompts.into_iter().map(|id| id.0).collect(),
            engines,
            planned,
            estimated_cost_micros: estimated_micros,
            runs: None,
            progress: None,
            cost_micros: None,
            created_by,
            created_at: created_at.into(),
            finished_at: finished_at.map(Into::into),
        }
    }
}
