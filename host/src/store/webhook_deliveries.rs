//! Events on their way to webhooks, and each try to deliver them.

use super::{Conn, bulk::Rows, on_db};
use crate::{
    Error, Result,
    ids::{DeliveryId, EventId, WebhookId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

#[derive(Debug, Clone, FromRow)]
pub struct Delivery {
    pub id: DeliveryId,
    pub workspace_id: WorkspaceId,
    pub webhook_id: WebhookId,
    pub event_id: EventId,
    pub event_type: String,
    /// To the byte: each try sends and signs the same.
    pub body: String,
    pub state: DeliveryState,
    pub attempts: i64,
    /// When it is tried again.
    pub next_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// The webhook did not take it, however often it was tried.
    Failed,
    /// The webhook was switched off meanwhile.
    Cancelled,
}

/// A try to deliver.
#[derive(Debug, Clone, FromRow)]
pub struct Attempt {
    pub workspace_id: WorkspaceId,
    pub delivery_id: DeliveryId,
    /// 1 for the first.
    pub attempt: i64,
    /// HTTP status; `None` when there was no answer.
    pub status: Option<i64>,
    /// Why it does not count as delivered.
    pub error: Option<String>,
    /// The beginning of what was answered.
    pub answer: Option<String>,
    pub took_ms: i64,
    pub started_at: DateTime<Utc>,
}

pub async fn insert(conn: &mut Conn, deliveries: &[Delivery]) -> Result<()> {
    Rows::new(deliveries)
        .column("id", |row| row.id)
        .column("workspace_id", |row| row.workspace_id)
        .column("webhook_id", |row| row.webhook_id)
        .column("event_id", |row| row.event_id)
        .column("event_type", |row| row.event_type.as_str())
        .column("body", |row| row.body.as_str())
        .column("state", |row| row.state)
        .column("attempts", |row| row.attempts)
        .column("next_at", |row| row.next_at)
        .column("created_at", |row| row.created_at)
        .column("finished_at", |row| row.finished_at)
        .insert(conn, "INSERT INTO webhook_deliveries", "")
        .await
        .map(drop)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: DeliveryId) -> Result<Delivery> {
    on_db!(conn, |c| query_as(
        "SELECT * FROM webhook_deliveries WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("delivery"))
}

/// The deliveries to a webhook that come before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    webhook: WebhookId,
    before: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM webhook_deliveries
         WHERE workspace_id = $1 AND webhook_id = $2 AND ($3 IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
    )
    .bind(workspace)
    .bind(webhook)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The tries of a delivery, first one first.
pub async fn attempts(
    conn: &mut Conn,
    workspace: WorkspaceId,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM webhook_attempts WHERE workspace_id = $1 AND delivery_id = $2
         ORDER BY attempt",
    )
    .bind(workspace)
    .bind(delivery)
    .fetch_all(c)
    .await)?)
}

/// Writes down a try and what becomes of its delivery. A try that was written before stays as it
/// was.
pub async fn tried(
    conn: &mut Conn,
    attempt: &Attempt,
    state: DeliveryState,
    next_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<()> {
    let Attempt { workspace_id, delivery_id, attempt, status, error, answer, took_ms, started_at } =
        attempt;
    on_db!(conn, |c| query(
        "INSERT INTO webhook_attempts (workspace_id, delivery_id, attempt, status, error, answer,
                                       took_ms, started_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT DO NOTHING",
    )
    .bind(workspace_id)
    .bind(delivery_id)
    .bind(attempt)
    .bind(status)
    .bind(error)
    .bind(answer)
    .bind(took_ms)
    .bind(started_at)
    .execute(c)
    .await
    .map(drop))?;
    let finished = (state != DeliveryState::Pending).then_some(now);
    on_db!(conn, |c| query(
        "UPDATE webhook_deliveries
         SET state = $3, attempts = $4, next_at = $5, finished_at = $6
         WHERE workspace_id = $1 AND id = $2 AND state = 'pending'",
    )
    .bind(workspace_id)
    .bind(delivery_id)
    .bind(state)
    .bind(attempt)
    .bind(next_at)
    .bind(finished)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Calls a delivery off: its webhook is switched off.
pub async fn cancel(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: DeliveryId,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE webhook_deliveries SET state = 'cancelled', next_at = NULL, finished_at = $3
         WHERE workspace_id = $1 AND id = $2 AND state = 'pending'",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets deliveries that were made before `before`.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM webhook_deliveries WHERE created_at < $1")
        .bind(before)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
