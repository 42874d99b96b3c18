use super::{
    Conn,
    bulk::Rows,
    events::{Event, EventType},
    on_db,
};
use crate::{
    Error, Result,
    error::Expected,
    ids::{AlertRuleId, BrandId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, query, query_as, types::Json};

/// When a workspace wants to be alerted.
#[derive(Debug, Clone, FromRow)]
pub struct AlertRule {
    pub id: AlertRuleId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub condition: Json<Condition>,
    pub severity: Severity,
    pub enabled: bool,
    /// After an alert is resolved, the same one is quiet for so long.
    pub cooldown_minutes: i64,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type, Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl AlertRule {
    /// Whether it is what the rule waits for.
    pub fn waits_for(&self, event: &Event) -> bool {
        let Condition::Event { event_type } = &self.condition.0 else { return false };
        self.workspace_id == event.workspace_id && event_type == event.kind.as_str()
    }
}

/// What has to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// A number of a window lies beyond a limit.
    Metric {
        metric: Metric,
        brand: Option<BrandId>,
        engine: Option<String>,
        days: i64,
        comparison: Comparison,
        threshold: f64,
    },
    /// Something happens.
    Event { event_type: String },
}

/// How a number is held against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Below,
    Above,
    /// Lower than in the window before, by at least the threshold.
    DropsBy,
    /// Higher than in the window before, by at least the threshold.
    RisesBy,
}

/// The numbers that an overview has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    AnswerRate,
    EngineCoverage,
    PromptCoverage,
    CitationShare,
    VisibilityScore,
    MentionRate,
    ShareOfVoice,
    FirstMentionRate,
    MeanReciprocalRank,
    AveragePosition,
    CitationRate,
    NetSentiment,
}

impl Metric {
    /// Whether it is a number of one brand.
    pub const fn is_of_brand(self) -> bool {
        match self {
            Metric::AnswerRate
            | Metric::EngineCoverage
            | Metric::PromptCoverage
            | Metric::CitationShare
            | Metric::VisibilityScore => false,
            Metric::MentionRate
            | Metric::ShareOfVoice
            | Metric::FirstMentionRate
            | Metric::MeanReciprocalRank
            | Metric::AveragePosition
            | Metric::CitationRate
            | Metric::NetSentiment => true,
        }
    }

    /// The values that it can have; positions have no last one.
    pub const fn range(self) -> (f64, f64) {
        match self {
            Metric::VisibilityScore => (0.0, 100.0),
            Metric::AveragePosition => (1.0, f64::INFINITY),
            Metric::NetSentiment => (-1.0, 1.0),
            _ => (0.0, 1.0),
        }
    }
}

/// What stands in the way of a second rule of one name.
pub const NAME_TAKEN: &str = "an alert rule with this name";

pub async fn insert(conn: &mut Conn, rule: &AlertRule) -> Result<()> {
    let AlertRule {
        id,
        workspace_id,
        name,
        condition,
        severity,
        enabled,
        cooldown_minutes,
        version,
        created_at,
        updated_at,
    } = rule;
    on_db!(conn, |c| query(
        "INSERT INTO alert_rules (id, workspace_id, name, condition, severity, enabled,
                                  cooldown_minutes, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(name)
    .bind(condition)
    .bind(severity)
    .bind(enabled)
    .bind(cooldown_minutes)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))
    .unique(NAME_TAKEN)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: AlertRuleId) -> Result<AlertRule> {
    on_db!(conn, |c| query_as("SELECT * FROM alert_rules WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("alert rule"))
}

/// The page of rules that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<AlertRuleId>,
    limit: i64,
) -> Result<Vec<AlertRule>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM alert_rules WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The rules of some workspaces that wait for one of `kinds` to happen.
pub async fn waiting_for(
    conn: &mut Conn,
    kinds: &[(WorkspaceId, EventType)],
) -> Result<Vec<AlertRule>> {
    Rows::new(kinds)
        .column("workspace_id", |(workspace, _)| *workspace)
        .column("event_type", |(_, kind)| kind.as_str())
        .fetch(
            conn,
            "SELECT alert_rules.* FROM v JOIN alert_rules
               ON alert_rules.workspace_id = v.workspace_id
              AND alert_rules.condition->>'event_type' = v.event_type
             WHERE alert_rules.enabled
             ORDER BY alert_rules.workspace_id, alert_rules.id",
        )
        .await
}

/// The rules on metrics that were not held against `day` or a later one yet.
pub async fn on_metrics(
    conn: &mut Conn,
    workspace: WorkspaceId,
    day: NaiveDate,
) -> Result<Vec<AlertRule>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM alert_rules
         WHERE workspace_id = $1 AND enabled AND condition->>'kind' = 'metric'
           AND (evaluated_on IS NULL OR evaluated_on < $2)
         ORDER BY id",
    )
    .bind(workspace)
    .bind(day)
    .fetch_all(c)
    .await)?)
}

/// Notes that a rule was held against `day`; `false` when it was before, or was changed meanwhile.
pub async fn evaluated(conn: &mut Conn, rule: &AlertRule, day: NaiveDate) -> Result<bool> {
    let noted = on_db!(conn, |c| query(
        "UPDATE alert_rules SET evaluated_on = $4
         WHERE workspace_id = $1 AND id = $2 AND version = $3
           AND (evaluated_on IS NULL OR evaluated_on < $4)",
    )
    .bind(rule.workspace_id)
    .bind(rule.id)
    .bind(rule.version)
    .bind(day)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(noted > 0)
}

/// Writes the settings of a rule, as a new version, when the stored one is still at the version
/// that `rule` was read at.
pub async fn update(conn: &mut Conn, rule: &AlertRule, now: DateTime<Utc>) -> Result<AlertRule> {
    let updated: Option<AlertRule> = on_db!(conn, |c| query_as(
        "UPDATE alert_rules
         SET name = $3, condition = $4, severity = $5, enabled = $6, cooldown_minutes = $7,
             version = version + 1, updated_at = $8
         WHERE workspace_id = $1 AND id = $2 AND version = $9
         RETURNING *",
    )
    .bind(rule.workspace_id)
    .bind(rule.id)
    .bind(&rule.name)
    .bind(&rule.condition)
    .bind(rule.severity)
    .bind(rule.enabled)
    .bind(rule.cooldown_minutes)
    .bind(now)
    .bind(rule.version)
    .fetch_optional(c)
    .await)
    .unique(NAME_TAKEN)?;
    updated.ok_or(Error::Changed("alert rule"))
}

/// Forgets a rule and the windows in which it is mute; its alerts stay.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: AlertRuleId) -> Result<()> {
    on_db!(conn, |c| query("DELETE FROM alert_rules WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .execute(c)
        .await
        .map(drop))?;
    Ok(())
}
