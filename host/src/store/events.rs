//! What happened that somebody may want to hear of: the outbox of webhooks, streams and alerts.
//!
//! **Invariant:** an event is written in the transaction of its cause: there is neither one without
//! the other.
//! **Invariant:** positions grow in the order in which they can be seen: one transaction at a time
//! gives them out. Whoever has read up to a position has missed nothing before it.

use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{EventId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(type_name = "text")]
pub enum EventType {
    #[sqlx(rename = "batch.completed")]
    BatchCompleted,
    #[sqlx(rename = "batch.cancelled")]
    BatchCancelled,
    #[sqlx(rename = "budget.throttled")]
    BudgetThrottled,
    #[sqlx(rename = "budget.exceeded")]
    BudgetExceeded,
    #[sqlx(rename = "engine.needs_attention")]
    EngineNeedsAttention,
    #[sqlx(rename = "schedule.refused")]
    ScheduleRefused,
    #[sqlx(rename = "alert.triggered")]
    AlertTriggered,
    #[sqlx(rename = "alert.acknowledged")]
    AlertAcknowledged,
    #[sqlx(rename = "alert.resolved")]
    AlertResolved,
    #[sqlx(rename = "action.approved")]
    ActionApproved,
    #[sqlx(rename = "action.dismissed")]
    ActionDismissed,
    #[sqlx(rename = "action.done")]
    ActionDone,
    #[sqlx(rename = "report.generated")]
    ReportGenerated,
    #[sqlx(rename = "report.failed")]
    ReportFailed,
    /// Somebody tries a webhook.
    #[sqlx(rename = "webhook.test")]
    WebhookTest,
    #[sqlx(rename = "webhook.disabled")]
    WebhookDisabled,
}

impl EventType {
    pub const ALL: [EventType; 16] = [
        EventType::BatchCompleted,
        EventType::BatchCancelled,
        EventType::BudgetThrottled,
        EventType::BudgetExceeded,
        EventType::EngineNeedsAttention,
        EventType::ScheduleRefused,
        EventType::AlertTriggered,
        EventType::AlertAcknowledged,
        EventType::AlertResolved,
        EventType::ActionApproved,
        EventType::ActionDismissed,
        EventType::ActionDone,
        EventType::ReportGenerated,
        EventType::ReportFailed,
        EventType::WebhookTest,
        EventType::WebhookDisabled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventType::BatchCompleted => "batch.completed",
            EventType::BatchCancelled => "batch.cancelled",
            EventType::BudgetThrottled => "budget.throttled",
            EventType::BudgetExceeded => "budget.exceeded",
            EventType::EngineNeedsAttention => "engine.needs_attention",
            EventType::ScheduleRefused => "schedule.refused",
            EventType::AlertTriggered => "alert.triggered",
            EventType::AlertAcknowledged => "alert.acknowledged",
            EventType::AlertResolved => "alert.resolved",
            EventType::ActionApproved => "action.approved",
            EventType::ActionDismissed => "action.dismissed",
            EventType::ActionDone => "action.done",
            EventType::ReportGenerated => "report.generated",
            EventType::ReportFailed => "report.failed",
            EventType::WebhookTest => "webhook.test",
            EventType::WebhookDisabled => "webhook.disabled",
        }
    }
}

/// Something that happened, to be written down.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub id: EventId,
    pub workspace: WorkspaceId,
    pub kind: EventType,
    pub subject: String,
    pub data: serde_json::Value,
}

impl NewEvent {
    /// `subject` names the resource that it tells of.
    pub fn new(
        workspace: WorkspaceId,
        kind: EventType,
        subject: String,
        data: serde_json::Value,
    ) -> Self {
        NewEvent { id: EventId::generate(), workspace, kind, subject, data }
    }
}

/// Something that happened.
#[derive(Debug, Clone, FromRow)]
pub struct Event {
    pub id: EventId,
    pub workspace_id: WorkspaceId,
    #[sqlx(rename = "type")]
    pub kind: EventType,
    /// Names the resource that it tells of.
    pub subject: String,
    pub data: Json<serde_json::Value>,
    /// Among all events; `None` until it is published.
    pub position: Option<i64>,
    pub created_at: DateTime<Utc>,
}

/// Writes events down in the caller's transaction.
pub async fn insert(conn: &mut Conn, events: &[NewEvent], now: DateTime<Utc>) -> Result<()> {
    for event in events {
        on_db!(conn, |c| query(
            "INSERT INTO events (id, workspace_id, type, subject, data, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(event.id)
        .bind(event.workspace)
        .bind(event.kind)
        .bind(&event.subject)
        .bind(Json(&event.data))
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}

/// Whether events wait to be published.
pub async fn is_waiting(conn: &mut Conn) -> Result<bool> {
    let found: Option<EventId> =
        on_db!(conn, |c| query_scalar("SELECT id FROM events WHERE position IS NULL LIMIT 1")
            .fetch_optional(c)
            .await)?;
    Ok(found.is_some())
}

/// Gives up to `limit` waiting events their positions, oldest first, and returns them so.
///
/// Others who publish wait here until the caller's transaction is over.
pub async fn publish(conn: &mut Conn, limit: i64) -> Result<Vec<Event>> {
    // The row stays locked until the commit: positions become visible in their order.
    let last: i64 = on_db!(conn, |c| query_scalar(
        "UPDATE event_positions SET last = last WHERE name = 'published' RETURNING last",
    )
    .fetch_one(c)
    .await)?;
    let mut waiting: Vec<Event> = on_db!(conn, |c| query_as(
        "SELECT * FROM events WHERE position IS NULL ORDER BY id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(c)
    .await)?;
    if waiting.is_empty() {
        return Ok(waiting);
    }
    let mut position = last;
    for event in &mut waiting {
        position += 1;
        event.position = Some(position);
    }
    Rows::new(&waiting)
        .column("id", |event| event.id)
        .column("position", |event| event.position)
        .execute(conn, "UPDATE events SET position = v.position FROM v WHERE events.id = v.id")
        .await?;
    on_db!(conn, |c| query("UPDATE event_positions SET last = $1 WHERE name = 'published'")
        .bind(position)
        .execute(c)
        .await
        .map(drop))?;
    Ok(waiting)
}

/// The position of the newest published event.
pub async fn last_position(conn: &mut Conn) -> Result<i64> {
    Ok(on_db!(conn, |c| {
        query_scalar("SELECT last FROM event_positions WHERE name = 'published'").fetch_one(c).await
    })?)
}

/// Where a published event of the workspace stands; `None` when there is none of this id.
pub async fn position(conn: &mut Conn, workspace: WorkspaceId, id: EventId) -> Result<Option<i64>> {
    let found: Option<Option<i64>> = on_db!(conn, |c| query_scalar(
        "SELECT position FROM events WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(c)
    .await)?;
    Ok(found.flatten())
}

/// The published events of a workspace that follow `after`.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM events WHERE workspace_id = $1 AND position > $2
         ORDER BY position LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Forgets events that were published before `before`.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM events WHERE created_at < $1 AND position IS NOT NULL")
        .bind(before)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
