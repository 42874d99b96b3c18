use super::{Conn, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// What a workspace proves itself to a vendor with, sealed.
#[derive(Debug, Clone, FromRow)]
pub struct Credential {
    pub workspace_id: WorkspaceId,
    pub engine: String,
    /// As the provider calls it.
    pub name: String,
    /// The master key that sealed it.
    pub key_id: String,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores a credential, in the place of one of the same name.
pub async fn save(conn: &mut Conn, credential: &Credential) -> Result<()> {
    let Credential { workspace_id, engine, name, key_id, sealed, created_at, updated_at } =
        credential;
    on_db!(conn, |c| query(
        "INSERT INTO provider_credentials (workspace_id, engine, name, key_id, sealed,
                                           created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (workspace_id, engine, name) DO UPDATE
         SET key_id = excluded.key_id, sealed = excluded.sealed,
             updated_at = excluded.updated_at",
    )
    .bind(workspace_id)
    .bind(engine)
    .bind(name)
    .bind(key_id)
    .bind(sealed)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Every credential of the workspace.
pub async fn list(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Credential>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_credentials WHERE workspace_id = $1 ORDER BY engine, name",
    )
    .bind(workspace)
    .fetch_all(c)
    .await)?)
}

/// Whether any workspace has a credential of its own.
pub async fn exist(conn: &mut Conn) -> Result<bool> {
    Ok(on_db!(conn, |c| query_scalar("SELECT EXISTS (SELECT 1 FROM provider_credentials)")
        .fetch_one(c)
        .await)?)
}

pub async fn delete(
    conn: &mut Conn,
    workspace: WorkspaceId,
    engine: &str,
    name: &str,
) -> Result<()> {
    let deleted = on_db!(conn, |c| {
        query(
        "DELETE FROM provider_credentials WHERE workspace_id = $1 AND engine = $2 AND name = $3",
    )
    .bind(workspace)
    .bind(engine)
    .bind(name)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    if deleted == 0 { Err(Error::NotFound("credential")) } else { Ok(()) }
}

/// Some that another master key than `key_id` sealed, of all workspaces.
pub async fn sealed_otherwise(
    conn: &mut Conn,
    key_id: &str,
    limit: i64,
) -> Result<Vec<Credential>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_credentials WHERE key_id <> $1
         ORDER BY workspace_id, engine, name LIMIT $2",
    )
    .bind(key_id)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what seals a credential, unless it was set anew meanwhile.
pub async fn reseal(
    conn: &mut Conn,
    before: &Credential,
    key_id: &str,
    sealed: &[u8],
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE provider_credentials SET key_id = $5, sealed = $6
         WHERE workspace_id = $1 AND engine = $2 AND name = $3 AND sealed = $4",
    )
    .bind(before.workspace_id)
    .bind(&before.engine)
    .bind(&before.name)
    .bind(&before.sealed)
    .bind(key_id)
    .bind(sealed)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
