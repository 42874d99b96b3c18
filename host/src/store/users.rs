use super::{Conn, on_db};
use crate::{Error, Result, ids::UserId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query_as};

/// A person, as the issuer of their tokens knows them.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct User {
    pub id: UserId,
    pub issuer: String,
    /// Who it is, in the issuer's words.
    pub subject: String,
    pub email: Option<String>,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The person that tokens of `issuer` call `subject`, made when there is none. What a token says
/// of them replaces what an older one said.
pub async fn save(
    conn: &mut Conn,
    issuer: &str,
    subject: &str,
    email: Option<&str>,
    name: Option<&str>,
    now: DateTime<Utc>,
) -> Result<User> {
    Ok(on_db!(conn, |c| query_as(
        "INSERT INTO users (id, issuer, subject, email, name, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (issuer, subject) DO UPDATE
         SET email = COALESCE(excluded.email, users.email),
             name = COALESCE(excluded.name, users.name), updated_at = excluded.updated_at
         RETURNING *",
    )
    .bind(UserId::generate())
    .bind(issuer)
    .bind(subject)
    .bind(email)
    .bind(name)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

pub async fn find(conn: &mut Conn, id: UserId) -> Result<User> {
    on_db!(conn, |c| query_as("SELECT * FROM users WHERE id = $1")
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("user"))
}

/// The person that tokens of `issuer` call `subject`, if they were ever somebody here.
pub async fn find_by_subject(conn: &mut Conn, issuer: &str, subject: &str) -> Result<Option<User>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM users WHERE issuer = $1 AND subject = $2")
        .bind(issuer)
        .bind(subject)
        .fetch_optional(c)
        .await)?)
}
