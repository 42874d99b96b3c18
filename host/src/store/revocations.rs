use super::{Conn, on_db};
use crate::{Result, ids::RevocationId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query_as, query_scalar};

/// Tokens that ended before their time.
#[derive(Debug, Clone, FromRow)]
pub struct Revocation {
    pub id: RevocationId,
    /// Who issued them.
    pub issuer: String,
    pub kind: RevocationKind,
    /// The subject, or the id of the token.
    pub value: String,
    /// For a subject: tokens issued until then ended.
    pub revoked_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// Which tokens ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// All that a subject has.
    Subject,
    /// The one with this id.
    Token,
}

/// Ends tokens; ending those of a subject again ends the newer ones too.
pub async fn save(
    conn: &mut Conn,
    issuer: &str,
    kind: RevocationKind,
    value: &str,
    now: DateTime<Utc>,
) -> Result<Revocation> {
    Ok(on_db!(conn, |c| query_as(
        "INSERT INTO revocations (id, issuer, kind, value, revoked_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (issuer, kind, value) DO UPDATE SET revoked_at = excluded.revoked_at
         RETURNING *",
    )
    .bind(RevocationId::generate())
    .bind(issuer)
    .bind(kind)
    .bind(value)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    after: Option<RevocationId>,
    limit: i64,
) -> Result<Vec<Revocation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM revocations WHERE ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Whether a token was ended. One that does not say when it was issued counts as old.
pub async fn is_revoked(
    conn: &mut Conn,
    issuer: &str,
    subject: &str,
    token_id: Option<&str>,
    issued_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let count: i64 = on_db!(conn, |c| query_scalar(
        "SELECT COUNT(*) FROM revocations
         WHERE issuer = $1
             AND ((kind = 'subject' AND value = $2 AND ($4 IS NULL OR revoked_at >= $4))
               OR (kind = 'token' AND value = $3))",
    )
    .bind(issuer)
    .bind(subject)
    .bind(token_id)
    .bind(issued_at)
    .fetch_one(c)
    .await)?;
    Ok(count > 0)
}
