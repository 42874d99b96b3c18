use super::{Conn, on_db};
use crate::{Result, ids::ProcessId};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// A process that is silent for longer is gone.
pub const GONE: TimeDelta = TimeDelta::seconds(30);

/// A process of the platform, as it last said.
#[derive(Debug, Clone, FromRow)]
pub struct Process {
    pub id: ProcessId,
    /// api | worker | scheduler | all
    pub role: String,
    pub host: String,
    pub pid: i64,
    pub version: String,
    /// Runs that it does at once; 0 when it does none.
    pub concurrency: i64,
    pub in_flight: i64,
    /// It takes no more jobs.
    pub draining: bool,
    pub started_at: DateTime<Utc>,
    /// Silent for longer than half a minute, it is gone.
    pub seen_at: DateTime<Utc>,
    /// The generation of components that it has in service.
    pub provider_generation: i64,
}

/// Says that the process lives. What an operator said about it (`draining`) stays.
pub async fn beat(conn: &mut Conn, process: &Process) -> Result<()> {
    let Process {
        id,
        role,
        host,
        pid,
        version,
        concurrency,
        in_flight,
        draining,
        started_at,
        seen_at,
        provider_generation: _,
    } = process;
    on_db!(conn, |c| query(
        "INSERT INTO processes (id, role, host, pid, version, concurrency, in_flight, draining,
                                started_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET in_flight = $7, draining = processes.draining OR $8,
                                        seen_at = $10",
    )
    .bind(id)
    .bind(role)
    .bind(host)
    .bind(pid)
    .bind(version)
    .bind(concurrency)
    .bind(in_flight)
    .bind(draining)
    .bind(started_at)
    .bind(seen_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The processes that were seen since, oldest first.
pub async fn list(conn: &mut Conn, seen_since: DateTime<Utc>) -> Result<Vec<Process>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM processes WHERE seen_at >= $1 ORDER BY started_at, id",
    )
    .bind(seen_since)
    .fetch_all(c)
    .await)?)
}

/// The processes that live.
pub async fn living(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<Process>> {
    list(conn, now - GONE).await
}

/// Whether an operator asked the process to take no more jobs.
pub async fn is_draining(conn: &mut Conn, id: ProcessId) -> Result<bool> {
    Ok(on_db!(conn, |c| query_scalar("SELECT draining FROM processes WHERE id = $1")
        .bind(id)
        .fetch_optional(c)
        .await)?
    .unwrap_or(false))
}

/// The process ends.
pub async fn leave(conn: &mut Conn, id: ProcessId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM processes WHERE id = $1")
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}

/// Forgets processes that were not seen since.
pub async fn forget(conn: &mut Conn, seen_since: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query("DELETE FROM processes WHERE seen_at < $1")
        .bind(seen_since)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
