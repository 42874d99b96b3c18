use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{LedgerEntryId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, query_as, query_scalar};

/// A line of the cost ledger. Lines are added and never changed.
#[derive(Debug, Clone, FromRow)]
pub struct LedgerEntry {
    pub id: LedgerEntryId,
    pub workspace_id: WorkspaceId,
    pub run_id: RunId,
    pub attempt: i64,
    /// `settle`: what an attempt cost.
    pub kind: String,
    pub engine: String,
    /// Micro-USD.
    pub micros: i64,
    /// reported | computed | estimated
    pub basis: String,
    pub synthetic: bool,
    /// In the workspace's time zone.
    pub day: NaiveDate,
    pub created_at: DateTime<Utc>,
}

/// What a day or an engine cost.
#[derive(Debug, Clone, FromRow)]
pub struct CostSum {
    pub day: Option<NaiveDate>,
    pub engine: Option<String>,
    pub micros: i64,
    /// Paid attempts.
    pub calls: i64,
}

/// Adds lines; a line of the same run, attempt and kind exists at most once.
pub async fn insert(conn: &mut Conn, entries: &[&LedgerEntry]) -> Result<()> {
    Rows::new(entries)
        .column("id", |entry| entry.id)
        .column("workspace_id", |entry| entry.workspace_id)
        .column("run_id", |entry| entry.run_id)
        .column("attempt", |entry| entry.attempt)
        .column("kind", |entry| entry.kind.as_str())
        .column("engine", |entry| entry.engine.as_str())
        .column("micros", |entry| entry.micros)
        .column("basis", |entry| entry.basis.as_str())
        .column("synthetic", |entry| entry.synthetic)
        .column("day", |entry| entry.day)
        .column("created_at", |entry| entry.created_at)
        .insert(conn, "INSERT INTO cost_ledger", "ON CONFLICT (run_id, attempt, kind) DO NOTHING")
        .await
        .map(drop)
}

/// Costs per day and engine between two days, both included. What a recording "cost" counts only
/// where everything is one.
pub async fn by_day_and_engine(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<CostSum>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT day, engine, CAST(SUM(micros) AS BIGINT) AS micros, COUNT(*) AS calls
         FROM cost_ledger
         WHERE workspace_id = $1 AND day BETWEEN $2 AND $3 AND kind = 'settle'
           AND synthetic = (SELECT synthetic FROM workspaces WHERE id = $1)
         GROUP BY day, engine ORDER BY day, engine",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .fetch_all(c)
    .await)?)
}

/// What the workspace spent on a day, in micro-USD; see [`by_day_and_engine`] for recordings.
pub async fn spent_on(conn: &mut Conn, workspace: WorkspaceId, day: NaiveDate) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT CAST(COALESCE(SUM(micros), 0) AS BIGINT) FROM cost_ledger
         WHERE workspace_id = $1 AND day = $2 AND kind = 'settle'
           AND synthetic = (SELECT synthetic FROM workspaces WHERE id = $1)",
    )
    .bind(workspace)
    .bind(day)
    .fetch_one(c)
    .await)?)
}

/// Which lines of the ledger to show.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LedgerFilter {
    /// Days in the workspace's time zone, both included.
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub engine: Option<String>,
    /// `reserve`, `settle` or `release`.
    pub kind: Option<String>,
}

/// Where a page of the ledger begins.
pub type LedgerKey = (NaiveDate, LedgerEntryId);

/// The lines before `before`, newest day first. Recordings stand here too, and say so.
pub async fn ledger(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &LedgerFilter,
    before: Option<LedgerKey>,
    limit: i64,
) -> Result<Vec<LedgerEntry>> {
    let LedgerFilter { from, to, engine, kind } = filter;
    let (day, id) = before.unzip();
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM cost_ledger
         WHERE workspace_id = $1 AND day BETWEEN $2 AND $3 AND ($4 IS NULL OR engine = $4)
           AND ($5 IS NULL OR kind = $5) AND ($6 IS NULL OR (day, id) < ($6, $7))
         ORDER BY day DESC, id DESC LIMIT $8",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .bind(engine)
    .bind(kind)
    .bind(day)
    .bind(id)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
