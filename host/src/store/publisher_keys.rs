use super::{Conn, on_db};
use crate::{Error, Result};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// A publisher whose components are trusted.
#[derive(Debug, Clone, FromRow)]
pub struct PublisherKey {
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
    pub name: String,
    pub added_by: String,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Trusts a key, or trusts it again under another name.
pub async fn save(conn: &mut Conn, key: &PublisherKey) -> Result<()> {
    let PublisherKey { public_key, name, added_by, created_at, revoked_at: _ } = key;
    on_db!(conn, |c| query(
        "INSERT INTO publisher_keys (public_key, name, added_by, created_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (public_key) DO UPDATE SET name = $2, added_by = $3, revoked_at = NULL",
    )
    .bind(public_key)
    .bind(name)
    .bind(added_by)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Trusts a key no longer.
pub async fn revoke(conn: &mut Conn, public_key: &[u8], now: DateTime<Utc>) -> Result<()> {
    let revoked = on_db!(conn, |c| {
        query(
        "UPDATE publisher_keys SET revoked_at = $2 WHERE public_key = $1 AND revoked_at IS NULL",
    )
    .bind(public_key)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    if revoked == 0 { Err(Error::NotFound("publisher key")) } else { Ok(()) }
}

/// Every key, revoked ones included, oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<PublisherKey>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM publisher_keys ORDER BY created_at, public_key")
        .fetch_all(c)
        .await)?)
}
