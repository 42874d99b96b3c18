use super::{Conn, bulk::Rows, on_db};
use crate::{
    Error, Result,
    ids::{BatchId, PromptId, PromptVersionId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder, query, query_as};
use std::collections::{HashMap, HashSet};

/// One prompt version asked once of one engine.
#[derive(Debug, Clone, FromRow)]
pub struct Run {
    /// What its mentions, citations and attempts call it.
    pub number: i64,
    pub id: RunId,
    pub workspace_id: WorkspaceId,
    pub batch_id: Option<BatchId>,
    pub prompt_id: PromptId,
    pub prompt_version_id: PromptVersionId,
    pub engine: String,
    /// 1 for the first sample of its slot.
    pub sample: i64,
    pub slot: String,
    /// Comes from recordings, so it never counts in a live workspace.
    pub synthetic: bool,
    pub state: RunState,
    pub outcome: Option<RunOutcome>,
    /// Why there is no answer, or why the run was skipped.
    pub reason: Option<String>,
    pub error_kind: Option<String>,
    pub error_detail: Option<String>,
    pub attempts: i64,
    pub cost_micros: i64,
    /// Day of the finish in the workspace's time zone.
    pub day: Option<NaiveDate>,
    pub mentions: i64,
    pub citations: i64,
    pub provider_digest: Option<Vec<u8>>,
    /// A call that waits, as the driver left it.
    pub checkpoint: Option<Vec<u8>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Answer,
    /// The engine showed none: a fact about the engine.
    NoAnswer,
}

/// One paid call of a run.
#[derive(Debug, Clone, FromRow)]
pub struct Attempt {
    pub attempt: i64,
    /// running | waiting | fetched | succeeded | failed | lost
    pub state: String,
    pub provider_digest: Vec<u8>,
    pub fetches: i64,
    pub cost_micros: i64,
    pub error_kind: Option<String>,
    pub error_detail: Option<String>,
    pub raw_digest: Option<Vec<u8>>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// A run to make.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: RunId,
    pub batch: Option<BatchId>,
    pub prompt: PromptId,
    pub prompt_version: PromptVersionId,
    pub engine: String,
    pub sample: i64,
    pub slot: String,
    /// SHA-256 of all that makes two runs the same; see `jobs::run_batch`.
    pub run_key: Vec<u8>,
    pub synthetic: bool,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub batch: Option<BatchId>,
    pub engine: Option<String>,
    pub state: Option<RunState>,
    pub prompt: Option<PromptId>,
}

/// A run with the question it asks and what its workspace says of it.
#[derive(Debug, Clone, FromRow)]
pub struct Question {
    #[sqlx(flatten)]
    pub run: Run,
    pub text: String,
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    /// Of the workspace.
    pub timezone: String,
    /// Of the workspace.
    pub brands_version: i64,
    /// Of the workspace.
    pub daily_budget_micros: Option<i64>,
    /// The workspace's answers are recordings as a whole.
    pub synthetic_workspace: bool,
}

/// Makes runs; those whose key exists already are left out. Returns the ids that are new.
pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    runs: &[NewRun],
    now: DateTime<Utc>,
) -> Result<HashSet<RunId>> {
    let made: Vec<(RunId,)> = Rows::new(runs)
        .column("id", |run| run.id)
        .column("workspace_id", |_| workspace)
        .column("batch_id", |run| run.batch)
        .column("prompt_id", |run| run.prompt)
        .column("prompt_version_id", |run| run.prompt_version)
        .column("engine", |run| run.engine.as_str())
        .column("sample", |run| run.sample)
        .column("slot", |run| run.slot.as_str())
        .column("run_key", |run| run.run_key.as_slice())
        .column("synthetic", |run| run.synthetic)
        .column("state", |_| RunState::Queued)
        .column("attempts", |_| 0_i64)
        .column("cost_micros", |_| 0_i64)
        .column("mentions", |_| 0_i64)
        .column("citations", |_| 0_i64)
        .column("created_at", |_| now)
        .insert_returning(
            conn,
            "INSERT INTO runs",
            "ON CONFLICT (workspace_id, run_key) DO NOTHING RETURNING id",
        )
        .await?;
    Ok(made.into_iter().map(|(id,)| id).collect())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: RunId) -> Result<Run> {
    on_db!(conn, |c| query_as("SELECT * FROM runs WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("run"))
}

/// The run and the text of the prompt version it asks.
pub async fn question(conn: &mut Conn, workspace: WorkspaceId, id: RunId) -> Result<Question> {
    questions(conn, &[(workspace, id)]).await?.pop().ok_or(Error::NotFound("run"))
}

/// The runs that there are among these, each with the text of the prompt version it asks.
pub async fn questions(conn: &mut Conn, runs: &[(WorkspaceId, RunId)]) -> Result<Vec<Question>> {
    // Prompts are looked up row by row: seeing that all rows agree on the workspace, Postgres would
    // pair every run with every prompt of it, as long as it has no statistics.
    Rows::new(runs)
        .column("workspace_id", |(workspace, _)| *workspace)
        .column("id", |(_, id)| *id)
        .fetch(
            conn,
            ", r AS MATERIALIZED (
                 SELECT runs.*,
                        (SELECT t.text FROM prompt_versions t
                         WHERE t.workspace_id = runs.workspace_id
                           AND t.id = runs.prompt_version_id) AS text,
                        (SELECT p.language FROM prompts p
                         WHERE p.workspace_id = runs.workspace_id
                           AND p.id = runs.prompt_id) AS language,
                        (SELECT p.country FROM prompts p
                         WHERE p.workspace_id = runs.workspace_id
                           AND p.id = runs.prompt_id) AS country,
                        (SELECT p.location FROM prompts p
                         WHERE p.workspace_id = runs.workspace_id
                           AND p.id = runs.prompt_id) AS location
                 FROM v JOIN runs ON runs.workspace_id = v.workspace_id AND runs.id = v.id
             )
             SELECT r.*, w.timezone, w.brands_version, w.daily_budget_micros,
                    w.synthetic AS synthetic_workspace
             FROM r JOIN workspaces w ON w.id = r.workspace_id
             WHERE r.text IS NOT NULL",
        )
        .await
}

/// The page before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: i64,
) -> Result<Vec<Run>> {
    let RunFilter { batch, engine, state, prompt } = filter;
    // Only what is asked for is named: a condition that may be absent hides from the planner which
    // index serves.
    Ok(on_db!(conn, |c| {
        let mut sql = QueryBuilder::new("SELECT * FROM runs WHERE workspace_id = ");
        sql.push_bind(workspace);
        if let Some(before) = before {
            sql.push(" AND id < ").push_bind(before);
        }
        if let Some(batch) = *batch {
            sql.push(" AND batch_id = ").push_bind(batch);
        }
        if let Some(prompt) = *prompt {
            sql.push(" AND prompt_id = ").push_bind(prompt);
        }
        if let Some(engine) = engine {
            sql.push(" AND engine = ").push_bind(engine);
        }
        if let Some(state) = *state {
            sql.push(implied_by(state)).push(" AND state = ").push_bind(state);
        }
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        sql.build_query_as().fetch_all(c).await
    })?)
}

/// What follows from a state: there are indexes of runs that are open and of those that ended
/// without an answer.
const fn implied_by(state: RunState) -> &'static str {
    match state {
        RunState::Queued | RunState::Running => " AND finished_at IS NULL",
        RunState::Succeeded => "",
        RunState::Failed | RunState::Skipped | RunState::Cancelled => {
            " AND finished_at IS NOT NULL AND outcome IS NULL"
        }
    }
}

/// The calls of a run, first one first.
pub async fn attempts(
    conn: &mut Conn,
    workspace: WorkspaceId,
    run_number: i64,
) -> Result<Vec<Attempt>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT attempt, state, provider_digest, fetches, cost_micros, error_kind, error_detail,
                raw_digest, started_at, finished_at
         FROM run_attempts WHERE workspace_id = $1 AND run_number = $2 ORDER BY attempt",
    )
    .bind(workspace)
    .bind(run_number)
    .fetch_all(c)
    .await)?)
}

/// The last call of each of these runs, by number, as far as there is one.
pub async fn last_attempts(
    conn: &mut Conn,
    runs: &[(WorkspaceId, i64)],
) -> Result<HashMap<i64, Attempt>> {
    let found: Vec<LastAttempt> = Rows::new(runs)
        .column("workspace_id", |(workspace, _)| *workspace)
        .column("run_number", |(_, number)| *number)
        .fetch(
            conn,
            "SELECT a.run_number, a.attempt, a.state, a.provider_digest, a.fetches,
                    a.cost_micros, a.error_kind, a.error_detail, a.raw_digest, a.started_at,
                    a.finished_at
             FROM v JOIN run_attempts a
               ON a.workspace_id = v.workspace_id AND a.run_number = v.run_number
             WHERE a.attempt = (SELECT MAX(attempt) FROM run_attempts
                                WHERE run_number = v.run_number)",
        )
        .await?;
    Ok(found.into_iter().map(|last| (last.run_number, last.attempt)).collect())
}

#[derive(FromRow)]
struct LastAttempt {
    run_number: i64,
    #[sqlx(flatten)]
    attempt: Attempt,
}

/// Fails a run that has not ended; returns whether there was one.
pub async fn fail(
    conn: &mut Conn,
    run: &Run,
    kind: &str,
    detail: &str,
    day: NaiveDate,
    now: DateTime<Utc>,
) -> Result<bool> {
    let failed = on_db!(conn, |c| query(
        "UPDATE runs SET state = 'failed', error_kind = $3, error_detail = $4, day = $5,
                         finished_at = $6
         WHERE workspace_id = $1 AND number = $2 AND finished_at IS NULL",
    )
    .bind(run.workspace_id)
    .bind(run.number)
    .bind(kind)
    .bind(detail)
    .bind(day)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(failed > 0)
}
