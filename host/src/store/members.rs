use super::{Conn, api_keys::Role, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// A person in a workspace.
#[derive(Debug, Clone, FromRow)]
pub struct Member {
    pub user_id: UserId,
    pub role: Role,
    pub email: Option<String>,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A workspace, seen from one of its members.
#[derive(Debug, Clone, FromRow)]
pub struct Membership {
    pub workspace_id: WorkspaceId,
    pub workspace_name: String,
    pub role: Role,
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO members (workspace_id, user_id, role, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4)",
    )
    .bind(workspace)
    .bind(user)
    .bind(role)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("member")
}

/// The page that follows `after`, by user.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<UserId>,
    limit: i64,
) -> Result<Vec<Member>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT m.user_id, m.role, u.email, u.name, m.created_at, m.updated_at
         FROM members m JOIN users u ON u.id = m.user_id
         WHERE m.workspace_id = $1 AND ($2 IS NULL OR m.user_id > $2)
         ORDER BY m.user_id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, user: UserId) -> Result<Member> {
    on_db!(conn, |c| query_as(
        "SELECT m.user_id, m.role, u.email, u.name, m.created_at, m.updated_at
         FROM members m JOIN users u ON u.id = m.user_id
         WHERE m.workspace_id = $1 AND m.user_id = $2",
    )
    .bind(workspace)
    .bind(user)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("member"))
}

/// Every workspace that a person is a member of, oldest membership first.
pub async fn of_user(conn: &mut Conn, user: UserId) -> Result<Vec<Membership>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT m.workspace_id, w.name AS workspace_name, m.role
         FROM members m JOIN workspaces w ON w.id = m.workspace_id
         WHERE m.user_id = $1 ORDER BY m.created_at, m.workspace_id",
    )
    .bind(user)
    .fetch_all(c)
    .await)?)
}

/// Gives a member another role.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: DateTime<Utc>,
) -> Result<()> {
    let changed = on_db!(conn, |c| query(
        "UPDATE members SET role = $3, updated_at = $4
         WHERE workspace_id = $1 AND user_id = $2",
    )
    .bind(workspace)
    .bind(user)
    .bind(role)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if changed == 0 { Err(Error::NotFound("member")) } else { Ok(()) }
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, user: UserId) -> Result<()> {
    let deleted =
        on_db!(conn, |c| query("DELETE FROM members WHERE workspace_id = $1 AND user_id = $2",)
            .bind(workspace)
            .bind(user)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
    if deleted == 0 { Err(Error::NotFound("member")) } else { Ok(()) }
}

/// How many owners there are. Others who would change that wait until this transaction is over.
pub async fn count_owners(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64> {
    on_db!(conn,
        postgres: |c| query("SELECT 1 FROM members WHERE workspace_id = $1 AND role = $2
            ORDER BY user_id FOR UPDATE")
            .bind(workspace).bind(Role::Owner).execute(c).await.map(drop),
        // A transaction that writes is the only one.
        sqlite: |_c| Ok::<(), sqlx::Error>(()))?;
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT COUNT(*) FROM members WHERE workspace_id = $1 AND role = $2",
    )
    .bind(workspace)
    .bind(Role::Owner)
    .fetch_one(c)
    .await)?)
}
