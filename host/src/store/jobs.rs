use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{JobId, ProcessId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};
use std::collections::HashSet;

/// Why somebody waits for a job. Within a lane, a class goes before the ones below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A person asked for it just now.
    #[default]
    Interactive,
    /// A stranger tries the product.
    Demo,
    /// A clock asked for it.
    Scheduled,
    /// Nobody waits.
    Backfill,
}

impl Priority {
    /// As it stands in the row: lower goes first, with room between the classes.
    pub const fn value(self) -> i64 {
        match self {
            Priority::Interactive => 10,
            Priority::Demo => 50,
            Priority::Scheduled => 100,
            Priority::Backfill => 200,
        }
    }
}

/// A piece of work to add.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub queue: &'static str,
    /// What limits it: the provider for a run, else empty.
    pub lane: String,
    pub workspace: Option<WorkspaceId>,
    /// See [`Priority::value`].
    pub priority: i64,
    /// While a job of the queue has it, another one is not added.
    pub unique_key: Option<String>,
    pub payload: serde_json::Value,
    pub run_at: DateTime<Utc>,
    pub max_attempts: i64,
}

/// A job in the hands of a worker.
#[derive(Debug, Clone, FromRow)]
pub struct Claimed {
    pub id: JobId,
    pub queue: String,
    pub lane: String,
    /// The nil one for a job of no workspace.
    pub workspace_id: WorkspaceId,
    pub payload: Json<serde_json::Value>,
    /// See [`Priority::value`].
    pub priority: i64,
    /// When it became due.
    pub run_at: DateTime<Utc>,
    /// What the worker must still hold for its result to count.
    pub epoch: i64,
    /// 1 for the first try.
    pub attempt: i64,
    pub max_attempts: i64,
    /// How often its worker died.
    pub lost: i64,
    pub owner: ProcessId,
}

/// How a try ended.
#[derive(Debug, Clone)]
pub enum JobEnd {
    Succeeded,
    /// Try again at `run_at`; `counts` says whether this try used up an attempt.
    Retry {
        run_at: DateTime<Utc>,
        counts: bool,
        error: Option<String>,
    },
    /// No further try helps.
    Dead {
        error: String,
    },
    Cancelled,
}

impl JobEnd {
    /// What the row says then.
    fn state(&self) -> &'static str {
        match self {
            JobEnd::Succeeded => "succeeded",
            JobEnd::Retry { .. } => "available",
            JobEnd::Dead { .. } => "dead",
            JobEnd::Cancelled => "cancelled",
        }
    }

    fn is_final(&self) -> bool {
        !matches!(self, JobEnd::Retry { .. })
    }

    /// When the next try is due.
    fn run_at(&self) -> Option<DateTime<Utc>> {
        match self {
            JobEnd::Retry { run_at, .. } => Some(*run_at),
            _ => None,
        }
    }

    /// The try did not use up an attempt.
    fn gives_back(&self) -> bool {
        matches!(self, JobEnd::Retry { counts: false, .. })
    }

    /// What went wrong, if something did.
    fn error(&self) -> Option<&str> {
        match self {
            JobEnd::Retry { error, .. } => error.as_deref(),
            JobEnd::Dead { error } => Some(error),
            JobEnd::Succeeded | JobEnd::Cancelled => None,
        }
    }
}

/// How many jobs of a queue are in a state.
#[derive(Debug, Clone, FromRow)]
pub struct JobCount {
    pub queue: String,
    pub state: String,
    pub jobs: i64,
    /// When the oldest of them became due.
    pub oldest_run_at: Option<DateTime<Utc>>,
}

/// Adds jobs in the caller's transaction; returns how many were new.
pub async fn insert(conn: &mut Conn, jobs: &[NewJob], now: DateTime<Utc>) -> Result<u64> {
    Rows::new(jobs)
        .column("id", |_| JobId::generate())
        .column("queue", |job| job.queue)
        .column("lane", |job| job.lane.as_str())
        .column("workspace_id", |job| job.workspace.unwrap_or(WorkspaceId(uuid::Uuid::nil())))
        .column("priority", |job| job.priority)
        .column("unique_key", |job| job.unique_key.as_deref())
        .column("payload", |job| Json(&job.payload))
        .column("state", |_| "available")
        .column("run_at", |job| job.run_at)
        .column("epoch", |_| 0_i64)
        .column("attempt", |_| 0_i64)
        .column("max_attempts", |job| job.max_attempts)
        .column("lost", |_| 0_i64)
        .column("created_at", |_| now)
        .insert(conn, "INSERT INTO jobs", "ON CONFLICT DO NOTHING")
        .await
}

/// Ends tries that `owner` still holds; returns the ids of those that it did.
///
/// A job that is to be tried again gets a new epoch: what still names the old one is out of date.
///
/// **Invariant:** what a worker did counts only when its job is among the returned ones.
pub async fn end(
    conn: &mut Conn,
    owner: ProcessId,
    ends: &[(JobId, i64, JobEnd)],
    now: DateTime<Utc>,
) -> Result<HashSet<JobId>> {
    let ended: Vec<(JobId,)> = Rows::new(ends)
        .column("id", |(id, ..)| *id)
        .column("epoch", |(_, epoch, _)| *epoch)
        .column("state", |(.., end)| end.state())
        .column("run_at", |(.., end)| end.run_at())
        .column("given_back", |(.., end)| i64::from(end.gives_back()))
        .column("error", |(.., end)| end.error())
        .column("finished_at", |(.., end)| end.is_final().then_some(now))
        .column("owner", |_| owner)
        // A value, so that the rows are found by their ids: the index of running jobs names mostly
        // those that ran a moment ago.
        .column("held", |_| "running")
        .fetch(
            conn,
            "UPDATE jobs
             SET state = v.state, run_at = COALESCE(v.run_at, jobs.run_at),
                 attempt = jobs.attempt - v.given_back, dispatched_at = NULL,
                 epoch = jobs.epoch + CASE WHEN v.finished_at IS NULL THEN 1 ELSE 0 END,
                 last_error = COALESCE(v.error, jobs.last_error), finished_at = v.finished_at,
                 unique_key = CASE WHEN v.finished_at IS NULL THEN jobs.unique_key END,
                 owner = NULL, lease_until = NULL
             FROM v WHERE jobs.id = v.id AND jobs.epoch = v.epoch
               AND jobs.state = v.held AND jobs.owner = v.owner
             RETURNING jobs.id",
        )
        .await?;
    let ended: HashSet<JobId> = ended.into_iter().map(|(id,)| id).collect();
    let errors: Vec<_> = ends
        .iter()
        .filter(|(id, ..)| ended.contains(id))
        .filter_map(|(id, epoch, end)| Some((*id, *epoch, end.error()?)))
        .collect();
    note_errors(conn, &errors, now).await?;
    Ok(ended)
}

/// Keeps what went wrong, for whoever asks later.
async fn note_errors(
    conn: &mut Conn,
    errors: &[(JobId, i64, &str)],
    now: DateTime<Utc>,
) -> Result<()> {
    Rows::new(errors)
        .column("id", |(id, ..)| *id)
        .column("epoch", |(_, epoch, _)| *epoch)
        .column("error", |(.., error)| *error)
        .column("now", |_| now)
        .execute(
            conn,
            "INSERT INTO job_errors (job_id, epoch, attempt, error, created_at)
             SELECT jobs.id, v.epoch, jobs.attempt, v.error, v.now
             FROM v JOIN jobs ON jobs.id = v.id
             WHERE TRUE ON CONFLICT (job_id, epoch) DO NOTHING",
        )
        .await
        .map(drop)
}

/// Prolongs every lease of `owner`; returns the jobs that it holds.
pub async fn renew(
    conn: &mut Conn,
    owner: ProcessId,
    lease_until: DateTime<Utc>,
) -> Result<Vec<JobId>> {
    let held: Vec<(JobId,)> = on_db!(conn, |c| query_as(
        "UPDATE jobs SET lease_until = $2 WHERE owner = $1 AND state = 'running' RETURNING id",
    )
    .bind(owner)
    .bind(lease_until)
    .fetch_all(c)
    .await)?;
    Ok(held.into_iter().map(|(id,)| id).collect())
}

/// A job that was taken away from a worker that stopped renewing it.
#[derive(Debug, Clone, FromRow)]
pub struct Rescued {
    pub id: JobId,
    pub queue: String,
    pub payload: Json<serde_json::Value>,
    /// The new one.
    pub epoch: i64,
    /// It lost its worker too often and is not tried again.
    pub buried: bool,
}

/// Why a rescued job's last try came to nothing.
pub const LOST: &str = "its worker stopped before it was done";

/// Takes jobs away from workers that stopped renewing them.
///
/// A job that lost its worker more than `max_lost` times is buried: it may be what kills them.
pub async fn rescue(conn: &mut Conn, max_lost: i64, now: DateTime<Utc>) -> Result<Vec<Rescued>> {
    let rescued: Vec<Rescued> = on_db!(conn, |c| query_as(
        "UPDATE jobs
         SET state = CASE WHEN lost >= $2 THEN 'dead' ELSE 'available' END,
             finished_at = CASE WHEN lost >= $2 THEN $1 END,
             last_error = $3, dispatched_at = NULL,
             run_at = $1, epoch = epoch + 1, lost = lost + 1, owner = NULL, lease_until = NULL
         WHERE state = 'running' AND lease_until < $1
         RETURNING id, queue, payload, epoch, state = 'dead' AS buried",
    )
    .bind(now)
    .bind(max_lost)
    .bind(LOST)
    .fetch_all(c)
    .await)?;
    let errors: Vec<_> = rescued.iter().map(|job| (job.id, job.epoch - 1, LOST)).collect();
    note_errors(conn, &errors, now).await?;
    Ok(rescued)
}

/// Gives back what `owner` holds, as if it had never been claimed.
pub async fn hand_back(conn: &mut Conn, owner: ProcessId, now: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query(
        "UPDATE jobs
         SET state = 'available', run_at = $2, epoch = epoch + 1, attempt = attempt - 1,
             dispatched_at = NULL, owner = NULL, lease_until = NULL
         WHERE owner = $1 AND state = 'running'",
    )
    .bind(owner)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?)
}

/// Gives single jobs back that `owner` holds; see [`hand_back`].
pub async fn hand_back_each(
    conn: &mut Conn,
    owner: ProcessId,
    ids: &[JobId],
    now: DateTime<Utc>,
) -> Result<()> {
    for id in ids {
        on_db!(conn, |c| query(
            "UPDATE jobs
             SET state = 'available', run_at = $2, epoch = epoch + 1, attempt = attempt - 1,
                 dispatched_at = NULL, owner = NULL, lease_until = NULL
             WHERE owner = $1 AND id = $3 AND state = 'running'",
        )
        .bind(owner)
        .bind(now)
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}

/// How many jobs [`purge`] forgets at most.
pub const PURGED_AT_ONCE: u64 = 5000;

/// Forgets jobs that ended well before `before`; returns how many.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs
             WHERE finished_at < $1 AND state IN ('succeeded', 'cancelled') LIMIT $2)",
    )
    .bind(before)
    .bind(i64::try_from(PURGED_AT_ONCE).unwrap_or(i64::MAX))
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?)
}

pub async fn counts(conn: &mut Conn) -> Result<Vec<JobCount>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT queue, state, COUNT(*) AS jobs, MIN(run_at) AS oldest_run_at
         FROM jobs GROUP BY queue, state ORDER BY queue, state",
    )
    .fetch_all(c)
    .await)?)
}
