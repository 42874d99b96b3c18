use super::{Conn, on_db};
use crate::{
    Result,
    ids::{LedgerEntryId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder, query_as, query_scalar};

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

/// Rows per statement; eleven binds a row.
const CHUNK: usize = 500;

/// Adds lines; a line of the same run, attempt and kind exists at most once.
pub async fn insert(conn: &mut Conn, entries: &[&LedgerEntry]) -> Result<()> {
    for chunk in entries.chunks(CHUNK) {
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO cost_ledger (id, workspace_id, run_id, attempt, kind, engine, micros,
                                          basis, synthetic, day, created_at) ",
            );
            sql.push_values(chunk, |mut row, entry| {
                row.push_bind(entry.id)
                    .push_bind(entry.workspace_id)
                    .push_bind(entry.run_id)
                    .push_bind(entry.attempt)
                    .push_bind(&entry.kind)
                    .push_bind(&entry.engine)
                    .push_bind(entry.micros)
                    .push_bind(&entry.basis)
                    .push_bind(entry.synthetic)
                    .push_bind(entry.day)
                    .push_bind(entry.created_at);
            });
            sql.push(" ON CONFLICT (run_id, attempt, kind) DO NOTHING");
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
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
