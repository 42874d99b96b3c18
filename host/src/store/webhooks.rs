//! Where workspaces want to be told of events.

use super::{Conn, bulk::Rows, events::EventType, on_db};
use crate::{
    Error, Result,
    ids::{WebhookId, WorkspaceId},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

#[derive(Debug, Clone, FromRow)]
pub struct Webhook {
    pub id: WebhookId,
    pub workspace_id: WorkspaceId,
    pub url: String,
    pub description: String,
    /// Of the events it wants; empty for all.
    pub event_types: Json<Vec<String>>,
    pub enabled: bool,
    /// Why it was switched off without anybody asking.
    pub disabled_reason: Option<String>,
    /// Sealed.
    pub signing_key: Vec<u8>,
    /// Sealed. Signs beside the other one until `previous_until`.
    pub previous_key: Option<Vec<u8>>,
    pub previous_until: Option<DateTime<Utc>>,
    /// Since when nothing was taken.
    pub failing_since: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What takes nothing for so long is switched off.
pub const PATIENCE: TimeDelta = TimeDelta::days(5);

impl Webhook {
    pub fn wants(&self, kind: EventType) -> bool {
        self.event_types.is_empty() || self.event_types.iter().any(|name| name == kind.as_str())
    }
}

pub async fn insert(conn: &mut Conn, webhook: &Webhook) -> Result<()> {
    let Webhook {
        id,
        workspace_id,
        url,
        description,
        event_types,
        enabled,
        disabled_reason,
        signing_key,
        previous_key,
        previous_until,
        failing_since,
        version,
        created_at,
        updated_at,
    } = webhook;
    on_db!(conn, |c| query(
        "INSERT INTO webhooks (id, workspace_id, url, description, event_types, enabled,
                               disabled_reason, signing_key, previous_key, previous_until,
                               failing_since, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(url)
    .bind(description)
    .bind(event_types)
    .bind(enabled)
    .bind(disabled_reason)
    .bind(signing_key)
    .bind(previous_key)
    .bind(previous_until)
    .bind(failing_since)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: WebhookId) -> Result<Webhook> {
    on_db!(conn, |c| query_as("SELECT * FROM webhooks WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("webhook"))
}

/// Finds a webhook to change it: nobody else does until the transaction ends.
///
/// Errs when it is not at the version `expected` (any version when `None`).
pub async fn lock(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: WebhookId,
    expected: Option<i64>,
) -> Result<Webhook> {
    macro_rules! lock {
        ($c:expr, $lock:literal) => {
            query_as(concat!("SELECT * FROM webhooks WHERE workspace_id = $1 AND id = $2", $lock))
                .bind(workspace)
                .bind(id)
                .fetch_optional($c)
                .await
        };
    }
    let found: Option<Webhook> =
        on_db!(conn, postgres: |c| lock!(c, " FOR UPDATE"), sqlite: |c| lock!(c, ""))?;
    let found = found.ok_or(Error::NotFound("webhook"))?;
    match expected {
        Some(version) if version != found.version => Err(Error::Changed("webhook")),
        _ => Ok(found),
    }
}

/// The page of webhooks that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<WebhookId>,
    limit: i64,
) -> Result<Vec<Webhook>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM webhooks WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Those of some workspaces that are switched on.
pub async fn listening(conn: &mut Conn, workspaces: &[WorkspaceId]) -> Result<Vec<Webhook>> {
    Rows::new(workspaces)
        .column("workspace_id", |workspace| *workspace)
        .fetch(
            conn,
            "SELECT webhooks.* FROM v JOIN webhooks ON webhooks.workspace_id = v.workspace_id
             WHERE webhooks.enabled ORDER BY webhooks.workspace_id, webhooks.id",
        )
        .await
}

/// Writes what the caller changed of a webhook that it holds by [`lock`], as a new version.
pub async fn update(conn: &mut Conn, webhook: &Webhook, now: DateTime<Utc>) -> Result<Webhook> {
    let Webhook {
        id,
        workspace_id,
        url,
        description,
        event_types,
        enabled,
        disabled_reason,
        signing_key,
        previous_key,
        previous_until,
        failing_since,
        version: _,
        created_at: _,
        updated_at: _,
    } = webhook;
    Ok(on_db!(conn, |c| query_as(
        "UPDATE webhooks
         SET url = $3, description = $4, event_types = $5, enabled = $6, disabled_reason = $7,
             signing_key = $8, previous_key = $9, previous_until = $10, failing_since = $11,
             version = version + 1, updated_at = $12
         WHERE workspace_id = $1 AND id = $2
         RETURNING *",
    )
    .bind(workspace_id)
    .bind(id)
    .bind(url)
    .bind(description)
    .bind(event_types)
    .bind(enabled)
    .bind(disabled_reason)
    .bind(signing_key)
    .bind(previous_key)
    .bind(previous_until)
    .bind(failing_since)
    .bind(now)
    .fetch_one(c)
    .await)?)
}

/// Notes whether a webhook took a delivery: since when it fails, or that it does not.
pub async fn note(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: WebhookId,
    taken: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let failing = (!taken).then_some(now);
    // A webhook that is well stays as it is: no write for each delivery.
    on_db!(conn, |c| query(
        "UPDATE webhooks SET failing_since = $3
         WHERE workspace_id = $1 AND id = $2
           AND ((failing_since IS NULL AND $3 IS NOT NULL)
                OR (failing_since IS NOT NULL AND $3 IS NULL))",
    )
    .bind(workspace)
    .bind(id)
    .bind(failing)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Switches a webhook off; `false` when it was off.
pub async fn disable(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: WebhookId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE webhooks
         SET enabled = FALSE, disabled_reason = $3, version = version + 1, updated_at = $4
         WHERE workspace_id = $1 AND id = $2 AND enabled",
    )
    .bind(workspace)
    .bind(id)
    .bind(reason)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// The page of all workspaces' webhooks that follows `after`.
pub async fn of_all(conn: &mut Conn, after: Option<WebhookId>, limit: i64) -> Result<Vec<Webhook>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM webhooks WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what seals the keys of a webhook; `false` when they were changed meanwhile.
pub async fn reseal(
    conn: &mut Conn,
    before: &Webhook,
    signing_key: &[u8],
    previous_key: Option<&[u8]>,
) -> Result<bool> {
    let changed = on_db!(conn, |c| query(
        "UPDATE webhooks SET signing_key = $3, previous_key = $4
         WHERE workspace_id = $1 AND id = $2 AND signing_key = $5
           AND previous_key IS NOT DISTINCT FROM $6",
    )
    .bind(before.workspace_id)
    .bind(before.id)
    .bind(signing_key)
    .bind(previous_key)
    .bind(&before.signing_key)
    .bind(&before.previous_key)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(changed > 0)
}

/// Forgets a webhook and its deliveries.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: WebhookId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM webhooks WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
