use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// What a request with an idempotency key did, kept in the transaction that did it.
#[derive(Debug, Clone, FromRow)]
pub struct Record {
    pub workspace_id: WorkspaceId,
    /// Method and path of the request.
    pub route: String,
    pub key: String,
    /// SHA-256 of what was asked for.
    pub fingerprint: Vec<u8>,
    /// HTTP status of the answer; 0 until it is known.
    pub status: i64,
    /// Headers of the answer that matter, by name.
    pub headers: Json<Vec<(String, String)>>,
    pub body: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// How long an answer is remembered.
pub const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// Claims a key for this transaction; `None` means that it is ours to answer.
///
/// A second request with the same key waits here until the first one's transaction is over, and
/// then finds either its answer or, when it failed, nothing.
pub async fn begin(
    conn: &mut Conn,
    workspace: WorkspaceId,
    route: &str,
    key: &str,
    fingerprint: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Record>> {
    on_db!(conn, |c| query(
        "DELETE FROM idempotency_keys
         WHERE workspace_id = $1 AND route = $2 AND key = $3 AND created_at < $4",
    )
    .bind(workspace)
    .bind(route)
    .bind(key)
    .bind(now - REMEMBERED)
    .execute(c)
    .await
    .map(drop))?;
    let claimed = on_db!(conn, |c| query(
        "INSERT INTO idempotency_keys (workspace_id, route, key, fingerprint, status, headers,
                                       body, created_at)
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7)
         ON CONFLICT (workspace_id, route, key) DO NOTHING",
    )
    .bind(workspace)
    .bind(route)
    .bind(key)
    .bind(fingerprint)
    .bind(Json(Vec::<(String, String)>::new()))
    .bind(Vec::<u8>::new())
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if claimed == 1 { Ok(None) } else { find(conn, workspace, route, key).await }
}

/// Keeps the answer to the request that claimed the key.
pub async fn finish(
    conn: &mut Conn,
    workspace: WorkspaceId,
    route: &str,
    key: &str,
    status: u16,
    headers: Vec<(String, String)>,
    body: &[u8],
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE idempotency_keys SET status = $4, headers = $5, body = $6
         WHERE workspace_id = $1 AND route = $2 AND key = $3",
    )
    .bind(workspace)
    .bind(route)
    .bind(key)
    .bind(i64::from(status))
    .bind(Json(&headers))
    .bind(body)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    route: &str,
    key: &str,
) -> Result<Option<Record>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM idempotency_keys WHERE workspace_id = $1 AND route = $2 AND key = $3",
    )
    .bind(workspace)
    .bind(route)
    .bind(key)
    .fetch_optional(c)
    .await)?)
}

/// Forgets answers older than [`REMEMBERED`].
pub async fn purge(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64> {
    Ok(on_db!(conn, |c| query("DELETE FROM idempotency_keys WHERE created_at < $1")
        .bind(now - REMEMBERED)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?)
}
