use super::{Conn, on_db};
use crate::Result;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// A component, named by its SHA-256. It never changes.
#[derive(Debug, Clone, FromRow)]
pub struct Artifact {
    pub digest: Vec<u8>,
    pub provider_key: String,
    pub version: String,
    pub wit_version: String,
    pub pure: bool,
    pub imports: Json<Vec<String>>,
    pub manifest: Json<serde_json::Value>,
    pub component: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// The component of a provider that is in service, with what it was granted.
#[derive(Debug, Clone, FromRow)]
pub struct Active {
    pub generation: i64,
    pub provider_key: String,
    pub digest: Vec<u8>,
    pub grants: Json<serde_json::Value>,
}

/// Keeps a component. One that is there already stays as it is.
pub async fn insert_artifact(conn: &mut Conn, artifact: &Artifact) -> Result<()> {
    let Artifact {
        digest,
        provider_key,
        version,
        wit_version,
        pure,
        imports,
        manifest,
        component,
        created_at,
    } = artifact;
    on_db!(conn, |c| query(
        "INSERT INTO provider_artifacts (digest, provider_key, version, wit_version, pure,
                                         imports, manifest, component, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(digest)
    .bind(provider_key)
    .bind(version)
    .bind(wit_version)
    .bind(pure)
    .bind(imports)
    .bind(manifest)
    .bind(component)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The bytes of a component.
pub async fn find_component(conn: &mut Conn, digest: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT component FROM provider_artifacts WHERE digest = $1",
    )
    .bind(digest)
    .fetch_optional(c)
    .await)?)
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

/// Puts a component in service by a new line of the activation log; returns the generation.
pub async fn activate(
    conn: &mut Conn,
    provider_key: &str,
    digest: &[u8],
    grant: i64,
    by: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "INSERT INTO provider_activations (provider_key, digest, grant_id, activated_by, reason,
                                           created_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
    )
    .bind(provider_key)
    .bind(digest)
    .bind(grant)
    .bind(by)
    .bind(reason)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// The component in service of every provider.
pub async fn active(conn: &mut Conn) -> Result<Vec<Active>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT a.id AS generation, a.provider_key, a.digest, g.grants
         FROM provider_activations a
         JOIN provider_grants g ON g.id = a.grant_id
         WHERE a.id = (SELECT MAX(b.id) FROM provider_activations b
                       WHERE b.provider_key = a.provider_key)
         ORDER BY a.provider_key",
    )
    .fetch_all(c)
    .await)?)
}

/// The digest that `by` activated last, for each provider.
pub async fn last_activated_by(conn: &mut Conn, by: &str) -> Result<Vec<Vec<u8>>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT a.digest FROM provider_activations a
         WHERE a.id = (SELECT MAX(b.id) FROM provider_activations b
                       WHERE b.provider_key = a.provider_key AND b.activated_by = $1)",
    )
    .bind(by)
    .fetch_all(c)
    .await)?)
}
