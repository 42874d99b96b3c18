use super::{Conn, on_db};
use crate::Result;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// How tries ended in a minute, over all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct QueueMinute {
    pub queue: String,
    pub minute: DateTime<Utc>,
    pub succeeded: i64,
    pub retried: i64,
    pub dead: i64,
    pub cancelled: i64,
}

/// Adds what a process did.
pub async fn add(conn: &mut Conn, done: &QueueMinute) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO queue_minutes (queue, minute, succeeded, retried, dead, cancelled)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (queue, minute) DO UPDATE
         SET succeeded = queue_minutes.succeeded + $3, retried = queue_minutes.retried + $4,
             dead = queue_minutes.dead + $5, cancelled = queue_minutes.cancelled + $6",
    )
    .bind(&done.queue)
    .bind(done.minute)
    .bind(done.succeeded)
    .bind(done.retried)
    .bind(done.dead)
    .bind(done.cancelled)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// What every queue did since, added up; queues that did nothing are left out.
pub async fn since(conn: &mut Conn, from: DateTime<Utc>) -> Result<Vec<QueueMinute>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT queue, MAX(minute) AS minute, CAST(SUM(succeeded) AS BIGINT) AS succeeded,
                CAST(SUM(retried) AS BIGINT) AS retried, CAST(SUM(dead) AS BIGINT) AS dead,
                CAST(SUM(cancelled) AS BIGINT) AS cancelled
         FROM queue_minutes WHERE minute >= $1 GROUP BY queue ORDER BY queue",
    )
    .bind(from)
    .fetch_all(c)
    .await)?)
}

/// Forgets minutes before; returns how many.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query("DELETE FROM queue_minutes WHERE minute < $1")
        .bind(before)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
