//! Schedules and the slots that fired.
//!
//! **Invariant:** a slot has one row in `schedule_fires`, written in the transaction of what it
//! starts: whoever writes the row fires the slot, and nobody else does.

use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{BatchId, ScheduleId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// What is to happen again and again, by the clock of a place.
#[derive(Debug, Clone, FromRow)]
pub struct Schedule {
    pub id: ScheduleId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// Where what it starts is put.
    pub queue: String,
    pub cron: String,
    /// IANA name.
    pub timezone: String,
    /// What to start, in the words of its queue.
    pub payload: Json<serde_json::Value>,
    pub catch_up: CatchUp,
    pub jitter_seconds: i64,
    pub enabled: bool,
    /// The slot that fires next.
    pub next_at: Option<DateTime<Utc>>,
    /// When it starts: the slot and the jitter.
    pub due_at: Option<DateTime<Utc>>,
    /// Grows with each change of the settings, and not when a slot fires.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What becomes of slots that passed while nobody worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CatchUp {
    None,
    /// The last of them fires.
    One,
    /// Each of them fires, up to a limit.
    All,
}

/// What became of a slot.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Fire {
    pub workspace_id: WorkspaceId,
    pub schedule_id: ScheduleId,
    pub slot: DateTime<Utc>,
    /// The wall time that the expression names.
    pub local_time: String,
    pub outcome: Outcome,
    /// Why it did not start.
    pub reason: Option<String>,
    /// How many slots the row stands for; `slot` is the first of them.
    pub slots: i64,
    pub batch_id: Option<BatchId>,
    pub fired_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    Started,
    /// What it should have started cannot be.
    Refused,
    /// It passed while nobody worked, and is not made up for.
    Missed,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Started => "started",
            Outcome::Refused => "refused",
            Outcome::Missed => "missed",
        }
    }
}

/// Adds a schedule; `false` when the workspace has one of this name.
pub async fn insert(conn: &mut Conn, schedule: &Schedule) -> Result<bool> {
    let Schedule {
        id,
        workspace_id,
        name,
        queue,
        cron,
        timezone,
        payload,
        catch_up,
        jitter_seconds,
        enabled,
        next_at,
        due_at,
        version,
        created_at,
        updated_at,
    } = schedule;
    let added = on_db!(conn, |c| {
        query(
        "INSERT INTO schedules (id, workspace_id, name, queue, cron, timezone, payload, catch_up,
                                jitter_seconds, enabled, next_at, due_at, version, created_at,
                                updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(queue)
    .bind(cron)
    .bind(timezone)
    .bind(payload)
    .bind(catch_up)
    .bind(jitter_seconds)
    .bind(enabled)
    .bind(next_at)
    .bind(due_at)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(added > 0)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ScheduleId) -> Result<Schedule> {
    on_db!(conn, |c| query_as("SELECT * FROM schedules WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("schedule"))
}

/// Finds a schedule to change it: nobody else does until the transaction ends.
///
/// Errs when it is not at the version `expected` (any version when `None`).
pub async fn lock(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ScheduleId,
    expected: Option<i64>,
) -> Result<Schedule> {
    macro_rules! lock {
        ($c:expr, $lock:literal) => {
            query_as(concat!("SELECT * FROM schedules WHERE workspace_id = $1 AND id = $2", $lock))
                .bind(workspace)
                .bind(id)
                .fetch_optional($c)
                .await
        };
    }
    let found: Option<Schedule> =
        on_db!(conn, postgres: |c| lock!(c, " FOR UPDATE"), sqlite: |c| lock!(c, ""))?;
    let found = found.ok_or(Error::NotFound("schedule"))?;
    match expected {
        Some(version) if version != found.version => Err(Error::Changed("schedule")),
        _ => Ok(found),
    }
}

/// The page of schedules that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<ScheduleId>,
    limit: i64,
) -> Result<Vec<Schedule>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM schedules WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Writes the settings of a schedule that the caller holds by [`lock`], as a new version.
pub async fn update(conn: &mut Conn, schedule: &Schedule, now: DateTime<Utc>) -> Result<Schedule> {
    let Schedule {
        id,
        workspace_id,
        name,
        queue: _,
        cron,
        timezone,
        payload,
        catch_up,
        jitter_seconds,
        enabled,
        next_at,
        due_at,
        version: _,
        created_at: _,
        updated_at: _,
    } = schedule;
    on_db!(conn, |c| query_as(
        "UPDATE schedules
         SET name = $3, cron = $4, timezone = $5, payload = $6, catch_up = $7,
             jitter_seconds = $8, enabled = $9, next_at = $10, due_at = $11,
             version = version + 1, updated_at = $12
         WHERE workspace_id = $1 AND id = $2
         RETURNING *",
    )
    .bind(workspace_id)
    .bind(id)
    .bind(name)
    .bind(cron)
    .bind(timezone)
    .bind(payload)
    .bind(catch_up)
    .bind(jitter_seconds)
    .bind(enabled)
    .bind(next_at)
    .bind(due_at)
    .bind(now)
    .fetch_one(c)
    .await)
    .unique(NAME_TAKEN)
}

/// What stands in the way of a second schedule of one name.
pub const NAME_TAKEN: &str = "a schedule with this name";

/// Forgets a schedule and its fires; what it started goes on.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: ScheduleId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM schedules WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// When the first schedule of all is due.
pub async fn earliest(conn: &mut Conn) -> Result<Option<DateTime<Utc>>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT MIN(due_at) FROM schedules WHERE enabled AND due_at IS NOT NULL",
    )
    .fetch_one(c)
    .await)?)
}

/// The first due schedule behind `after`, held until the transaction ends. On Postgres, those that
/// another process holds are passed over.
pub async fn claim(
    conn: &mut Conn,
    after: Option<(DateTime<Utc>, ScheduleId)>,
    now: DateTime<Utc>,
) -> Result<Option<Schedule>> {
    let (due_at, id) = after.unzip();
    macro_rules! claim {
        ($c:expr, $lock:literal) => {
            query_as(concat!(
                "SELECT * FROM schedules
                 WHERE enabled AND due_at IS NOT NULL AND due_at <= $1
                   AND ($2 IS NULL OR (due_at, id) > ($2, $3))
                 ORDER BY due_at, id LIMIT 1",
                $lock
            ))
            .bind(now)
            .bind(due_at)
            .bind(id)
            .fetch_optional($c)
            .await
        };
    }
    Ok(on_db!(conn,
        postgres: |c| claim!(c, " FOR UPDATE SKIP LOCKED"), sqlite: |c| claim!(c, ""))?)
}

/// Moves a schedule from the slot it stood at to the one that follows; `false` when somebody moved
/// or changed it before.
pub async fn advance(
    conn: &mut Conn,
    schedule: &Schedule,
    next_at: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let moved = on_db!(conn, |c| query(
        "UPDATE schedules SET next_at = $5, due_at = $6
         WHERE workspace_id = $1 AND id = $2 AND version = $3 AND next_at = $4",
    )
    .bind(schedule.workspace_id)
    .bind(schedule.id)
    .bind(schedule.version)
    .bind(schedule.next_at)
    .bind(next_at)
    .bind(due_at)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(moved > 0)
}

/// Says what became of a slot; `false` when that was said before.
pub async fn record(conn: &mut Conn, fire: &Fire) -> Result<bool> {
    let Fire {
        workspace_id,
        schedule_id,
        slot,
        local_time,
        outcome,
        reason,
        slots,
        batch_id,
        fired_at,
    } = fire;
    let added = on_db!(conn, |c| {
        query(
        "INSERT INTO schedule_fires (workspace_id, schedule_id, slot, local_time, outcome, reason,
                                     slots, batch_id, fired_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT DO NOTHING",
    )
    .bind(workspace_id)
    .bind(schedule_id)
    .bind(slot)
    .bind(local_time)
    .bind(outcome)
    .bind(reason)
    .bind(slots)
    .bind(batch_id)
    .bind(fired_at)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(added > 0)
}

/// The page of fires before the slot `before`, newest first.
pub async fn fires(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ScheduleId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Fire>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM schedule_fires
         WHERE workspace_id = $1 AND schedule_id = $2 AND ($3 IS NULL OR slot < $3)
         ORDER BY slot DESC LIMIT $4",
    )
    .bind(workspace)
    .bind(id)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Forgets what became of slots before `before`, in all workspaces. No slot fires again for it: a
/// schedule only ever steps on.
pub async fn purge_fires(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query("DELETE FROM schedule_fires WHERE fired_at < $1")
        .bind(before)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}

/// How many schedules a workspace made itself.
pub async fn count(conn: &mut Conn, workspace: WorkspaceId, provided: &str) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT COUNT(*) FROM schedules WHERE workspace_id = $1 AND queue <> $2",
    )
    .bind(workspace)
    .bind(provided)
    .fetch_one(c)
    .await)?)
}

/// A workspace that lacks the schedule for a queue, or has it in another zone than its own.
#[derive(Debug, Clone, FromRow)]
pub struct Lacking {
    pub workspace_id: WorkspaceId,
    pub timezone: String,
    pub schedule_id: Option<ScheduleId>,
}

pub async fn lacking(conn: &mut Conn, queue: &str, limit: i64) -> Result<Vec<Lacking>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT w.id AS workspace_id, w.timezone, s.id AS schedule_id
         FROM workspaces w
         LEFT JOIN schedules s ON s.workspace_id = w.id AND s.queue = $1
         WHERE s.id IS NULL OR s.timezone <> w.timezone
         ORDER BY w.id LIMIT $2",
    )
    .bind(queue)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
