use super::{Caller, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    App,
    ids::{BatchId, PromptId, RunId},
    jobs::operate,
    store::runs::{self, RunFilter},
};
use aiv_runtime::Digest;
use chrono::NaiveDate;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum RunState {
    /// Waits for its turn.
    Queued,
    /// Is being asked.
    Running,
    /// The engine was heard; `outcome` says what it gave.
    Succeeded,
    /// Came to nothing after all attempts; `error_kind` says why.
    Failed,
    /// Was not asked; `reason` says why.
    Skipped,
    /// Was cancelled before it was asked.
    Cancelled,
}

/// What an engine gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum RunOutcome {
    /// An answer.
    Answer,
    /// None: a fact about the engine, and never a miss of the brand.
    NoAnswer,
}

/// One prompt version asked once of one engine.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Run {
    /// Also the id of its answer.
    id: Uuid,
    batch_id: Option<Uuid>,
    prompt_id: Uuid,
    /// The immutable text that was asked.
    prompt_version_id: Uuid,
    /// Key of the engine.
    engine: String,
    /// 1 for the first one of its slot.
    sample: i64,
    /// The instant that it stands for.
    slot: String,
    state: RunState,
    outcome: Option<RunOutcome>,
    /// Why there is no answer, or why it was skipped.
    reason: Option<String>,
    /// Kind of the last failure.
    error_kind: Option<String>,
    /// The last failure, for a person to read.
    error_detail: Option<String>,
    /// Comes from a recording and is kept out of live numbers.
    synthetic: bool,
    /// Calls made so far.
    attempt_count: i64,
    /// What it cost, in millionths of a US dollar.
    cost_micros: i64,
    /// The day that it counts for, in the workspace's time zone.
    day: Option<NaiveDate>,
    /// Places where its answer names a tracked brand.
    mentions: i64,
    citations: i64,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// SHA-256 of the component that asked.
    provider_digest: Option<String>,
    /// Version of that component, while it is installed.
    provider_version: Option<String>,
    /// Its calls, first one first; left out of lists.
    attempts: Option<Vec<Attempt>>,
}

/// One call of a run.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Attempt {
    /// 1 for the first one.
    #[oai(rename = "attempt")]
    number: i64,
    /// `running`, `waiting`, `fetched`, `succeeded`, `failed` or `lost`.
    state: String,
    /// SHA-256 of the component that asked.
    provider_digest: String,
    /// HTTP requests made.
    fetches: i64,
    /// What it cost, in millionths of a US dollar.
    cost_micros: i64,
    error_kind: Option<String>,
    error_detail: Option<String>,
    /// SHA-256 of what the vendor sent, as it is kept.
    raw_digest: Option<String>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
}

page! {
    /// A page of runs, newest first.
    RunPage of Run
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Runs")]
impl Api {
    /// List the runs
    #[oai(path = "/runs", method = "get", operation_id = "list_runs")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those of this batch.
        batch: Query<Option<Uuid>>,
        /// Only those of this engine.
        engine: Query<Option<String>>,
        /// Only those in this state.
        state: Query<Option<RunState>>,
        /// Only those of this prompt.
        prompt: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<RunPage>, Problem> {
        let filter = RunFilter {
            batch: batch.0.map(BatchId),
            engine: engine.0,
            state: state.0.map(Into::into),
            prompt: prompt.0.map(PromptId),
        };
        let bound = (filter.batch, &filter.engine, filter.state, filter.prompt);
        let page = Paging::open(&self.0, &caller, "runs", &bound, limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            runs::list(&mut conn, caller.workspace, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a run
    ///
    /// With its calls.
    #[oai(path = "/runs/:run", method = "get", operation_id = "find_run")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the run.
        run: Path<Uuid>,
    ) -> Result<Json<Run>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = runs::find(&mut conn, caller.workspace, RunId(run.0)).await?;
        let attempts = runs::attempts(&mut conn, caller.workspace, row.number).await?;
        let digest = row.provider_digest.as_deref().and_then(digest);
        let route = digest.and_then(|digest| self.0.providers.find_digest(digest));
        Ok(Json(Run {
            provider_version: route.map(|route| route.manifest.version.clone()),
            attempts: Some(attempts.into_iter().map(Into::into).collect()),
            ..row.into()
        }))
    }

    /// Cancel a run
    ///
    /// One that is being asked cannot be cancelled: its money is spent already.
    #[oai(path = "/runs/:run/cancel", method = "post", operation_id = "cancel_run")]
    async fn cancel(
        &self,
        caller: Caller,
        /// Id of the run.
        run: Path<Uuid>,
    ) -> Result<Json<Run>, Problem> {
        let (id, workspace) = (RunId(run.0), caller.workspace);
        let (actor, now) = (caller.actor(), self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        operate::cancel_run(&mut tx, workspace, id, &actor, now).await?;
        let row = runs::find(&mut tx, workspace, id).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    hex::encode(bytes).parse().ok()
}

impl From<runs::Run> for Run {
    fn from(row: runs::Run) -> Self {
        let runs::Run {
            number: _,
            id,
            workspace_id: _,
            batch_id,
            prompt_id,
            prompt_version_id,
            engine,
            sample,
            slot,
            synthetic,
            state,
            outcome,
            reason,
            error_kind,
            error_detail,
            attempts,
            cost_micros,
            day,
            mentions,
            citations,
            provider_digest,
            checkpoint: _,
            created_at,
            started_at,
            finished_at,
        } = row;
        Run {
            id: id.0,
            batch_id: batch_id.map(|id| id.0),
            prompt_id: prompt_id.0,
            prompt_version_id: prompt_version_id.0,
            engine,
            sample,
            slot,
            state: state.into(),
            outcome: outcome.map(Into::into),
            reason,
            error_kind,
            error_detail,
            synthetic,
            attempt_count: attempts,
            cost_micros,
            day,
            mentions,
            citations,
            created_at: created_at.into(),
            started_at: started_at.map(Into::into),
            finished_at: finished_at.map(Into::into),
            provider_digest: provider_digest.map(hex::encode),
            provider_version: None,
            attempts: None,
        }
    }
}

impl From<runs::Attempt> for Attempt {
    fn from(row: runs::Attempt) -> Self {
        let runs::Attempt {
            attempt,
            state,
            provider_digest,
            fetches,
            cost_micros,
            error_kind,
            error_detail,
            raw_digest,
            started_at,
            finished_at,
        } = row;
        Attempt {
            number: attempt,
            state,
            provider_digest: hex::encode(provider_digest),
            fetches,
            cost_micros,
            error_kind,
            error_detail,
            raw_digest: raw_digest.map(hex::encode),
            started_at: started_at.into(),
            finished_at: finished_at.map(Into::into),
        }
    }
}

impl From<runs::RunState> for RunState {
    fn from(state: runs::RunState) -> Self {
        match state {
            runs::RunState::Queued => RunState::Queued,
            runs::RunState::Running => RunState::Running,
            runs::RunState::Succeeded => RunState::Succeeded,
            runs::RunState::Failed => RunState::Failed,
            runs::RunState::Skipped => RunState::Skipped,
            runs::RunState::Cancelled => RunState::Cancelled,
        }
    }
}

impl From<RunState> for runs::RunState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Queued => runs::RunState::Queued,
            RunState::Running => runs::RunState::Running,
            RunState::Succeeded => runs::RunState::Succeeded,
            RunState::Failed => runs::RunState::Failed,
            RunState::Skipped => runs::RunState::Skipped,
            RunState::Cancelled => runs::RunState::Cancelled,
        }
    }
}

impl From<runs::RunOutcome> for RunOutcome {
    fn from(outcome: runs::RunOutcome) -> Self {
        match outcome {
            runs::RunOutcome::Answer => RunOutcome::Answer,
            runs::RunOutcome::NoAnswer => RunOutcome::NoAnswer,
        }
    }
}
