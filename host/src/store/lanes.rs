//! What holds a queue or one of its lanes back: an operator, a limit, a vendor that refused.

use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// What is said about a lane; without a row nothing is.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LaneControl {
    pub queue: String,
    pub lane: String,
    pub paused: bool,
    /// An operator's rate; it goes before the one that the component states.
    pub per_minute: Option<i64>,
    pub burst: Option<i64>,
    /// In flight at once over all processes.
    pub max_in_flight: Option<i64>,
    /// A vendor asked to be left alone until then.
    pub blocked_until: Option<DateTime<Utc>>,
    /// Theoretical arrival time of the next job, see `queue::rate`.
    pub tat: Option<DateTime<Utc>>,
    /// Share of the rate that is used, in thousandths.
    pub throttle: i64,
    /// When the share was changed last.
    pub throttled_at: Option<DateTime<Utc>>,
}

/// What an operator says about a queue.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct QueueControl {
    pub queue: String,
    pub paused: bool,
    /// In flight at once over all processes.
    pub max_in_flight: Option<i64>,
}

/// The whole rate.
pub const FULL: i64 = 1000;

/// What a lane has under way.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct UnderWay {
    pub lane: String,
    pub workspace_id: WorkspaceId,
    /// In the hands of workers.
    pub running: i64,
    /// With the broker, not taken yet.
    pub dispatched: i64,
}

pub async fn queue_controls(conn: &mut Conn) -> Result<Vec<QueueControl>> {
    Ok(on_db!(conn, |c| query_as("SELECT queue, paused, max_in_flight FROM queue_control")
        .fetch_all(c)
        .await)?)
}

pub async fn lane_controls(conn: &mut Conn, queue: &str) -> Result<Vec<LaneControl>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT queue, lane, paused, per_minute, burst, max_in_flight, blocked_until, tat,
                throttle, throttled_at
         FROM lane_control WHERE queue = $1",
    )
    .bind(queue)
    .fetch_all(c)
    .await)?)
}

/// The lane's row, made when there is none, held until the transaction ends: what is decided by
/// it is decided once, whoever else asks.
pub async fn lock(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    now: DateTime<Utc>,
) -> Result<LaneControl> {
    const FIND: &str = "SELECT queue, lane, paused, per_minute, burst, max_in_flight,
            blocked_until, tat, throttle, throttled_at
        FROM lane_control WHERE queue = $1 AND lane = $2";
    const FIND_AND_HOLD: &str = "SELECT queue, lane, paused, per_minute, burst, max_in_flight,
            blocked_until, tat, throttle, throttled_at
        FROM lane_control WHERE queue = $1 AND lane = $2 FOR UPDATE";
    on_db!(conn, |c| query(
        "INSERT INTO lane_control (queue, lane, paused, throttle, updated_by, updated_at)
         VALUES ($1, $2, FALSE, $3, 'system', $4) ON CONFLICT (queue, lane) DO NOTHING",
    )
    .bind(queue)
    .bind(lane)
    .bind(FULL)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(on_db!(conn,
        postgres: |c| query_as(FIND_AND_HOLD).bind(queue).bind(lane).fetch_one(c).await,
        // A SQLite transaction holds everything.
        sqlite: |c| query_as(FIND).bind(queue).bind(lane).fetch_one(c).await)?)
}

/// Notes when the lane's next job may start, by its rate.
pub async fn spend(conn: &mut Conn, queue: &str, lane: &str, tat: DateTime<Utc>) -> Result<()> {
    on_db!(conn, |c| query("UPDATE lane_control SET tat = $3 WHERE queue = $1 AND lane = $2")
        .bind(queue)
        .bind(lane)
        .bind(tat)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Leaves a lane alone until `until`, and notes the share of its rate that is used from now on.
pub async fn refused(
    conn: &mut Conn,
    lane: &LaneControl,
    until: DateTime<Utc>,
    throttle: i64,
    throttled_at: Option<DateTime<Utc>>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE lane_control
         SET blocked_until = CASE WHEN blocked_until IS NULL OR blocked_until < $3 THEN $3
                                  ELSE blocked_until END,
             throttle = $4, throttled_at = $5
         WHERE queue = $1 AND lane = $2",
    )
    .bind(&lane.queue)
    .bind(&lane.lane)
    .bind(until)
    .bind(throttle)
    .bind(throttled_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Gives throttled lanes of a queue `step` of their rate back when nothing was refused since
/// `quiet_since`; returns how many.
pub async fn recover(
    conn: &mut Conn,
    queue: &str,
    step: i64,
    quiet_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64> {
    Ok(on_db!(conn, |c| query(
        "UPDATE lane_control
         SET throttle = CASE WHEN throttle + $2 > $3 THEN $3 ELSE throttle + $2 END,
             throttled_at = $5
         WHERE queue = $1 AND throttle < $3 AND throttled_at < $4",
    )
    .bind(queue)
    .bind(step)
    .bind(FULL)
    .bind(quiet_since)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?)
}

/// What the lanes of a queue have under way, by workspace. Costs what is under way, not what waits.
pub async fn under_way(conn: &mut Conn, queue: &str) -> Result<Vec<UnderWay>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT lane, workspace_id, CAST(SUM(running) AS BIGINT) AS running,
                CAST(SUM(dispatched) AS BIGINT) AS dispatched
         FROM (
             SELECT lane, workspace_id, COUNT(*) AS running, 0 AS dispatched
             FROM jobs WHERE queue = $1 AND state = 'running' GROUP BY lane, workspace_id
             UNION ALL
             SELECT lane, workspace_id, 0 AS running, COUNT(*) AS dispatched
             FROM jobs
             WHERE queue = $1 AND state = 'available' AND dispatched_at IS NOT NULL
             GROUP BY lane, workspace_id
         ) AS found GROUP BY lane, workspace_id",
    )
    .bind(queue)
    .fetch_all(c)
    .await)?)
}

/// How many jobs of a queue, or of one of its lanes, are in the hands of workers.
pub async fn running(conn: &mut Conn, queue: &str, lane: Option<&str>) -> Result<i64> {
    Ok(on_db!(conn, |c| sqlx::query_scalar(
        "SELECT COUNT(*) FROM jobs
         WHERE queue = $1 AND ($2 IS NULL OR lane = $2) AND state = 'running'",
    )
    .bind(queue)
    .bind(lane)
    .fetch_one(c)
    .await)?)
}

/// A queue's row, made when there is none and held until the transaction ends; see [`lock`].
pub async fn lock_queue(conn: &mut Conn, queue: &str, now: DateTime<Utc>) -> Result<QueueControl> {
    const FIND: &str = "SELECT queue, paused, max_in_flight FROM queue_control WHERE queue = $1";
    const FIND_AND_HOLD: &str =
        "SELECT queue, paused, max_in_flight FROM queue_control WHERE queue = $1 FOR UPDATE";
    on_db!(conn, |c| query(
        "INSERT INTO queue_control (queue, paused, updated_by, updated_at)
         VALUES ($1, FALSE, 'system', $2) ON CONFLICT (queue) DO NOTHING",
    )
    .bind(queue)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(on_db!(conn,
        postgres: |c| query_as(FIND_AND_HOLD).bind(queue).fetch_one(c).await,
        sqlite: |c| query_as(FIND).bind(queue).fetch_one(c).await)?)
}
