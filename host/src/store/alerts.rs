//! Conditions that hold, or held.
//!
//! **Invariant:** of alerts with one key, one is not resolved at most: what happens again is counted
//! and not told again.

use super::{
    Conn,
    alert_rules::{AlertRule, Severity},
    events::{self, EventType, NewEvent},
    mute_windows, on_db,
};
use crate::{
    Error, Result,
    ids::{AlertId, AlertRuleId, WorkspaceId},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

#[derive(Debug, Clone, FromRow)]
pub struct Alert {
    pub id: AlertId,
    pub workspace_id: WorkspaceId,
    pub rule_id: AlertRuleId,
    pub title: String,
    pub severity: Severity,
    pub state: AlertState,
    /// What makes two alerts the same.
    pub dedup_key: String,
    pub occurrences: i64,
    pub evidence: Json<serde_json::Value>,
    /// Until then nobody is told that it goes on.
    pub snoozed_until: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub resolved_by: Option<String>,
    pub resolved_at: Option<DateTime<Utc>>,
    /// What whoever acknowledged or resolved it wrote.
    pub note: Option<String>,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    Open,
    Acknowledged,
    Resolved,
}

impl AlertState {
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertState::Open => "open",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Resolved => "resolved",
        }
    }
}

/// Which alerts to show.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct AlertFilter {
    pub state: Option<AlertState>,
    pub severity: Option<Severity>,
    pub rule: Option<AlertRuleId>,
}

/// A rule's condition holds for `subject`: opens an alert, or counts one that is open. Whoever
/// listens is told of a new one, unless it is muted or the same was resolved a moment ago.
pub async fn raise(
    conn: &mut Conn,
    rule: &AlertRule,
    subject: &str,
    title: &str,
    evidence: &serde_json::Value,
    now: DateTime<Utc>,
) -> Result<Alert> {
    let key = format!("{}/{subject}", rule.id);
    let alert: Alert = on_db!(conn, |c| query_as(
        "INSERT INTO alerts (id, workspace_id, rule_id, title, severity, state, dedup_key,
                             occurrences, evidence, first_at, last_at)
         VALUES ($1, $2, $3, $4, $5, 'open', $6, 1, $7, $8, $8)
         ON CONFLICT (workspace_id, dedup_key) WHERE state <> 'resolved' DO UPDATE
         SET occurrences = alerts.occurrences + 1, last_at = excluded.last_at,
             evidence = excluded.evidence
         RETURNING *",
    )
    .bind(AlertId::generate())
    .bind(rule.workspace_id)
    .bind(rule.id)
    .bind(title)
    .bind(rule.severity)
    .bind(&key)
    .bind(Json(evidence))
    .bind(now)
    .fetch_one(c)
    .await)?;
    let woke = alert.snoozed_until.is_some_and(|until| until <= now);
    if woke {
        snooze(conn, &alert, None).await?;
    }
    let news =
        if alert.occurrences == 1 { !cools_down(conn, rule, &key, now).await? } else { woke };
    if news && !mute_windows::is_muted(conn, rule.workspace_id, rule.id, now).await? {
        tell(conn, &alert, EventType::AlertTriggered, now).await?;
    }
    Ok(alert)
}

/// Whether the same alert was resolved a moment ago.
async fn cools_down(
    conn: &mut Conn,
    rule: &AlertRule,
    key: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let last: Option<DateTime<Utc>> = on_db!(conn, |c| query_scalar(
        "SELECT MAX(resolved_at) FROM alerts
         WHERE workspace_id = $1 AND dedup_key = $2 AND resolved_at IS NOT NULL",
    )
    .bind(rule.workspace_id)
    .bind(key)
    .fetch_one(c)
    .await)?;
    Ok(last.is_some_and(|last| now - last < TimeDelta::minutes(rule.cooldown_minutes)))
}

async fn tell(conn: &mut Conn, alert: &Alert, kind: EventType, now: DateTime<Utc>) -> Result<()> {
    let data = json!({
        "alert_id": alert.id,
        "rule_id": alert.rule_id,
        "title": alert.title,
        "severity": alert.severity,
        "state": alert.state,
        "occurrences": alert.occurrences,
        "evidence": alert.evidence.0,
    });
    events::insert(
        conn,
        &[NewEvent::new(alert.workspace_id, kind, alert.id.to_string(), data)],
        now,
    )
    .await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: AlertId) -> Result<Alert> {
    on_db!(conn, |c| query_as("SELECT * FROM alerts WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("alert"))
}

/// The alerts that come before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &AlertFilter,
    before: Option<AlertId>,
    limit: i64,
) -> Result<Vec<Alert>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM alerts
         WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR state = $3)
           AND ($4 IS NULL OR severity = $4) AND ($5 IS NULL OR rule_id = $5)
         ORDER BY id DESC LIMIT $6",
    )
    .bind(workspace)
    .bind(before)
    .bind(filter.state)
    .bind(filter.severity)
    .bind(filter.rule)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Says that somebody looks after it.
pub async fn acknowledge(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AlertId,
    by: &str,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Alert> {
    let changed: Option<Alert> = on_db!(conn, |c| query_as(
        "UPDATE alerts
         SET state = 'acknowledged', acknowledged_by = $3, acknowledged_at = $4,
             note = COALESCE($5, note)
         WHERE workspace_id = $1 AND id = $2 AND state = 'open' RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(by)
    .bind(now)
    .bind(note)
    .fetch_optional(c)
    .await)?;
    let alert = moved(conn, workspace, id, changed, "acknowledge").await?;
    tell(conn, &alert, EventType::AlertAcknowledged, now).await?;
    Ok(alert)
}

/// Says that it is over.
pub async fn resolve(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AlertId,
    by: &str,
    note: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Alert> {
    let changed: Option<Alert> = on_db!(conn, |c| query_as(
        "UPDATE alerts
         SET state = 'resolved', resolved_by = $3, resolved_at = $4, note = COALESCE($5, note),
             snoozed_until = NULL
         WHERE workspace_id = $1 AND id = $2 AND state <> 'resolved' RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(by)
    .bind(now)
    .bind(note)
    .fetch_optional(c)
    .await)?;
    let alert = moved(conn, workspace, id, changed, "resolve").await?;
    tell(conn, &alert, EventType::AlertResolved, now).await?;
    Ok(alert)
}

/// Keeps an alert quiet until then; no longer when `None`.
pub async fn snooze(conn: &mut Conn, alert: &Alert, until: Option<DateTime<Utc>>) -> Result<Alert> {
    let changed: Option<Alert> = on_db!(conn, |c| query_as(
        "UPDATE alerts SET snoozed_until = $3
         WHERE workspace_id = $1 AND id = $2 AND state <> 'resolved' RETURNING *",
    )
    .bind(alert.workspace_id)
    .bind(alert.id)
    .bind(until)
    .fetch_optional(c)
    .await)?;
    moved(conn, alert.workspace_id, alert.id, changed, "snooze").await
}

/// An alert that was changed, or why it was not.
async fn moved(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AlertId,
    changed: Option<Alert>,
    verb: &str,
) -> Result<Alert> {
    if let Some(alert) = changed {
        return Ok(alert);
    }
    let state = find(conn, workspace, id).await?.state.as_str();
    Err(Error::Conflict(format!("the alert is {state}: there is nothing to {verb}")))
}

/// Forgets alerts that were resolved before `before`.
pub async fn purge(conn: &mut Conn, before: DateTime<Utc>) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM alerts WHERE state = 'resolved' AND resolved_at < $1")
        .bind(before)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
