//! Components and what operators let them do.
//!
//! **Invariant:** a component is named by its SHA-256 and never changes. Its bytes may be removed;
//! what is known of it stays, because the activation log names it.

use super::{Conn, on_db};
use crate::{Error, Result};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// What is known of a component, without its bytes.
#[derive(Debug, Clone, FromRow)]
pub struct Artifact {
    pub digest: Vec<u8>,
    pub provider_key: String,
    pub version: String,
    pub wit_version: String,
    pub pure: bool,
    pub imports: Json<Vec<String>>,
    pub manifest: Json<serde_json::Value>,
    pub size: i64,
    /// What to mind before granting anything.
    pub warnings: Json<Vec<String>>,
    pub uploaded_by: String,
    pub signature: Option<Vec<u8>>,
    pub publisher_key: Option<Vec<u8>>,
    pub quarantined_at: Option<DateTime<Utc>>,
    pub quarantine_reason: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What an operator allows a provider.
#[derive(Debug, Clone, FromRow)]
pub struct Grant {
    pub id: i64,
    pub provider_key: String,
    pub grants: Json<serde_json::Value>,
    pub granted_by: String,
    pub created_at: DateTime<Utc>,
}

/// Keeps a component. One that is there already stays as it is, but for a signature that it did
/// not have and bytes that were removed; whether it is new is returned.
pub async fn insert_artifact(
    conn: &mut Conn,
    artifact: &Artifact,
    component: &[u8],
) -> Result<bool> {
    let Artifact {
        digest,
        provider_key,
        version,
        wit_version,
        pure,
        imports,
        manifest,
        size,
        warnings,
        uploaded_by,
        signature,
        publisher_key,
        quarantined_at: _,
        quarantine_reason: _,
        deleted_at: _,
        created_at,
    } = artifact;
    let added = on_db!(conn, |c| {
        query(
        "INSERT INTO provider_artifacts (digest, provider_key, version, wit_version, pure, imports,
                                         manifest, component, size, warnings, uploaded_by,
                                         created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (digest) DO UPDATE SET component = $8, deleted_at = NULL
         WHERE provider_artifacts.deleted_at IS NOT NULL",
    )
    .bind(digest)
    .bind(provider_key)
    .bind(version)
    .bind(wit_version)
    .bind(pure)
    .bind(imports)
    .bind(manifest)
    .bind(component)
    .bind(size)
    .bind(warnings)
    .bind(uploaded_by)
    .bind(created_at)
    .execute(c)
    .await
    .map(|done| done.rows_affected())
    })?;
    if signature.is_some() {
        on_db!(conn, |c| query(
            "UPDATE provider_artifacts SET signature = $2, publisher_key = $3 WHERE digest = $1",
        )
        .bind(digest)
        .bind(signature)
        .bind(publisher_key)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(added > 0)
}

/// Everything but the bytes.
macro_rules! artifacts {
    ($which:literal) => {
        concat!(
            "SELECT digest, provider_key, version, wit_version, pure, imports, manifest, size,
                    warnings, uploaded_by, signature, publisher_key, quarantined_at,
                    quarantine_reason, deleted_at, created_at
             FROM provider_artifacts ",
            $which
        )
    };
}

/// What is known of a component of a provider.
pub async fn find_artifact(conn: &mut Conn, provider_key: &str, digest: &[u8]) -> Result<Artifact> {
    on_db!(conn, |c| query_as(artifacts!("WHERE provider_key = $1 AND digest = $2"))
        .bind(provider_key)
        .bind(digest)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("component"))
}

/// The components of a provider, or of all, newest first.
pub async fn list_artifacts(conn: &mut Conn, provider_key: Option<&str>) -> Result<Vec<Artifact>> {
    Ok(on_db!(conn, |c| query_as(artifacts!(
        "WHERE $1 IS NULL OR provider_key = $1 ORDER BY provider_key, created_at DESC, digest"
    ))
    .bind(provider_key)
    .fetch_all(c)
    .await)?)
}

/// The provider and the bytes of a component.
pub async fn find_component(conn: &mut Conn, digest: &[u8]) -> Result<Option<(String, Vec<u8>)>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT provider_key, component FROM provider_artifacts
         WHERE digest = $1 AND deleted_at IS NULL",
    )
    .bind(digest)
    .fetch_optional(c)
    .await)?)
}

/// Marks a component as one that nobody should put in service, or takes the mark away.
pub async fn quarantine(
    conn: &mut Conn,
    digest: &[u8],
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE provider_artifacts SET quarantined_at = $2, quarantine_reason = $3
         WHERE digest = $1",
    )
    .bind(digest)
    .bind(reason.map(|_| now))
    .bind(reason)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Removes the bytes of components that no slot holds, that are not about to be put in service,
/// that no call waits for, and that are not the one a rollback would go back to; returns them.
pub async fn delete_unused(
    conn: &mut Conn,
    provider_key: &str,
    digest: Option<&[u8]>,
    needed: &[Vec<u8>],
    now: DateTime<Utc>,
) -> Result<Vec<Vec<u8>>> {
    let candidates: Vec<Vec<u8>> = on_db!(conn, |c| query_scalar(
        "SELECT digest FROM provider_artifacts a
         WHERE provider_key = $1 AND deleted_at IS NULL AND ($2 IS NULL OR digest = $2)
             AND NOT EXISTS (SELECT 1 FROM runs r
                             WHERE r.provider_digest = a.digest AND r.checkpoint IS NOT NULL)
         ORDER BY created_at",
    )
    .bind(provider_key)
    .bind(digest)
    .fetch_all(c)
    .await)?;
    let unused: Vec<_> = candidates.into_iter().filter(|digest| !needed.contains(digest)).collect();
    for digest in &unused {
        on_db!(conn, |c| query(
            "UPDATE provider_artifacts SET component = $2, deleted_at = $3 WHERE digest = $1",
        )
        .bind(digest)
        .bind(&b""[..])
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(unused)
}

/// Allows a provider what `grants` says; returns the grant's id.
pub async fn insert_grant(
    conn: &mut Conn,
    provider_key: &str,
    grants: &serde_json::Value,
    granted_by: &str,
    now: DateTime<Utc>,
) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "INSERT INTO provider_grants (provider_key, grants, granted_by, created_at)
         VALUES ($1, $2, $3, $4) RETURNING id",
    )
    .bind(provider_key)
    .bind(Json(grants))
    .bind(granted_by)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// The grant that holds for a provider: the newest one.
pub async fn find_grant(conn: &mut Conn, provider_key: &str) -> Result<Option<Grant>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_grants
         WHERE id = (SELECT MAX(id) FROM provider_grants WHERE provider_key = $1)",
    )
    .bind(provider_key)
    .fetch_optional(c)
    .await)?)
}
