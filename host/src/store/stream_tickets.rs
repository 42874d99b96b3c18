use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// Leave to listen to a workspace's events, once.
#[derive(Debug, Clone, FromRow)]
pub struct StreamTicket {
    /// SHA-256 of the ticket.
    pub digest: Vec<u8>,
    pub workspace_id: WorkspaceId,
    /// Who took it, as the audit log calls it.
    pub taken_by: String,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// Keeps a ticket, and forgets those that are over.
pub async fn insert(conn: &mut Conn, ticket: &StreamTicket, now: DateTime<Utc>) -> Result<()> {
    let StreamTicket { digest, workspace_id, taken_by, expires_at, created_at } = ticket;
    on_db!(conn, |c| query("DELETE FROM stream_tickets WHERE expires_at <= $1")
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
    on_db!(conn, |c| query(
        "INSERT INTO stream_tickets (digest, workspace_id, taken_by, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(digest)
    .bind(workspace_id)
    .bind(taken_by)
    .bind(expires_at)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes a ticket back; `None` when it was never given, is used up or over.
pub async fn redeem(
    conn: &mut Conn,
    digest: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<StreamTicket>> {
    let ticket: Option<StreamTicket> =
        on_db!(conn, |c| query_as("DELETE FROM stream_tickets WHERE digest = $1 RETURNING *")
            .bind(digest)
            .fetch_optional(c)
            .await)?;
    Ok(ticket.filter(|ticket| now < ticket.expires_at))
}
