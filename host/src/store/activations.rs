//! The activation log: what is in service, since when, by whom and why.
//!
//! **Invariant:** a row is never changed but for how it came out, and that once.
//! **Invariant:** every change happens with the generation's row held ([`next_generation`]), so
//! that changes have one order over all processes.

use super::{Conn, bulk::Rows, on_db};
use crate::{
    Error, Result,
    ids::{ProcessId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// The workspace of slots that belong to none.
pub const NO_WORKSPACE: WorkspaceId = WorkspaceId(uuid::Uuid::nil());

/// What a canary's weight is counted in: all of the runs.
pub const WHOLE: i64 = 1000;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, serde::Serialize)]
pub struct Activation {
    pub id: i64,
    pub provider_key: String,
    /// main | canary | pin
    pub slot: String,
    /// The nil one, but for a pin.
    pub workspace_id: WorkspaceId,
    /// Thousandths of the runs.
    pub weight: i64,
    /// `None` empties the slot.
    pub digest: Option<Vec<u8>>,
    pub grant_id: Option<i64>,
    /// preparing | active | refused | superseded
    pub state: String,
    /// When it took effect, in the order of all changes.
    pub generation: Option<i64>,
    /// The activation that a rollback went back to.
    pub restores: Option<i64>,
    /// Why it was refused.
    pub detail: Option<String>,
    pub activated_by: String,
    pub reason: String,
    pub created_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
}

/// What somebody wants a slot to hold.
#[derive(Debug, Clone)]
pub struct NewActivation<'a> {
    pub provider_key: &'a str,
    pub slot: &'static str,
    pub workspace: WorkspaceId,
    pub weight: i64,
    pub digest: Option<&'a [u8]>,
    pub grant: Option<i64>,
    pub restores: Option<i64>,
    pub by: &'a str,
    pub reason: &'a str,
}

/// What a slot holds, with what its provider is granted now.
#[derive(Debug, Clone, FromRow)]
pub struct InService {
    pub provider_key: String,
    pub slot: String,
    pub workspace_id: WorkspaceId,
    pub weight: i64,
    pub digest: Vec<u8>,
    pub grants: Json<serde_json::Value>,
}

/// Whether a process has a component in memory.
#[derive(Debug, Clone, FromRow)]
pub struct Readiness {
    pub process_id: ProcessId,
    pub digest: Vec<u8>,
    pub ready: bool,
    pub error: Option<String>,
    pub updated_at: DateTime<Utc>,
}

/// Takes the next generation and holds its row until the end of the transaction.
pub async fn next_generation(conn: &mut Conn) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "UPDATE provider_generation SET generation = generation + 1 RETURNING generation",
    )
    .fetch_one(c)
    .await)?)
}

/// The generation of the newest change.
pub async fn generation(conn: &mut Conn) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar("SELECT generation FROM provider_generation")
        .fetch_one(c)
        .await)?)
}

/// Adds a line that is still to be prepared; earlier ones of the slot that are not settled yet
/// are superseded.
pub async fn insert(
    conn: &mut Conn,
    new: &NewActivation<'_>,
    now: DateTime<Utc>,
) -> Result<Activation> {
    let NewActivation {
        provider_key,
        slot,
        workspace,
        weight,
        digest,
        grant,
        restores,
        by,
        reason,
    } = new;
    on_db!(conn, |c| query(
        "UPDATE provider_activations SET state = 'superseded', settled_at = $4
         WHERE provider_key = $1 AND slot = $2 AND workspace_id = $3 AND state = 'preparing'",
    )
    .bind(provider_key)
    .bind(slot)
    .bind(workspace)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(on_db!(conn, |c| query_as(
        "INSERT INTO provider_activations (provider_key, slot, workspace_id, weight, digest,
                                           grant_id, state, restores, activated_by, reason,
                                           created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'preparing', $7, $8, $9, $10) RETURNING *",
    )
    .bind(provider_key)
    .bind(slot)
    .bind(workspace)
    .bind(weight)
    .bind(digest)
    .bind(grant)
    .bind(restores)
    .bind(by)
    .bind(reason)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// How a line came out: `Ok` with its generation, or why not.
pub async fn settle(
    conn: &mut Conn,
    id: i64,
    outcome: Result<i64, &str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let state = if outcome.is_ok() { "active" } else { "refused" };
    let changed = on_db!(conn, |c| query(
        "UPDATE provider_activations
         SET state = $2, generation = $3, detail = $4, settled_at = $5
         WHERE id = $1 AND state = 'preparing'",
    )
    .bind(id)
    .bind(state)
    .bind(outcome.ok())
    .bind(outcome.err())
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

pub async fn find(conn: &mut Conn, id: i64) -> Result<Activation> {
    on_db!(conn, |c| query_as("SELECT * FROM provider_activations WHERE id = $1")
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("activation"))
}

/// Lines that are not settled yet, oldest first.
pub async fn preparing(conn: &mut Conn) -> Result<Vec<Activation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_activations WHERE state = 'preparing' ORDER BY id",
    )
    .fetch_all(c)
    .await)?)
}

/// The log of a provider, newest first.
pub async fn list(conn: &mut Conn, provider_key: &str, limit: i64) -> Result<Vec<Activation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_activations WHERE provider_key = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(provider_key)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// What the slots of a provider, or of all, hold now. Empty slots are left out.
pub async fn current(conn: &mut Conn, provider_key: Option<&str>) -> Result<Vec<Activation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_activations a
         WHERE a.state = 'active' AND a.digest IS NOT NULL AND ($1 IS NULL OR provider_key = $1)
             AND a.generation = (SELECT MAX(b.generation) FROM provider_activations b
                                 WHERE b.provider_key = a.provider_key AND b.slot = a.slot
                                     AND b.workspace_id = a.workspace_id AND b.state = 'active')
         ORDER BY a.provider_key, a.slot, a.workspace_id",
    )
    .bind(provider_key)
    .fetch_all(c)
    .await)?)
}

/// What every slot holds, with the grant that holds for its provider.
pub async fn in_service(conn: &mut Conn) -> Result<Vec<InService>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT a.provider_key, a.slot, a.workspace_id, a.weight, a.digest, g.grants
         FROM provider_activations a
         JOIN provider_grants g ON g.id = (SELECT MAX(h.id) FROM provider_grants h
                                           WHERE h.provider_key = a.provider_key)
         WHERE a.state = 'active' AND a.digest IS NOT NULL
             AND a.generation = (SELECT MAX(b.generation) FROM provider_activations b
                                 WHERE b.provider_key = a.provider_key AND b.slot = a.slot
                                     AND b.workspace_id = a.workspace_id AND b.state = 'active')
         ORDER BY a.provider_key, a.slot, a.workspace_id",
    )
    .fetch_all(c)
    .await)?)
}

/// The line that a rollback of the provider goes back to: the newest one before what is in service
/// that held another component, which still has its bytes and is not quarantined. Where a rollback
/// is in service itself, history goes on before what it went back to, so that repeating a rollback
/// goes further back.
pub async fn previous(conn: &mut Conn, provider_key: &str) -> Result<Option<Activation>> {
    let Some(newest) = newest_main(conn, provider_key).await? else { return Ok(None) };
    let at = match newest.restores {
        Some(restored) => find(conn, restored).await?.generation,
        None => newest.generation,
    };
    Ok(on_db!(conn, |c| query_as(
        "SELECT a.* FROM provider_activations a
         JOIN provider_artifacts p ON p.digest = a.digest
         WHERE a.provider_key = $1 AND a.slot = 'main' AND a.state = 'active'
             AND a.generation < $2 AND ($3 IS NULL OR a.digest <> $3)
             AND p.quarantined_at IS NULL AND p.deleted_at IS NULL
         ORDER BY a.generation DESC LIMIT 1",
    )
    .bind(provider_key)
    .bind(at)
    .bind(newest.digest)
    .fetch_optional(c)
    .await)?)
}

/// The newest active line of the provider's main slot, be it empty.
pub async fn newest_main(conn: &mut Conn, provider_key: &str) -> Result<Option<Activation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM provider_activations
         WHERE provider_key = $1 AND slot = 'main' AND state = 'active'
         ORDER BY generation DESC LIMIT 1",
    )
    .bind(provider_key)
    .fetch_optional(c)
    .await)?)
}

/// Whether the component was in service for everybody before.
pub async fn was_main(conn: &mut Conn, provider_key: &str, digest: &[u8]) -> Result<bool> {
    let found: i64 = on_db!(conn, |c| query_scalar(
        "SELECT COUNT(*) FROM provider_activations
         WHERE provider_key = $1 AND slot = 'main' AND state = 'active' AND digest = $2",
    )
    .bind(provider_key)
    .bind(digest)
    .fetch_one(c)
    .await)?;
    Ok(found > 0)
}

/// Keys of all providers that were ever in service or are about to be.
pub async fn provider_keys(conn: &mut Conn) -> Result<Vec<String>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT DISTINCT provider_key FROM provider_activations ORDER BY provider_key",
    )
    .fetch_all(c)
    .await)?)
}

/// The digest that `by` activated last, for each provider.
pub async fn last_activated_by(conn: &mut Conn, by: &str) -> Result<Vec<Vec<u8>>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT a.digest FROM provider_activations a
         WHERE a.id = (SELECT MAX(b.id) FROM provider_activations b
                       WHERE b.provider_key = a.provider_key AND b.activated_by = $1
                           AND b.digest IS NOT NULL)",
    )
    .bind(by)
    .fetch_all(c)
    .await)?)
}

/// Says which components a process has ready, or cannot have.
pub async fn save_readiness(conn: &mut Conn, rows: &[Readiness]) -> Result<()> {
    Rows::new(rows)
        .column("process_id", |row| row.process_id)
        .column("digest", |row| row.digest.as_slice())
        .column("ready", |row| row.ready)
        .column("error", |row| row.error.as_deref())
        .column("updated_at", |row| row.updated_at)
        .insert(
            conn,
            "INSERT INTO provider_readiness",
            "ON CONFLICT (process_id, digest) DO UPDATE
             SET ready = excluded.ready, error = excluded.error, updated_at = excluded.updated_at",
        )
        .await?;
    Ok(())
}

/// The process has let go of a component.
pub async fn forget_readiness(conn: &mut Conn, process: ProcessId, digest: &[u8]) -> Result<()> {
    on_db!(conn, |c| query(
        "DELETE FROM provider_readiness WHERE process_id = $1 AND digest = $2",
    )
    .bind(process)
    .bind(digest)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// What all processes said.
pub async fn readiness(conn: &mut Conn) -> Result<Vec<Readiness>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM provider_readiness ORDER BY process_id, digest")
        .fetch_all(c)
        .await)?)
}

/// The process has this generation in service.
pub async fn serves_generation(conn: &mut Conn, process: ProcessId, generation: i64) -> Result<()> {
    on_db!(conn, |c| query("UPDATE processes SET provider_generation = $2 WHERE id = $1")
        .bind(process)
        .bind(generation)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
