use super::{Conn, on_db};
use crate::{Result, ids::ProcessId};
use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};

/// Takes or prolongs the lead in `role` until `lease_until`; `false` while another process has it.
///
/// A leader saves work; nothing may depend on there being only one.
pub async fn acquire(
    conn: &mut Conn,
    role: &str,
    owner: ProcessId,
    lease_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let taken = on_db!(conn, |c| query(
        "INSERT INTO leaders (role, owner, lease_until) VALUES ($1, $2, $3)
         ON CONFLICT (role) DO UPDATE SET owner = $2, lease_until = $3
         WHERE leaders.owner = $2 OR leaders.lease_until < $4",
    )
    .bind(role)
    .bind(owner)
    .bind(lease_until)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(taken > 0)
}

/// Whether somebody leads in `role`.
pub async fn is_held(conn: &mut Conn, role: &str, now: DateTime<Utc>) -> Result<bool> {
    let held: Option<i64> = on_db!(conn, |c| query_scalar(
        "SELECT CAST(1 AS BIGINT) FROM leaders WHERE role = $1 AND lease_until >= $2",
    )
    .bind(role)
    .bind(now)
    .fetch_optional(c)
    .await)?;
    Ok(held.is_some())
}

/// Gives the lead up, so that the next process need not wait for the lease.
pub async fn release(conn: &mut Conn, role: &str, owner: ProcessId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM leaders WHERE role = $1 AND owner = $2")
        .bind(role)
        .bind(owner)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
