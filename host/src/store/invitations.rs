use super::{Conn, api_keys::Role, on_db};
use crate::{
    Error, Result,
    ids::{InvitationId, UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// An offer to become a member. Whoever holds its secret, which is never stored, may take it once.
#[derive(Debug, Clone, FromRow)]
pub struct Invitation {
    pub id: InvitationId,
    pub workspace_id: WorkspaceId,
    /// For whom it is meant.
    pub email: String,
    pub role: Role,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    pub invited_by: String,
    pub expires_at: DateTime<Utc>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub accepted_by: Option<UserId>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

pub async fn insert(conn: &mut Conn, invitation: &Invitation) -> Result<()> {
    let Invitation {
        id,
        workspace_id,
        email,
        role,
        secret_hash,
        invited_by,
        expires_at,
        accepted_at,
        accepted_by,
        revoked_at,
        created_at,
    } = invitation;
    on_db!(conn, |c| query(
        "INSERT INTO invitations (id, workspace_id, email, role, secret_hash, invited_by,
                                  expires_at, accepted_at, accepted_by, revoked_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(email)
    .bind(role)
    .bind(secret_hash)
    .bind(invited_by)
    .bind(expires_at)
    .bind(accepted_at)
    .bind(accepted_by)
    .bind(revoked_at)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<InvitationId>,
    limit: i64,
) -> Result<Vec<Invitation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM invitations WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Takes back an offer that nobody took; doing so again changes nothing.
pub async fn revoke(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: InvitationId,
    now: DateTime<Utc>,
) -> Result<Invitation> {
    on_db!(conn, |c| query_as(
        "UPDATE invitations
         SET revoked_at = CASE WHEN accepted_at IS NULL THEN COALESCE(revoked_at, $3)
                               ELSE revoked_at END
         WHERE workspace_id = $1 AND id = $2
         RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("invitation"))
}

/// Takes the offer with this secret, if it still stands; `None` if it does not. Of two who try at
/// once, one gets it.
pub async fn accept(
    conn: &mut Conn,
    secret_hash: &[u8],
    user: UserId,
    now: DateTime<Utc>,
) -> Result<Option<Invitation>> {
    Ok(on_db!(conn, |c| query_as(
        "UPDATE invitations SET accepted_at = $3, accepted_by = $2
         WHERE secret_hash = $1 AND accepted_at IS NULL AND revoked_at IS NULL
             AND expires_at > $3
         RETURNING *",
    )
    .bind(secret_hash)
    .bind(user)
    .bind(now)
    .fetch_optional(c)
    .await)?)
}
