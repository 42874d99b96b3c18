//! How calls of components went, and what the components said.
//!
//! **Invariant:** bounded: minutes and logs are forgotten by age and number, whatever happens.

use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{RunId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// Kept log entries of one component.
pub const KEPT_LOGS: i64 = 1000;

/// How the calls of a component ended in a minute.
#[derive(Debug, Clone, Default, FromRow)]
pub struct CallMinute {
    pub digest: Vec<u8>,
    pub minute: DateTime<Utc>,
    pub succeeded: i64,
    /// By whose fault.
    pub guest: i64,
    pub host: i64,
    pub vendor: i64,
    /// Of `vendor`, those that the component may have caused: an answer that it could not read, a
    /// request that was refused as wrong.
    pub suspect: i64,
    pub cost_micros: i64,
    /// When it last ended without a fault of its own.
    pub sound_at: Option<DateTime<Utc>>,
}

/// How many calls took up to `upper_ms`, and longer than the bound before.
#[derive(Debug, Clone, FromRow)]
pub struct Latency {
    pub digest: Vec<u8>,
    pub minute: DateTime<Utc>,
    pub upper_ms: i64,
    pub calls: i64,
}

/// What a component said in one call, and how it failed.
#[derive(Debug, Clone)]
pub struct NewLog {
    pub provider_key: String,
    pub digest: Vec<u8>,
    pub workspace: WorkspaceId,
    pub run: RunId,
    pub attempt: i64,
    pub blame: Option<&'static str>,
    pub class: Option<&'static str>,
    pub message: Option<String>,
    /// `[{"level", "message"}]`
    pub lines: serde_json::Value,
    pub stderr: String,
    /// Innermost frame first.
    pub backtrace: serde_json::Value,
    pub created_at: DateTime<Utc>,
}

/// A [`NewLog`] as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct Log {
    pub id: i64,
    pub provider_key: String,
    pub digest: Vec<u8>,
    pub workspace_id: WorkspaceId,
    pub run_id: RunId,
    pub attempt: i64,
    pub blame: Option<String>,
    pub class: Option<String>,
    pub message: Option<String>,
    pub lines: Json<serde_json::Value>,
    pub stderr: String,
    pub backtrace: Json<serde_json::Value>,
    pub created_at: DateTime<Utc>,
}

/// A component that failed again and again, lately, without ever being sound in between.
#[derive(Debug, Clone, FromRow)]
pub struct Failing {
    pub provider_key: String,
    pub digest: Vec<u8>,
    /// Different runs that it failed.
    pub runs: i64,
}

/// Adds what a process saw. Minutes come in the order of their keys.
pub async fn add(conn: &mut Conn, minutes: &[CallMinute], latencies: &[Latency]) -> Result<()> {
    Rows::new(minutes)
        .column("digest", |row| row.digest.as_slice())
        .column("minute", |row| row.minute)
        .column("succeeded", |row| row.succeeded)
        .column("guest", |row| row.guest)
        .column("host", |row| row.host)
        .column("vendor", |row| row.vendor)
        .column("suspect", |row| row.suspect)
        .column("cost_micros", |row| row.cost_micros)
        .column("sound_at", |row| row.sound_at)
        .insert(
            conn,
            "INSERT INTO provider_minutes",
            "ON CONFLICT (digest, minute) DO UPDATE
             SET succeeded = provider_minutes.succeeded + excluded.succeeded,
                 guest = provider_minutes.guest + excluded.guest,
                 host = provider_minutes.host + excluded.host,
                 vendor = provider_minutes.vendor + excluded.vendor,
                 suspect = provider_minutes.suspect + excluded.suspect,
                 cost_micros = provider_minutes.cost_micros + excluded.cost_micros,
                 sound_at = CASE WHEN provider_minutes.sound_at IS NULL
                                     OR excluded.sound_at > provider_minutes.sound_at
                                 THEN excluded.sound_at ELSE provider_minutes.sound_at END",
        )
        .await?;
    Rows::new(latencies)
        .column("digest", |row| row.digest.as_slice())
        .column("minute", |row| row.minute)
        .column("upper_ms", |row| row.upper_ms)
        .column("calls", |row| row.calls)
        .insert(
            conn,
            "INSERT INTO provider_latencies",
            "ON CONFLICT (digest, minute, upper_ms) DO UPDATE
             SET calls = provider_latencies.calls + excluded.calls",
        )
        .await?;
    Ok(())
}

/// Adds log entries, and forgets the oldest of each component beyond [`KEPT_LOGS`].
pub async fn add_logs(conn: &mut Conn, logs: &[NewLog]) -> Result<()> {
    for log in logs {
        on_db!(conn, |c| query(
            "INSERT INTO provider_logs (provider_key, digest, workspace_id, run_id, attempt, blame,
                                        class, message, lines, stderr, backtrace, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(&log.provider_key)
        .bind(&log.digest)
        .bind(log.workspace)
        .bind(log.run)
        .bind(log.attempt)
        .bind(log.blame)
        .bind(log.class)
        .bind(&log.message)
        .bind(Json(&log.lines))
        .bind(&log.stderr)
        .bind(Json(&log.backtrace))
        .bind(log.created_at)
        .execute(c)
        .await
        .map(drop))?;
    }
    let mut digests: Vec<_> = logs.iter().map(|log| log.digest.as_slice()).collect();
    digests.sort_unstable();
    digests.dedup();
    for digest in digests {
        on_db!(conn, |c| query(
            "DELETE FROM provider_logs
             WHERE digest = $1 AND id <= (SELECT id FROM provider_logs WHERE digest = $1
                                          ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(digest)
        .bind(KEPT_LOGS)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}

/// Log entries of a provider before `before`, newest first; of one component or run, if named.
pub async fn logs(
    conn: &mut Conn,
    provider_key: &str,
    digest: Option<&[u8]>,
    run: Option<RunId>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Log>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_logs
         WHERE provider_key = $1 AND ($2 IS NULL OR digest = $2) AND ($3 IS NULL OR run_id = $3)
             AND ($4 IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
    )
    .bind(provider_key)
    .bind(digest)
    .bind(run)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// What every component of a provider did since, added up.
pub async fn since(
    conn: &mut Conn,
    provider_key: &str,
    from: DateTime<Utc>,
) -> Result<Vec<CallMinute>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT m.digest, MAX(m.minute) AS minute, CAST(SUM(succeeded) AS BIGINT) AS succeeded,
                CAST(SUM(guest) AS BIGINT) AS guest, CAST(SUM(host) AS BIGINT) AS host,
                CAST(SUM(vendor) AS BIGINT) AS vendor,
                CAST(SUM(suspect) AS BIGINT) AS suspect,
                CAST(SUM(cost_micros) AS BIGINT) AS cost_micros, MAX(sound_at) AS sound_at
         FROM provider_minutes m JOIN provider_artifacts a ON a.digest = m.digest
         WHERE a.provider_key = $1 AND m.minute >= $2 GROUP BY m.digest ORDER BY m.digest",
    )
    .bind(provider_key)
    .bind(from)
    .fetch_all(c)
    .await)?)
}

/// How long the calls of every component of a provider took since, as a histogram.
pub async fn latencies(
    conn: &mut Conn,
    provider_key: &str,
    from: DateTime<Utc>,
) -> Result<Vec<Latency>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT l.digest, MAX(l.minute) AS minute, l.upper_ms,
                CAST(SUM(l.calls) AS BIGINT) AS calls
         FROM provider_latencies l JOIN provider_artifacts a ON a.digest = l.digest
         WHERE a.provider_key = $1 AND l.minute >= $2
         GROUP BY l.digest, l.upper_ms ORDER BY l.digest, l.upper_ms",
    )
    .bind(provider_key)
    .bind(from)
    .fetch_all(c)
    .await)?)
}

/// Components that failed at least `runs` runs between the two times by their own fault, since they
/// were put in service and without a sound call in between.
pub async fn failing(
    conn: &mut Conn,
    runs: i64,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Failing>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT l.provider_key, l.digest, COUNT(DISTINCT l.run_id) AS runs
         FROM provider_logs l
         WHERE l.blame = 'guest' AND l.created_at >= $2 AND l.created_at <= $3
             AND l.created_at > COALESCE((SELECT MAX(m.sound_at) FROM provider_minutes m
                                          WHERE m.digest = l.digest AND m.minute >= $4), $2)
             AND l.created_at >= (SELECT MAX(a.settled_at) FROM provider_activations a
                                 WHERE a.digest = l.digest AND a.state = 'active')
         GROUP BY l.provider_key, l.digest HAVING COUNT(DISTINCT l.run_id) >= $1",
    )
    .bind(runs)
    .bind(from)
    .bind(to)
    .bind(from - chrono::TimeDelta::minutes(1))
    .fetch_all(c)
    .await)?)
}

/// Forgets minutes before.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<()> {
    on_db!(conn, |c| {
        query("DELETE FROM provider_minutes WHERE minute < $1")
            .bind(before)
            .execute(&mut *c)
            .await?;
        query("DELETE FROM provider_latencies WHERE minute < $1").bind(before).execute(c).await?;
    });
    Ok(())
}
