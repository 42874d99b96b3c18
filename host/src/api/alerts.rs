use super::{
    Body, Caller, Paging, Problem, Tag,
    alert_rules::Severity,
    page,
    types::{Nullable, Timestamp, mirrored},
};
use crate::{
    App, Error, Result,
    ids::{AlertId, AlertRuleId},
    store::{
        alerts::{self, AlertFilter},
        audit_logs,
    },
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use serde_json::json;
use uuid::Uuid;

/// How far an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AlertState {
    Open,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over.
    Resolved,
}

/// A condition that holds, or held.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Alert {
    id: Uuid,
    /// The rule that it comes from; it may be gone.
    rule_id: Uuid,
    title: String,
    severity: Severity,
    state: AlertState,
    /// How often the condition was found to hold.
    occurrences: i64,
    /// What it follows from, at the last occurrence.
    evidence: Any<serde_json::Value>,
    /// Until then nobody is told that it goes on.
    snoozed_until: Option<Timestamp>,
    acknowledged_by: Option<String>,
    acknowledged_at: Option<Timestamp>,
    resolved_by: Option<String>,
    resolved_at: Option<Timestamp>,
    /// What whoever acknowledged or resolved it wrote.
    note: Option<String>,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// A word about what is done with an alert.
#[derive(Object)]
struct AlertNote {
    /// For those who look at it later.
    #[oai(validator(min_length = 1, max_length = 1000))]
    note: Option<String>,
}

/// How long to keep an alert quiet.
#[derive(Object)]
struct AlertSnooze {
    /// Until then; `null` ends it.
    until: Nullable<Timestamp>,
}

page! {
    /// A page of alerts, newest first.
    AlertPage of Alert
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Alerts")]
impl Api {
    /// List the alerts
    #[oai(path = "/alerts", method = "get", operation_id = "list_alerts")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those in this state.
        state: Query<Option<AlertState>>,
        /// Only those of this severity.
        severity: Query<Option<Severity>>,
        /// Only those of this rule.
        rule_id: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AlertPage>, Problem> {
        let filter = AlertFilter {
            state: state.0.map(Into::into),
            severity: severity.0.map(Into::into),
            rule: rule_id.0.map(AlertRuleId),
        };
        let (limit, cursor) = (limit.0, cursor.0);
        let page = Paging::open(&self.0, &caller, "alerts", &filter, limit, cursor.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            alerts::list(&mut conn, caller.workspace, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find an alert
    #[oai(path = "/alerts/:alert", method = "get", operation_id = "find_alert")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the alert.
        alert: Path<Uuid>,
    ) -> Result<Json<Alert>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = alerts::find(&mut conn, caller.workspace, AlertId(alert.0)).await?;
        Ok(Json(row.into()))
    }

    /// Acknowledge an alert
    ///
    /// Says that somebody looks after it.
    #[oai(path = "/alerts/:alert/acknowledge", method = "post", operation_id = "acknowledge_alert")]
    async fn acknowledge(
        &self,
        caller: Caller,
        /// Id of the alert.
        alert: Path<Uuid>,
        note: Body<AlertNote>,
    ) -> Result<Json<Alert>, Problem> {
        let (now, id, by) = (self.0.clock.now(), AlertId(alert.0), caller.label());
        let note = note.0.note.as_deref();
        let mut tx = self.0.store.begin().await?;
        let row = alerts::acknowledge(&mut tx, caller.workspace, id, &by, note, now).await?;
        let what = json!({"title": row.title});
        audit_logs::note(&mut tx, &caller.actor(), "alert.acknowledge", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Resolve an alert
    ///
    /// Says that it is over. When the condition holds again, a new alert is opened.
    #[oai(path = "/alerts/:alert/resolve", method = "post", operation_id = "resolve_alert")]
    async fn resolve(
        &self,
        caller: Caller,
        /// Id of the alert.
        alert: Path<Uuid>,
        note: Body<AlertNote>,
    ) -> Result<Json<Alert>, Problem> {
        let (now, id, by) = (self.0.clock.now(), AlertId(alert.0), caller.label());
        let note = note.0.note.as_deref();
        let mut tx = self.0.store.begin().await?;
        let row = alerts::resolve(&mut tx, caller.workspace, id, &by, note, now).await?;
        let what = json!({"title": row.title});
        audit_logs::note(&mut tx, &caller.actor(), "alert.resolve", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Snooze an alert
    ///
    /// It stays as it is, and nobody is told that it goes on until then. Afterwards the next
    /// occurrence is told again.
    #[oai(path = "/alerts/:alert/snooze", method = "post", operation_id = "snooze_alert")]
    async fn snooze(
        &self,
        caller: Caller,
        /// Id of the alert.
        alert: Path<Uuid>,
        snooze: Body<AlertSnooze>,
    ) -> Result<Json<Alert>, Problem> {
        let (now, id) = (self.0.clock.now(), AlertId(alert.0));
        let until = snooze.0.until.0;
        if until.is_some_and(|until| until.0 <= now) {
            return Err(Error::invalid("/until", "must lie in the future").into());
        }
        let mut tx = self.0.store.begin().await?;
        let before = alerts::find(&mut tx, caller.workspace, id).await?;
        let row = alerts::snooze(&mut tx, &before, until.map(|until| until.0)).await?;
        let what = json!({"title": row.title, "until": row.snoozed_until});
        audit_logs::note(&mut tx, &caller.actor(), "alert.snooze", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }
}

mirrored!(AlertState, alerts::AlertState, Open, Acknowledged, Resolved);

impl From<alerts::Alert> for Alert {
    fn from(row: alerts::Alert) -> Self {
        let alerts::Alert {
            id,
            workspace_id: _,
            rule_id,
            title,
            severity,
            state,
            dedup_key: _,
            occurrences,
            evidence,
            snoozed_until,
            acknowledged_by,
            acknowledged_at,
            resolved_by,
            resolved_at,
            note,
            first_at,
            last_at,
        } = row;
        Alert {
            id: id.0,
            rule_id: rule_id.0,
            title,
            severity: severity.into(),
            state: state.into(),
            occurrences,
            evidence: Any(evidence.0),
            snoozed_until: snoozed_until.map(Into::into),
            acknowledged_by,
            acknowledged_at: acknowledged_at.map(Into::into),
            resolved_by,
            resolved_at: resolved_at.map(Into::into),
            note,
            first_at: first_at.into(),
            last_at: last_at.into(),
        }
    }
}
