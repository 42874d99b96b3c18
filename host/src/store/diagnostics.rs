//! Questions of the doctor that no other part of the program asks.

use super::{Conn, on_db};
use crate::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, query_as, query_scalar};

/// A session of this program that holds a transaction open, or waits for somebody who does.
#[derive(Debug, Clone, FromRow)]
pub struct Session {
    pub pid: i64,
    /// active | idle in transaction | …
    pub state: String,
    /// Since its transaction began.
    pub seconds: i64,
    pub waits_for_lock: bool,
}

/// Jobs whose worker should have said that it lives, and nobody took them away since.
pub async fn stuck(conn: &mut Conn, now: DateTime<Utc>) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT COUNT(*) FROM jobs WHERE state = 'running' AND lease_until < $1",
    )
    .bind(now - TimeDelta::seconds(30))
    .fetch_one(c)
    .await)?)
}

/// Sessions with a transaction of more than ten seconds, or waiting for a lock. Postgres only: a
/// SQLite file has one writer, and it is never left open.
pub async fn sessions(conn: &mut Conn) -> Result<Vec<Session>> {
    on_db!(conn,
        postgres: |c| Ok(query_as(
            "SELECT CAST(pid AS BIGINT) AS pid, COALESCE(state, '') AS state,
                    CAST(EXTRACT(EPOCH FROM clock_timestamp() - xact_start) AS BIGINT) AS seconds,
                    COALESCE(wait_event_type = 'Lock', FALSE) AS waits_for_lock
             FROM pg_stat_activity
             WHERE application_name = 'aiv' AND datname = current_database()
               AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
               AND (wait_event_type = 'Lock'
                    OR xact_start < clock_timestamp() - INTERVAL '10 seconds')
             ORDER BY seconds DESC",
        )
        .fetch_all(c)
        .await?),
        sqlite: |_c| Ok(vec![]))
}
