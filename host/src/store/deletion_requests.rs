//! Workspaces that shall go, and the proof that they went.
//!
//! **Invariant:** a table with a `workspace_id` is emptied because it has one: a new table cannot
//! be forgotten. What stays is named in [`KEPT`].

use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{DeletionRequestId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder, query, query_as, query_scalar, types::Json};
use std::collections::BTreeMap;

/// Tables that say what happened and to whom, and hold nothing else of a workspace.
pub const KEPT: [&str; 2] = ["audit_logs", "deletion_requests"];

/// Somebody wants a workspace gone.
#[derive(Debug, Clone, FromRow)]
pub struct DeletionRequest {
    pub id: DeletionRequestId,
    pub workspace_id: WorkspaceId,
    pub state: DeletionState,
    pub reason: String,
    pub requested_by: String,
    /// Until then it can be cancelled.
    pub due_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Rows removed, by table.
    pub receipt: Option<Json<BTreeMap<String, i64>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeletionState {
    Pending,
    Running,
    Completed,
    Cancelled,
}

/// Asks for the deletion; there is one open request at a time.
pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    reason: &str,
    requested_by: &str,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<DeletionRequest> {
    on_db!(conn, |c| query_as(
        "INSERT INTO deletion_requests (id, workspace_id, state, reason, requested_by, due_at,
                                        created_at)
         VALUES ($1, $2, 'pending', $3, $4, $5, $6) RETURNING *",
    )
    .bind(DeletionRequestId::generate())
    .bind(workspace)
    .bind(reason)
    .bind(requested_by)
    .bind(due_at)
    .bind(now)
    .fetch_one(c)
    .await)
    .unique("deletion request")
}

/// The newest request of a workspace.
pub async fn newest(conn: &mut Conn, workspace: WorkspaceId) -> Result<DeletionRequest> {
    on_db!(conn, |c| query_as(
        "SELECT * FROM deletion_requests WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(workspace)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("deletion request"))
}

pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: DeletionRequestId,
) -> Result<DeletionRequest> {
    on_db!(conn, |c| query_as(
        "SELECT * FROM deletion_requests WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("deletion request"))
}

/// The page of all requests before `before`, newest first. For platform operators only.
pub async fn list(
    conn: &mut Conn,
    before: Option<DeletionRequestId>,
    limit: i64,
) -> Result<Vec<DeletionRequest>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM deletion_requests WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Takes a request back that nobody began to carry out.
pub async fn cancel(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: DeletionRequestId,
    now: DateTime<Utc>,
) -> Result<()> {
    let cancelled = on_db!(conn, |c| query(
        "UPDATE deletion_requests SET state = 'cancelled', finished_at = $3
         WHERE workspace_id = $1 AND id = $2 AND state = 'pending'",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if cancelled == 0 {
        return Err(Error::Conflict("the deletion can no longer be taken back".into()));
    }
    Ok(())
}

/// Begins to carry a request out, or goes on; returns whether it is to be done.
pub async fn begin(conn: &mut Conn, workspace: WorkspaceId, id: DeletionRequestId) -> Result<bool> {
    let begun = on_db!(conn, |c| query(
        "UPDATE deletion_requests SET state = 'running'
         WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(begun > 0)
}

/// Adds to the receipt what was removed from a table.
pub async fn note(
    conn: &mut Conn,
    request: &DeletionRequest,
    table: &str,
    rows: i64,
) -> Result<()> {
    let found = find(conn, request.workspace_id, request.id).await?;
    let mut receipt = found.receipt.map(|receipt| receipt.0).unwrap_or_default();
    *receipt.entry(table.to_owned()).or_default() += rows;
    on_db!(conn, |c| query(
        "UPDATE deletion_requests SET receipt = $3 WHERE workspace_id = $1 AND id = $2",
    )
    .bind(request.workspace_id)
    .bind(request.id)
    .bind(Json(&receipt))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Says that nothing is left.
pub async fn complete(
    conn: &mut Conn,
    request: &DeletionRequest,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE deletion_requests SET state = 'completed', finished_at = $3
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(request.workspace_id)
    .bind(request.id)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The tables that hold rows of workspaces, apart from those that are kept.
pub async fn tables(conn: &mut Conn) -> Result<Vec<String>> {
    let mut names: Vec<String> = on_db!(conn,
        postgres: |c| query_scalar(
            "SELECT CAST(c.table_name AS TEXT) FROM information_schema.columns c
             JOIN information_schema.tables t
               ON t.table_schema = c.table_schema AND t.table_name = c.table_name
             WHERE c.table_schema = current_schema() AND c.column_name = 'workspace_id'
               AND t.table_type = 'BASE TABLE' ORDER BY 1",
        ).fetch_all(c).await,
        sqlite: |c| query_scalar(
            "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'workspace_id' ORDER BY m.name",
        ).fetch_all(c).await)?;
    names.retain(|name| !KEPT.contains(&name.as_str()));
    Ok(names)
}

/// Removes up to `limit` rows of a workspace from a table; `None` when rows of another table still
/// refer to them, which go first.
pub async fn purge(
    conn: &mut Conn,
    table: &str,
    workspace: WorkspaceId,
    limit: i64,
) -> Result<Option<i64>> {
    let removed = on_db!(conn,
        postgres: |c| QueryBuilder::new(format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM {table} WHERE workspace_id = $1 LIMIT $2))"
        )).build().bind(workspace).bind(limit).execute(c).await.map(|done| done.rows_affected()),
        sqlite: |c| QueryBuilder::new(format!(
            "DELETE FROM {table} WHERE rowid IN (
                 SELECT rowid FROM {table} WHERE workspace_id = $1 LIMIT $2)"
        )).build().bind(workspace).bind(limit).execute(c).await.map(|done| done.rows_affected()));
    match removed {
        Ok(rows) => Ok(Some(i64::try_from(rows).unwrap_or(i64::MAX))),
        Err(error)
            if error
                .as_database_error()
                .is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// How many rows of a workspace a table holds.
pub async fn left(conn: &mut Conn, table: &str, workspace: WorkspaceId) -> Result<i64> {
    let sql = format!("SELECT COUNT(*) FROM {table} WHERE workspace_id = $1");
    Ok(on_db!(conn, |c| QueryBuilder::new(sql)
        .build_query_scalar()
        .bind(workspace)
        .fetch_one(c)
        .await)?)
}

/// Removes the workspace itself; nobody can add to it from then on.
pub async fn remove_workspace(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64> {
    let removed = on_db!(conn, |c| query("DELETE FROM workspaces WHERE id = $1")
        .bind(workspace)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}
