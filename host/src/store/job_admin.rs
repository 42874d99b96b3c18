//! Jobs as operators see them, and what operators do to those that nobody holds.
//!
//! **Invariant:** a job in the hands of a worker is never touched.
//! **Invariant:** what becomes available again has a new epoch and is with no broker.

use super::{Conn, on_db};
use crate::{
    Error, Result,
    ids::{JobId, ProcessId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder, query, query_as, types::Json};

/// A job with all that is known of it.
#[derive(Debug, Clone, FromRow)]
pub struct JobRow {
    pub id: JobId,
    pub queue: String,
    pub lane: String,
    /// The nil one for a job of no workspace.
    pub workspace_id: WorkspaceId,
    pub priority: i64,
    pub unique_key: Option<String>,
    pub payload: Json<serde_json::Value>,
    /// available | running | succeeded | dead | cancelled
    pub state: String,
    pub run_at: DateTime<Utc>,
    pub epoch: i64,
    pub attempt: i64,
    pub max_attempts: i64,
    pub owner: Option<ProcessId>,
    pub lease_until: Option<DateTime<Utc>>,
    pub lost: i64,
    pub last_error: Option<String>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// How far a job is, in the words of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Due, and nobody has it.
    Waiting,
    /// Due later.
    Delayed,
    /// In the hands of a worker.
    Active,
    /// Done.
    Completed,
    /// Given up: a dead letter.
    Failed,
    /// Not to be done.
    Cancelled,
}

impl JobState {
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Delayed => "delayed",
            JobState::Active => "active",
            JobState::Completed => "completed",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// As it stands in the row. Literals, so that the partial indexes serve.
    fn condition(self) -> &'static str {
        match self {
            JobState::Waiting | JobState::Delayed => "state = 'available'",
            JobState::Active => "state = 'running'",
            JobState::Completed => "state = 'succeeded'",
            JobState::Failed => "state = 'dead'",
            JobState::Cancelled => "state = 'cancelled'",
        }
    }
}

impl JobRow {
    pub fn state(&self, now: DateTime<Utc>) -> JobState {
        match self.state.as_str() {
            "available" if self.run_at > now => JobState::Delayed,
            "available" => JobState::Waiting,
            "running" => JobState::Active,
            "succeeded" => JobState::Completed,
            "dead" => JobState::Failed,
            _ => JobState::Cancelled,
        }
    }
}

/// Which jobs are meant.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct JobFilter {
    pub queue: Option<String>,
    pub state: Option<JobState>,
    pub lane: Option<String>,
    pub workspace: Option<WorkspaceId>,
}

/// A try that failed.
#[derive(Debug, Clone, FromRow)]
pub struct JobError {
    pub epoch: i64,
    pub attempt: i64,
    pub error: String,
    pub created_at: DateTime<Utc>,
}

pub async fn find(conn: &mut Conn, id: JobId) -> Result<JobRow> {
    on_db!(conn, |c| query_as("SELECT * FROM jobs WHERE id = $1").bind(id).fetch_optional(c).await)?
        .ok_or(Error::NotFound("job"))
}

/// What went wrong with a job, first one first.
pub async fn errors(conn: &mut Conn, id: JobId) -> Result<Vec<JobError>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT epoch, attempt, error, created_at FROM job_errors WHERE job_id = $1 ORDER BY epoch",
    )
    .bind(id)
    .fetch_all(c)
    .await)?)
}

/// The page before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    filter: &JobFilter,
    before: Option<JobId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<JobRow>> {
    Ok(on_db!(conn, |c| {
        // Only the conditions that were asked for: each one then finds its index.
        let mut sql = QueryBuilder::new("SELECT * FROM jobs WHERE ");
        sql.push(filter.state.map_or("TRUE", JobState::condition));
        match filter.state {
            Some(JobState::Waiting) => _ = sql.push(" AND run_at <= ").push_bind(now),
            Some(JobState::Delayed) => _ = sql.push(" AND run_at > ").push_bind(now),
            _ => {}
        }
        if let Some(queue) = &filter.queue {
            sql.push(" AND queue = ").push_bind(queue);
        }
        if let Some(lane) = &filter.lane {
            sql.push(" AND lane = ").push_bind(lane);
        }
        if let Some(workspace) = filter.workspace {
            sql.push(" AND workspace_id = ").push_bind(workspace);
        }
        if let Some(before) = before {
            sql.push(" AND id < ").push_bind(before);
        }
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        sql.build_query_as().fetch_all(c).await
    })?)
}

/// Dead letters come back: tried anew from the first attempt. Returns those that were dead.
pub async fn revive(conn: &mut Conn, ids: &[JobId], now: DateTime<Utc>) -> Result<Vec<JobId>> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    Ok(on_db!(conn, |c| {
        let mut sql = QueryBuilder::new("UPDATE jobs SET state = 'available', run_at = ");
        sql.push_bind(now).push(
            ", epoch = epoch + 1, attempt = 0, lost = 0, owner = NULL, lease_until = NULL,
             dispatched_at = NULL, finished_at = NULL
             WHERE state = 'dead' AND id IN (",
        );
        let mut list = sql.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        sql.push(") RETURNING id");
        sql.build_query_scalar().fetch_all(c).await
    })?)
}

/// Cancels a job that nobody holds; returns whether there was one.
pub async fn cancel(conn: &mut Conn, id: JobId, now: DateTime<Utc>) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE jobs
         SET state = 'cancelled', finished_at = $2, unique_key = NULL, dispatched_at = NULL
         WHERE id = $1 AND state = 'available'",
    )
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// Makes a delayed job due; returns whether there was one.
pub async fn promote(conn: &mut Conn, id: JobId, now: DateTime<Utc>) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE jobs SET run_at = $2, epoch = epoch + 1, dispatched_at = NULL
         WHERE id = $1 AND state = 'available' AND run_at > $2",
    )
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// Forgets up to `limit` dead or cancelled jobs of a queue that ended before `before`, oldest
/// first, with their errors; returns how many.
pub async fn purge(
    conn: &mut Conn,
    queue: &str,
    state: JobState,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64> {
    const DEAD: &str = "DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs WHERE state = 'dead' AND queue = $1 AND finished_at < $2
        ORDER BY finished_at LIMIT $3)";
    const CANCELLED: &str = "DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs WHERE state = 'cancelled' AND queue = $1 AND finished_at < $2
        ORDER BY finished_at LIMIT $3)";
    let sql = match state {
        JobState::Failed => DEAD,
        JobState::Cancelled => CANCELLED,
        _ => {
            let detail = "only failed and cancelled jobs can be purged";
            return Err(Error::invalid("/state", detail));
        }
    };
    Ok(on_db!(conn, |c| query(sql)
        .bind(queue)
        .bind(before)
        .bind(limit)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Asks a process to take no more jobs.
pub async fn drain(conn: &mut Conn, process: ProcessId) -> Result<()> {
    let found = on_db!(conn, |c| query("UPDATE processes SET draining = TRUE WHERE id = $1")
        .bind(process)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if found == 0 { Err(Error::NotFound("worker")) } else { Ok(()) }
}
