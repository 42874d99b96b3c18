//! What operators see of queues and lanes, and what they say about them.
//!
//! **Invariant:** nothing here touches a job: whoever claims reads what is said and acts on it.

use super::{
    Conn,
    lanes::{FULL, LaneControl},
    on_db,
};
use crate::Result;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// What a lane of a queue holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct LaneCount {
    pub queue: String,
    pub lane: String,
    /// Due.
    pub waiting: i64,
    /// Due later.
    pub delayed: i64,
    /// In the hands of workers.
    pub running: i64,
    /// When the first of those that wait became due.
    pub oldest_due_at: Option<DateTime<Utc>>,
}

/// What an operator says about a queue, and since when.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct QueueWord {
    pub queue: String,
    pub paused: bool,
    /// In flight at once over all processes.
    pub max_in_flight: Option<i64>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
}

/// What is said about a lane, and since when.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LaneWord {
    #[sqlx(flatten)]
    pub control: LaneControl,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
}

/// Limits that an operator sets; `None` leaves it to the component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LaneLimits {
    pub per_minute: Option<i64>,
    pub burst: Option<i64>,
    pub max_in_flight: Option<i64>,
}

/// Who speaks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// Counts what waits and runs, by lane. Costs as much as there is waiting: for whoever may wait,
/// or keeps the answer for a while.
pub async fn count(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<LaneCount>> {
    // Each branch reads one small or covering index: see `0007_queue_control.sql`.
    Ok(on_db!(conn, |c| query_as(
        "SELECT queue, lane, CAST(SUM(waiting) AS BIGINT) AS waiting,
                CAST(SUM(delayed) AS BIGINT) AS delayed,
                CAST(SUM(running) AS BIGINT) AS running, MIN(oldest_due_at) AS oldest_due_at
         FROM (
             SELECT queue, lane, COUNT(*) FILTER (WHERE run_at <= $1) AS waiting,
                    COUNT(*) FILTER (WHERE run_at > $1) AS delayed, 0 AS running,
                    MIN(run_at) FILTER (WHERE run_at <= $1) AS oldest_due_at
             FROM jobs WHERE state = 'available' AND dispatched_at IS NULL GROUP BY queue, lane
             UNION ALL
             SELECT queue, lane, COUNT(*) FILTER (WHERE run_at <= $1),
                    COUNT(*) FILTER (WHERE run_at > $1), 0,
                    MIN(run_at) FILTER (WHERE run_at <= $1)
             FROM jobs WHERE state = 'available' AND dispatched_at IS NOT NULL
             GROUP BY queue, lane
             UNION ALL
             SELECT queue, lane, 0, 0, COUNT(*), NULL
             FROM jobs WHERE state = 'running' GROUP BY queue, lane
         ) AS found GROUP BY queue, lane ORDER BY queue, lane",
    )
    .bind(now)
    .fetch_all(c)
    .await)?)
}

/// How many jobs each queue has given up.
pub async fn count_dead(conn: &mut Conn) -> Result<Vec<(String, i64)>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT queue, COUNT(*) FROM jobs WHERE state = 'dead' GROUP BY queue ORDER BY queue",
    )
    .fetch_all(c)
    .await)?)
}

pub async fn queues(conn: &mut Conn) -> Result<Vec<QueueWord>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM queue_control ORDER BY queue").fetch_all(c).await)?)
}

/// What is said about the lanes of a queue, or of all.
pub async fn lanes(conn: &mut Conn, queue: Option<&str>) -> Result<Vec<LaneWord>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM lane_control WHERE $1 IS NULL OR queue = $1 ORDER BY queue, lane",
    )
    .bind(queue)
    .fetch_all(c)
    .await)?)
}

/// Pauses a queue or lets it go on; returns whether that is a change. What it was before keeps its
/// author and time.
pub async fn pause_queue(
    conn: &mut Conn,
    queue: &str,
    paused: bool,
    said: Said<'_>,
) -> Result<bool> {
    const PAUSE: &str = "INSERT INTO queue_control (queue, paused, updated_by, updated_at)
        VALUES ($1, TRUE, $2, $3)
        ON CONFLICT (queue) DO UPDATE SET paused = TRUE, updated_by = $2, updated_at = $3
        WHERE NOT queue_control.paused";
    const RESUME: &str = "UPDATE queue_control SET paused = FALSE, updated_by = $2, updated_at = $3
        WHERE queue = $1 AND paused";
    let sql = if paused { PAUSE } else { RESUME };
    let changed = on_db!(conn, |c| query(sql)
        .bind(queue)
        .bind(said.by)
        .bind(said.at)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// Pauses a lane or lets it go on, like [`pause_queue`].
pub async fn pause_lane(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    paused: bool,
    said: Said<'_>,
) -> Result<bool> {
    const PAUSE: &str = "INSERT INTO lane_control (queue, lane, paused, throttle, updated_by,
                                                   updated_at)
        VALUES ($1, $2, TRUE, $3, $4, $5)
        ON CONFLICT (queue, lane) DO UPDATE SET paused = TRUE, updated_by = $4, updated_at = $5
        WHERE NOT lane_control.paused";
    const RESUME: &str = "UPDATE lane_control SET paused = FALSE, updated_by = $4, updated_at = $5
        WHERE queue = $1 AND lane = $2 AND paused AND $3 > 0";
    let sql = if paused { PAUSE } else { RESUME };
    let changed = on_db!(conn, |c| query(sql)
        .bind(queue)
        .bind(lane)
        .bind(FULL)
        .bind(said.by)
        .bind(said.at)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// Sets all limits of a lane.
pub async fn limit_lane(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    limits: LaneLimits,
    said: Said<'_>,
) -> Result<()> {
    let LaneLimits { per_minute, burst, max_in_flight } = limits;
    on_db!(conn, |c| query(
        "INSERT INTO lane_control (queue, lane, paused, per_minute, burst, max_in_flight, throttle,
                                   updated_by, updated_at)
         VALUES ($1, $2, FALSE, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (queue, lane) DO UPDATE
         SET per_minute = $3, burst = $4, max_in_flight = $5, updated_by = $7, updated_at = $8",
    )
    .bind(queue)
    .bind(lane)
    .bind(per_minute)
    .bind(burst)
    .bind(max_in_flight)
    .bind(FULL)
    .bind(said.by)
    .bind(said.at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets what a vendor's refusals did to a lane; returns whether there was something.
pub async fn unblock_lane(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    said: Said<'_>,
) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE lane_control
         SET blocked_until = NULL, throttle = $3, throttled_at = NULL, updated_by = $4,
             updated_at = $5
         WHERE queue = $1 AND lane = $2 AND (blocked_until IS NOT NULL OR throttle < $3)",
    )
    .bind(queue)
    .bind(lane)
    .bind(FULL)
    .bind(said.by)
    .bind(said.at)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// A job that ended lately.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RecentEnd {
    pub lane: String,
    /// succeeded | dead | cancelled
    pub state: String,
    /// When its last try began.
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: DateTime<Utc>,
}

/// The last jobs of a queue that ended since, newest first, at most `limit`.
pub async fn recent_ends(
    conn: &mut Conn,
    queue: &str,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RecentEnd>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT lane, state, started_at, finished_at FROM jobs
         WHERE finished_at >= $2 AND queue = $1 ORDER BY finished_at DESC LIMIT $3",
    )
    .bind(queue)
    .bind(since)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
