//! People who shall be forgotten, and the proof that they were.
//!
//! **Invariant:** what remains of a person is their number, in the audit log and where records name
//! an author; nothing says any more whose it was.

use super::{Conn, on_db, users::User};
use crate::{
    Error, Result,
    ids::{ErasureId, UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};
use std::collections::BTreeMap;

/// That a person was forgotten.
#[derive(Debug, Clone, FromRow)]
pub struct Erasure {
    pub id: ErasureId,
    pub user_id: UserId,
    pub reason: String,
    pub requested_by: String,
    /// Rows removed, by table.
    pub receipt: Json<BTreeMap<String, i64>>,
    pub created_at: DateTime<Utc>,
}

/// Runs a statement about the person; how many rows it removed.
macro_rules! remove {
    ($conn:expr, $sql:literal $(, $bind:expr)+) => {
        on_db!($conn, |c| query($sql)$(.bind($bind))+
            .execute(c)
            .await
            .map(|done| i64::try_from(done.rows_affected()).unwrap_or(i64::MAX)))?
    };
}

/// Forgets a person: memberships, invitations for them or taken by them, tickets, and who they are.
/// What is kept of an answer for a repeated request goes within a day by itself.
///
/// # Errors
/// When a workspace would be left without an owner.
pub async fn erase(
    conn: &mut Conn,
    user: &User,
    reason: &str,
    requested_by: &str,
    now: DateTime<Utc>,
) -> Result<Erasure> {
    let alone: Vec<WorkspaceId> = on_db!(conn, |c| query_scalar(
        "SELECT m.workspace_id FROM members m
         WHERE m.user_id = $1 AND m.role = 'owner'
           AND NOT EXISTS (SELECT 1 FROM members o WHERE o.workspace_id = m.workspace_id
                           AND o.role = 'owner' AND o.user_id <> m.user_id)
         ORDER BY m.workspace_id",
    )
    .bind(user.id)
    .fetch_all(c)
    .await)?;
    if let Some(workspace) = alone.first() {
        return Err(Error::Conflict(format!(
            "the person is the only owner of workspace {workspace}: make somebody else one, or \
             delete the workspace"
        )));
    }
    let label = format!("user:{}", user.id);
    let invitations = remove!(
        conn,
        "DELETE FROM invitations
         WHERE accepted_by = $1 OR ($2 IS NOT NULL AND lower(email) = lower($2))",
        user.id,
        &user.email
    );
    let tickets = remove!(conn, "DELETE FROM stream_tickets WHERE taken_by = $1", &label);
    let members = remove!(conn, "DELETE FROM members WHERE user_id = $1", user.id);
    let users = remove!(conn, "DELETE FROM users WHERE id = $1", user.id);
    let removed = [
        ("invitations", invitations),
        ("stream_tickets", tickets),
        ("members", members),
        ("users", users),
    ];
    let receipt: BTreeMap<_, _> =
        removed.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect();
    Ok(on_db!(conn, |c| query_as(
        "INSERT INTO erasures (id, user_id, reason, requested_by, receipt, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
    )
    .bind(ErasureId::generate())
    .bind(user.id)
    .bind(reason)
    .bind(requested_by)
    .bind(Json(&receipt))
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// The page before `before`, newest first.
pub async fn list(conn: &mut Conn, before: Option<ErasureId>, limit: i64) -> Result<Vec<Erasure>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM erasures WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
