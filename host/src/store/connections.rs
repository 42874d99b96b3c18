use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{ConnectionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// A system of somebody else's that a workspace works with.
#[derive(Debug, Clone, FromRow)]
pub struct Connection {
    pub id: ConnectionId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// webhook
    pub kind: String,
    pub url: String,
    /// Sealed; `None` when there is none.
    pub secret: Option<Vec<u8>>,
    pub enabled: bool,
    /// When it was tested last, and what came of it.
    pub tested_at: Option<DateTime<Utc>>,
    pub test_status: Option<i64>,
    pub test_error: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What stands in the way of a second connection of one name.
pub const NAME_TAKEN: &str = "a connection with this name";

pub async fn insert(conn: &mut Conn, connection: &Connection) -> Result<()> {
    let Connection {
        id,
        workspace_id,
        name,
        kind,
        url,
        secret,
        enabled,
        tested_at,
        test_status,
        test_error,
        version,
        created_at,
        updated_at,
    } = connection;
    on_db!(conn, |c| query(
        "INSERT INTO connections (id, workspace_id, name, kind, url, secret, enabled, tested_at,
                                  test_status, test_error, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(kind)
    .bind(url)
    .bind(secret)
    .bind(enabled)
    .bind(tested_at)
    .bind(test_status)
    .bind(test_error)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))
    .unique(NAME_TAKEN)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<Connection> {
    on_db!(conn, |c| query_as("SELECT * FROM connections WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("connection"))
}

/// The page of connections that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Connection>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM connections WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Writes the settings of a connection, as a new version, when the stored one is still at the
/// version that `connection` was read at.
pub async fn update(
    conn: &mut Conn,
    connection: &Connection,
    now: DateTime<Utc>,
) -> Result<Connection> {
    let updated: Option<Connection> = on_db!(conn, |c| query_as(
        "UPDATE connections
         SET name = $3, url = $4, secret = $5, enabled = $6, version = version + 1,
             updated_at = $7
         WHERE workspace_id = $1 AND id = $2 AND version = $8
         RETURNING *",
    )
    .bind(connection.workspace_id)
    .bind(connection.id)
    .bind(&connection.name)
    .bind(&connection.url)
    .bind(&connection.secret)
    .bind(connection.enabled)
    .bind(now)
    .bind(connection.version)
    .fetch_optional(c)
    .await)
    .unique(NAME_TAKEN)?;
    updated.ok_or(Error::Changed("connection"))
}

/// The page of all workspaces' connections that follows `after`.
pub async fn of_all(
    conn: &mut Conn,
    after: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Connection>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM connections WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what seals the secret of a connection; `false` when it was changed meanwhile.
pub async fn reseal(conn: &mut Conn, before: &Connection, secret: &[u8]) -> Result<bool> {
    let changed = on_db!(conn, |c| {
        query(
        "UPDATE connections SET secret = $3 WHERE workspace_id = $1 AND id = $2 AND secret = $4",
    )
    .bind(before.workspace_id)
    .bind(before.id)
    .bind(secret)
    .bind(&before.secret)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(changed > 0)
}

/// Notes what came of a test.
pub async fn tested(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ConnectionId,
    status: Option<i64>,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE connections SET tested_at = $3, test_status = $4, test_error = $5
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .bind(status)
    .bind(error)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: ConnectionId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM connections WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
