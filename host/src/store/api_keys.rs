use super::{Conn, on_db};
use crate::{
    Error, Result,
    ids::{ApiKeyId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// A credential of one workspace. The secret itself is never stored.
#[derive(Debug, Clone, FromRow)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub secret_hash: Vec<u8>,
    pub role: Role,
    pub scopes: Json<Vec<String>>,
    /// Networks that it may be used from; everywhere when `None`.
    pub allowed_ips: Option<Json<Vec<String>>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a principal may do; each role may do all that the ones before it may.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    sqlx::Type,
    serde::Serialize,
    clap::ValueEnum,
)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Member,
    Admin,
    Owner,
}

pub async fn insert(conn: &mut Conn, key: &ApiKey) -> Result<()> {
    let ApiKey {
        id,
        workspace_id,
        name,
        prefix,
        secret_hash,
        role,
        scopes,
        allowed_ips,
        expires_at,
        last_used_at,
        revoked_at,
        created_at,
    } = key;
    on_db!(conn, |c| query(
        "INSERT INTO api_keys (id, workspace_id, name, prefix, secret_hash, role, scopes,
                               allowed_ips, expires_at, last_used_at, revoked_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(prefix)
    .bind(secret_hash)
    .bind(role)
    .bind(scopes)
    .bind(allowed_ips)
    .bind(expires_at)
    .bind(last_used_at)
    .bind(revoked_at)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The key whose secret has this hash, revoked or expired ones included.
pub async fn find_by_hash(conn: &mut Conn, secret_hash: &[u8]) -> Result<Option<ApiKey>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM api_keys WHERE secret_hash = $1")
        .bind(secret_hash)
        .fetch_optional(c)
        .await)?)
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<ApiKey>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM api_keys WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ApiKeyId) -> Result<ApiKey> {
    on_db!(conn, |c| query_as("SELECT * FROM api_keys WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("API key"))
}

/// Revokes a key; revoking it again changes nothing.
pub async fn revoke(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<()> {
    let found = on_db!(conn, |c| query(
        "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $3)
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if found == 0 { Err(Error::NotFound("API key")) } else { Ok(()) }
}

pub async fn touch(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE api_keys SET last_used_at = $3 WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
