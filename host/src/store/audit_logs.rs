//! Who did what.
//!
//! **Invariant:** a line is written in the transaction of what it tells of: there is neither a
//! deed without a line nor a line without a deed.
//! **Invariant:** append-only; the database refuses anything else.
//! **Invariant:** a payload holds no secret and nothing of an answer.

use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The workspace it concerns; `None` for the whole platform.
    pub workspace: Option<WorkspaceId>,
    /// `api_key:<id>`, `cli:<user>` or `system:<part>`.
    pub name: String,
    /// What the logs of the request go by.
    pub request_id: Option<String>,
}

/// A line of the log.
#[derive(Debug, Clone, FromRow)]
pub struct AuditLog {
    pub id: i64,
    pub workspace_id: Option<WorkspaceId>,
    pub actor: String,
    /// `<resource type>.<verb>`, such as `queue.pause`.
    pub action: String,
    pub resource_type: String,
    pub resource_id: String,
    pub payload: Json<serde_json::Value>,
    pub request_id: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Which lines to show.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    /// No earlier than this.
    pub from: Option<DateTime<Utc>>,
    /// Before this.
    pub to: Option<DateTime<Utc>>,
}

/// Adds a line in the caller's transaction.
///
/// `action` is `<resource type>.<verb>`.
pub async fn note(
    conn: &mut Conn,
    actor: &Actor,
    action: &'static str,
    resource_id: impl ToString,
    payload: serde_json::Value,
    now: DateTime<Utc>,
) -> Result<()> {
    let resource_type = action.split_once('.').map_or(action, |(resource, _)| resource);
    let resource_id = resource_id.to_string();
    on_db!(conn, |c| query(
        "INSERT INTO audit_logs (workspace_id, actor, action, resource_type, resource_id,
                                 payload, request_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(actor.workspace)
    .bind(&actor.name)
    .bind(action)
    .bind(resource_type)
    .bind(&resource_id)
    .bind(Json(&payload))
    .bind(&actor.request_id)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The lines of a workspace that come before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditLog>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM audit_logs
         WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR actor = $3)
             AND ($4 IS NULL OR action = $4) AND ($5 IS NULL OR created_at >= $5)
             AND ($6 IS NULL OR created_at < $6)
         ORDER BY id DESC LIMIT $7",
    )
    .bind(workspace)
    .bind(before)
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(filter.from)
    .bind(filter.to)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The lines of the platform and of all workspaces that come before `before`, newest first.
pub async fn list_all(
    conn: &mut Conn,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditLog>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM audit_logs
         WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR actor = $2)
             AND ($3 IS NULL OR action = $3) AND ($4 IS NULL OR created_at >= $4)
             AND ($5 IS NULL OR created_at < $5)
         ORDER BY id DESC LIMIT $6",
    )
    .bind(before)
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(filter.from)
    .bind(filter.to)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
