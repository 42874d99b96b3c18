use super::{Conn, on_db};
use crate::{
    Error, Result,
    ids::{BrandId, FindingId, RunId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// Something an answer says of a brand, held against what is known.
#[derive(Debug, Clone, FromRow)]
pub struct Finding {
    pub id: FindingId,
    pub workspace_id: WorkspaceId,
    pub brand_id: BrandId,
    pub run_id: RunId,
    pub engine: String,
    /// What kind of fact it is about, such as `phone`.
    pub fact: String,
    pub claim: String,
    /// What is known; `None` when nothing is.
    pub known: Option<String>,
    pub verdict: Verdict,
    /// 0 to 1.
    pub confidence: f64,
    pub state: FindingState,
    pub note: Option<String>,
    pub decided_by: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Confirmed,
    Contradicted,
    Unverifiable,
}

/// What people made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    Open,
    /// It is as found.
    Confirmed,
    /// It is not.
    Dismissed,
    /// The source was put right.
    Corrected,
}

/// Which findings to show.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct FindingFilter {
    pub state: Option<FindingState>,
    pub verdict: Option<Verdict>,
    pub brand: Option<BrandId>,
}

pub async fn insert(conn: &mut Conn, finding: &Finding) -> Result<()> {
    let Finding {
        id,
        workspace_id,
        brand_id,
        run_id,
        engine,
        fact,
        claim,
        known,
        verdict,
        confidence,
        state,
        note,
        decided_by,
        version,
        created_at,
        updated_at,
    } = finding;
    on_db!(conn, |c| query(
        "INSERT INTO findings (id, workspace_id, brand_id, run_id, engine, fact, claim, known,
                               verdict, confidence, state, note, decided_by, version, created_at,
                               updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(brand_id)
    .bind(run_id)
    .bind(engine)
    .bind(fact)
    .bind(claim)
    .bind(known)
    .bind(verdict)
    .bind(confidence)
    .bind(state)
    .bind(note)
    .bind(decided_by)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: FindingId) -> Result<Finding> {
    on_db!(conn, |c| query_as("SELECT * FROM findings WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("finding"))
}

/// The findings that come before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &FindingFilter,
    before: Option<FindingId>,
    limit: i64,
) -> Result<Vec<Finding>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM findings
         WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR state = $3)
           AND ($4 IS NULL OR verdict = $4) AND ($5 IS NULL OR brand_id = $5)
         ORDER BY id DESC LIMIT $6",
    )
    .bind(workspace)
    .bind(before)
    .bind(filter.state)
    .bind(filter.verdict)
    .bind(filter.brand)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Writes what somebody made of a finding, as a new version, when the stored one is still at the
/// version `expected` (any when `None`).
pub async fn decide(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: FindingId,
    (state, note): (FindingState, Option<&str>),
    by: &str,
    expected: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Finding> {
    let changed: Option<Finding> = on_db!(conn, |c| query_as(
        "UPDATE findings
         SET state = $3, note = COALESCE($4, note), decided_by = $5, version = version + 1,
             updated_at = $6
         WHERE workspace_id = $1 AND id = $2 AND ($7 IS NULL OR version = $7) RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(state)
    .bind(note)
    .bind(by)
    .bind(now)
    .bind(expected)
    .fetch_optional(c)
    .await)?;
    if let Some(finding) = changed {
        return Ok(finding);
    }
    find(conn, workspace, id).await?;
    Err(Error::Changed("finding"))
}
