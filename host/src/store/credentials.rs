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
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Stores a credential, in the place of one of the same name.
pub async fn save(conn: &mut Conn, credential: &Credential) -> Result<()> {
    let Credential { workspace_id, engine, name, sealed, created_at, updated_at } = credential;
    on_db!(conn, |c| query(
        "INSERT INTO provider_credentials (workspace_id, engine, name, sealed, created_at,
                                           updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (workspace_id, engine, name) DO UPDATE
         SET sealed = excluded.sealed, updated_at = excluded.updated_at",
    )
    .bind(workspace_id)
    .bind(engine)
    .bind(name)
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

/// The page of all workspaces' credentials that follows `after`.
pub async fn of_all(
    conn: &mut Conn,
    after: Option<&Credential>,
    limit: i64,
) -> Result<Vec<Credential>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_credentials
         WHERE $1 IS NULL OR (workspace_id, engine, name) > ($1, $2, $3)
         ORDER BY workspace_id, engine, name LIMIT $4",
    )
    .bind(after.map(|row| row.workspace_id))
    .bind(after.map(|row| &row.engine))
    .bind(after.map(|row| &row.name))
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what seals a credential; `false` when it was set anew meanwhile.
pub async fn reseal(conn: &mut Conn, before: &Credential, sealed: &[u8]) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE provider_credentials SET sealed = $5
         WHERE workspace_id = $1 AND engine = $2 AND name = $3 AND sealed = $4",
    )
    .bind(before.workspace_id)
    .bind(&before.engine)
    .bind(&before.name)
    .bind(&before.sealed)
    .bind(sealed)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}
