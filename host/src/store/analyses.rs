//! Stored answers that are read again: what was asked for, and how far it is.

use super::{Conn, on_db, raw_payloads, workspaces};
use crate::{
    Error, Result,
    error::Expected,
    ids::{AnalysisId, PromptId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// A second reading of stored answers.
#[derive(Debug, Clone, FromRow)]
pub struct Analysis {
    pub id: AnalysisId,
    pub workspace_id: WorkspaceId,
    pub state: AnalysisState,
    /// In the workspace's time zone, both included.
    pub from_day: NaiveDate,
    pub to_day: NaiveDate,
    /// Only this engine.
    pub engine: Option<String>,
    /// Only this answer.
    pub run_id: Option<RunId>,
    /// Also answers that today's analysis and brands have read already.
    pub everything: bool,
    pub planned: i64,
    pub analysed: i64,
    /// Answers in which something else was found than before.
    pub changed: i64,
    /// Answers whose raw payload is gone, or cannot be read.
    pub unreadable: i64,
    pub mentions_before: i64,
    pub mentions_after: i64,
    pub citations_before: i64,
    pub citations_after: i64,
    /// Where it goes on.
    pub next_day: NaiveDate,
    /// The last run of that day which was read; 0 when none was.
    pub after_number: i64,
    pub error: Option<String>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AnalysisState {
    Running,
    Completed,
    Cancelled,
    Failed,
}

/// Which answers to read again.
#[derive(Debug, Clone)]
pub struct NewAnalysis {
    pub from_day: NaiveDate,
    pub to_day: NaiveDate,
    pub engine: Option<String>,
    pub run: Option<RunId>,
    pub everything: bool,
    pub created_by: String,
}

/// A stored answer to read again.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub number: i64,
    pub prompt: PromptId,
    pub engine: String,
    /// What the engine sent, if it is still there.
    pub raw: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct Row {
    number: i64,
    prompt_id: PromptId,
    engine: String,
    bytes: Option<Vec<u8>>,
}

/// What the reading of a page found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub analysed: i64,
    pub changed: i64,
    pub unreadable: i64,
    pub mentions_before: i64,
    pub mentions_after: i64,
    pub citations_before: i64,
    pub citations_after: i64,
}

/// The answers that an analysis is about; `$1` to `$6` are bound by `bind`.
macro_rules! candidates {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM runs r JOIN answers a ON a.run_number = r.number
              WHERE r.workspace_id = $1 AND r.day BETWEEN $2 AND $3
                AND ($4 IS NULL OR r.engine = $4) AND ($5 IS NULL OR r.id = $5)
                AND ($6 OR a.analysis_version <> $7
                     OR a.brands_version <> (SELECT brands_version FROM workspaces WHERE id = $1)) ",
            $rest
        )
    };
}

/// Starts an analysis; a workspace has one at a time.
pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewAnalysis,
    now: DateTime<Utc>,
) -> Result<Analysis> {
    let NewAnalysis { from_day, to_day, engine, run, everything, created_by } = new;
    let planned: i64 = on_db!(conn, |c| query_scalar(candidates!("SELECT COUNT(*)", ""))
        .bind(workspace)
        .bind(from_day)
        .bind(to_day)
        .bind(&engine)
        .bind(run)
        .bind(everything)
        .bind(i64::from(aiv_analysis::ANALYSIS_VERSION))
        .fetch_one(c)
        .await)?;
    on_db!(conn, |c| query_as(
        "INSERT INTO analyses (id, workspace_id, state, from_day, to_day, engine, run_id,
             everything, planned, analysed, changed, unreadable, mentions_before,
             mentions_after, citations_before, citations_after, next_day, after_number,
             created_by, created_at)
         VALUES ($1, $2, 'running', $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, 0, 0, $3, 0, $9, $10)
         RETURNING *",
    )
    .bind(AnalysisId::generate())
    .bind(workspace)
    .bind(from_day)
    .bind(to_day)
    .bind(&engine)
    .bind(run)
    .bind(everything)
    .bind(planned)
    .bind(&created_by)
    .bind(now)
    .fetch_one(c)
    .await)
    .unique("analysis")
    .map_err(|error| match error {
        Error::Exists(_) => Error::Conflict(
            "the workspace has an analysis that is not finished: wait for it, or cancel it".into(),
        ),
        other => other,
    })
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: AnalysisId) -> Result<Analysis> {
    on_db!(conn, |c| query_as("SELECT * FROM analyses WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("analysis"))
}

/// The page before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    before: Option<AnalysisId>,
    limit: i64,
) -> Result<Vec<Analysis>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM analyses WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The answers of the analysis's day that come after the last one read, in the order of their
/// runs, and the version of the brands at this moment.
pub async fn page(
    conn: &mut Conn,
    analysis: &Analysis,
    limit: i64,
) -> Result<(i64, Vec<Candidate>)> {
    let version = workspaces::find(conn, analysis.workspace_id).await?.brands_version;
    let rows: Vec<Row> = on_db!(conn, |c| query_as(candidates!(
        "SELECT r.number, r.prompt_id, r.engine,
                (SELECT p.bytes FROM raw_payloads p
                 WHERE p.workspace_id = a.workspace_id AND p.digest = a.raw_digest) AS bytes",
        "AND r.number > $8 ORDER BY r.number LIMIT $9"
    ))
    .bind(analysis.workspace_id)
    .bind(analysis.next_day)
    .bind(analysis.next_day)
    .bind(&analysis.engine)
    .bind(analysis.run_id)
    .bind(analysis.everything)
    .bind(i64::from(aiv_analysis::ANALYSIS_VERSION))
    .bind(analysis.after_number)
    .bind(limit)
    .fetch_all(c)
    .await)?;
    let candidates = rows.into_iter().map(|row| {
        let Row { number, prompt_id: prompt, engine, bytes } = row;
        // Bytes that cannot be unpacked are as good as none, and counted so.
        let raw = bytes.and_then(|bytes| raw_payloads::unpack(&bytes).ok());
        Candidate { number, prompt, engine, raw }
    });
    Ok((version, candidates.collect()))
}

/// The next day after the analysis's one that has answers to read.
pub async fn day_after(conn: &mut Conn, analysis: &Analysis) -> Result<Option<NaiveDate>> {
    let Some(next) = analysis.next_day.succ_opt() else { return Ok(None) };
    Ok(on_db!(conn, |c| query_scalar(candidates!("SELECT MIN(r.day)", ""))
        .bind(analysis.workspace_id)
        .bind(next)
        .bind(analysis.to_day)
        .bind(&analysis.engine)
        .bind(analysis.run_id)
        .bind(analysis.everything)
        .bind(i64::from(aiv_analysis::ANALYSIS_VERSION))
        .fetch_one(c)
        .await)?)
}

/// Notes what was read up to `number`. Errs when somebody else went on meanwhile, or cancelled.
pub async fn advance(
    conn: &mut Conn,
    analysis: &Analysis,
    (day, number): (NaiveDate, i64),
    found: Progress,
) -> Result<Analysis> {
    let Progress {
        analysed,
        changed,
        unreadable,
        mentions_before,
        mentions_after,
        citations_before,
        citations_after,
    } = found;
    on_db!(conn, |c| query_as(
        "UPDATE analyses
         SET next_day = $5, after_number = $6, analysed = analysed + $7, changed = changed + $8,
             unreadable = unreadable + $9, mentions_before = mentions_before + $10,
             mentions_after = mentions_after + $11, citations_before = citations_before + $12,
             citations_after = citations_after + $13
         WHERE workspace_id = $1 AND id = $2 AND next_day = $3 AND after_number = $4
           AND finished_at IS NULL
         RETURNING *",
    )
    .bind(analysis.workspace_id)
    .bind(analysis.id)
    .bind(analysis.next_day)
    .bind(analysis.after_number)
    .bind(day)
    .bind(number)
    .bind(analysed)
    .bind(changed)
    .bind(unreadable)
    .bind(mentions_before)
    .bind(mentions_after)
    .bind(citations_before)
    .bind(citations_after)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::Changed("analysis"))
}

/// Ends an analysis that is not ended; returns whether it was not.
pub async fn finish(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AnalysisId,
    state: AnalysisState,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let finished = on_db!(conn, |c| query(
        "UPDATE analyses SET state = $3, error = $4, finished_at = $5
         WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .bind(state)
    .bind(error)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(finished > 0)
}
