//! What a workspace decided about domains that cite its competitors and not itself.

use super::{Conn, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OpportunityStatus {
    Open,
    /// Not worth the effort.
    Dismissed,
    /// Something was done about it.
    Done,
}

/// What was decided about a domain.
#[derive(Debug, Clone, FromRow)]
pub struct Decision {
    pub workspace_id: WorkspaceId,
    /// Number of the domain.
    pub domain: i64,
    pub status: OpportunityStatus,
    pub note: Option<String>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
}

/// Every decision of the workspace.
pub async fn list(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Decision>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM citation_opportunities WHERE workspace_id = $1")
        .bind(workspace)
        .fetch_all(c)
        .await)?)
}

/// Decides about a domain that answers of the workspace gave at some time.
pub async fn save(
    conn: &mut Conn,
    workspace: WorkspaceId,
    domain: &str,
    (status, note): (OpportunityStatus, Option<&str>),
    updated_by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let number: Option<i64> = on_db!(conn, |c| query_scalar(
        "SELECT d.number FROM domains d
         WHERE d.name = $2 AND EXISTS (SELECT 1 FROM daily_domain_counts t
                                       WHERE t.workspace_id = $1 AND t.domain = d.number)",
    )
    .bind(workspace)
    .bind(domain)
    .fetch_optional(c)
    .await)?;
    let number = number.ok_or(Error::NotFound("domain"))?;
    on_db!(conn, |c| query(
        "INSERT INTO citation_opportunities (workspace_id, domain, status, note, updated_by,
                                             updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (workspace_id, domain) DO UPDATE
         SET status = excluded.status, note = excluded.note, updated_by = excluded.updated_by,
             updated_at = excluded.updated_at",
    )
    .bind(workspace)
    .bind(number)
    .bind(status)
    .bind(note)
    .bind(updated_by)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
