//! What the API says of alert rules.

use crate::{
    api::{
        event_name::EventName,
        types::{Timestamp, mirrored},
    },
    ids::BrandId,
    store::alert_rules::{self, Condition},
};
use poem_openapi::{Enum, Object};
use uuid::Uuid;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(in crate::api) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AlertConditionKind", rename_all = "snake_case")]
pub(super) enum ConditionKind {
    /// A number of the metrics overview, held against a limit.
    Metric,
    /// Something that happens.
    Event,
}

/// How a number is held against the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AlertComparison", rename_all = "snake_case")]
pub(super) enum Comparison {
    Below,
    Above,
    /// Lower than in the window before, by at least the threshold.
    DropsBy,
    /// Higher than in the window before, by at least the threshold.
    RisesBy,
}

/// A number of the metrics overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AlertMetric", rename_all = "snake_case")]
pub(super) enum Metric {
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

/// What has to hold. A `metric` condition needs `metric`, `comparison` and `threshold`; an `event`
/// condition needs `event_type`.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AlertCondition {
    pub(super) kind: ConditionKind,
    /// The number to look at.
    pub(super) metric: Option<Metric>,
    /// Whose number, for those of one brand: `mention_rate` and the ones that follow it.
    pub(super) brand_id: Option<Uuid>,
    /// Only at this engine.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub(super) engine: Option<String>,
    /// Days of the window; 7 when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "90")))]
    pub(super) days: Option<i64>,
    pub(super) comparison: Option<Comparison>,
    /// In the unit of the number: shares from 0 to 1, the score from 0 to 100.
    pub(super) threshold: Option<f64>,
    /// What has to happen.
    pub(super) event_type: Option<EventName>,
}

/// When the workspace wants to be alerted.
#[derive(Object)]
pub(super) struct AlertRule {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) condition: AlertCondition,
    pub(super) severity: Severity,
    pub(super) enabled: bool,
    /// After an alert is resolved, the same one is quiet for so long.
    pub(super) cooldown_minutes: i64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// A rule to make.
#[derive(Object)]
pub(super) struct NewAlertRule {
    /// Unique in the workspace.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) name: String,
    pub(super) condition: AlertCondition,
    #[oai(default = "medium")]
    pub(super) severity: Severity,
    #[oai(default = "yes")]
    pub(super) enabled: bool,
    /// After an alert is resolved, the same one is quiet for so long.
    #[oai(default = "an_hour", validator(minimum(value = "0"), maximum(value = "43200")))]
    pub(super) cooldown_minutes: i64,
}

fn medium() -> Severity {
    Severity::Medium
}

fn yes() -> bool {
    true
}

fn an_hour() -> i64 {
    60
}

/// What to change of a rule; fields that are absent stay.
#[derive(Object)]
pub(super) struct AlertRulePatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) name: Option<String>,
    /// Replaces all of it.
    pub(super) condition: Option<AlertCondition>,
    pub(super) severity: Option<Severity>,
    pub(super) enabled: Option<bool>,
    /// After an alert is resolved, the same one is quiet for so long.
    #[oai(validator(minimum(value = "0"), maximum(value = "43200")))]
    pub(super) cooldown_minutes: Option<i64>,
}

mirrored!(Severity, alert_rules::Severity, Low, Medium, High, Critical);
mirrored!(Comparison, alert_rules::Comparison, Below, Above, DropsBy, RisesBy);
mirrored!(
    Metric,
    alert_rules::Metric,
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
    NetSentiment
);

impl From<Condition> for AlertCondition {
    fn from(condition: Condition) -> Self {
        let nothing = AlertCondition {
            kind: ConditionKind::Metric,
            metric: None,
            brand_id: None,
            engine: None,
            days: None,
            comparison: None,
            threshold: None,
            event_type: None,
        };
        match condition {
            Condition::Metric { metric, brand, engine, days, comparison, threshold } => {
                AlertCondition {
                    metric: Some(metric.into()),
                    brand_id: brand.map(|BrandId(id)| id),
                    engine,
                    days: Some(days),
                    comparison: Some(comparison.into()),
                    threshold: Some(threshold),
                    ..nothing
                }
            }
            Condition::Event { event_type } => AlertCondition {
                kind: ConditionKind::Event,
                event_type: EventName::parse(&event_type),
                ..nothing
            },
        }
    }
}

impl From<alert_rules::AlertRule> for AlertRule {
    fn from(row: alert_rules::AlertRule) -> Self {
        let alert_rules::AlertRule {
            id,
            workspace_id: _,
            name,
            condition,
            severity,
            enabled,
            cooldown_minutes,
            version: _,
            created_at,
            updated_at,
        } = row;
        AlertRule {
            id: id.0,
            name,
            condition: condition.0.into(),
            severity: severity.into(),
            enabled,
            cooldown_minutes,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
