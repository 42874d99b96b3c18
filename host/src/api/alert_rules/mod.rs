use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, Tagged, etag, page,
    rules::Rules,
};
use crate::{
    App, Error, Result, Violation,
    ids::{AlertRuleId, BrandId, WorkspaceId},
    store::{
        Conn,
        alert_rules::{self, Comparison, Condition, Metric},
        audit_logs, brands, engines,
        events::EventType,
    },
};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

mod types;

pub(super) use self::types::Severity;
use self::types::{AlertCondition, AlertRule, AlertRulePatch, ConditionKind, NewAlertRule};

/// Rules of one workspace.
const MOST: i64 = 200;
/// The window of a rule that names none.
const DAYS: i64 = 7;

page! {
    /// A page of alert rules, oldest first.
    AlertRulePage of AlertRule
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Alerts")]
impl Api {
    /// Create an alert rule
    ///
    /// An `event` rule opens an alert when the event happens. What a `metric` rule looks at is
    /// checked against the workspace's brands and engines.
    #[oai(path = "/alert-rules", method = "post", operation_id = "create_alert_rule")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewAlertRule>,
    ) -> Result<Created<AlertRule>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let NewAlertRule { name, condition, severity, enabled, cooldown_minutes } = new.0;
        let condition = check(&mut tx, caller.workspace, Some(&name), condition).await?;
        let others = alert_rules::list(&mut tx, caller.workspace, None, MOST).await?;
        if i64::try_from(others.len()).unwrap_or(MOST) >= MOST {
            let detail = format!("a workspace has {MOST} alert rules at most: delete one first");
            return Err(Error::Conflict(detail).into());
        }
        let row = alert_rules::AlertRule {
            id: AlertRuleId::generate(),
            workspace_id: caller.workspace,
            name: name.trim().into(),
            condition: condition.into(),
            severity: severity.into(),
            enabled,
            cooldown_minutes,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        alert_rules::insert(&mut tx, &row).await?;
        audit_logs::note(&mut tx, &caller.actor(), "alert_rule.create", row.id, told(&row), now)
            .await?;
        let created = Created::new(format!("/v1/alert-rules/{}", row.id), &AlertRule::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the alert rules
    #[oai(path = "/alert-rules", method = "get", operation_id = "list_alert_rules")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AlertRulePage>, Problem> {
        let page =
            Paging::open(&self.0, &caller, "alert rules", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = alert_rules::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find an alert rule
    #[oai(path = "/alert-rules/:rule", method = "get", operation_id = "find_alert_rule")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the rule.
        rule: Path<Uuid>,
    ) -> Result<Tagged<AlertRule>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = alert_rules::find(&mut conn, caller.workspace, AlertRuleId(rule.0)).await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Update an alert rule
    #[oai(path = "/alert-rules/:rule", method = "patch", operation_id = "update_alert_rule")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the rule.
        rule: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<AlertRulePatch>,
    ) -> Result<Tagged<AlertRule>, Problem> {
        let now = self.0.clock.now();
        let AlertRulePatch { name, condition, severity, enabled, cooldown_minutes } = patch.0;
        let mut tx = self.0.store.begin().await?;
        let mut row = own(&mut tx, &caller, rule.0, if_match.0.as_deref()).await?;
        let mut rules = Rules::default();
        if let Some(name) = &name {
            rules.name("/name", name);
        }
        rules.check()?;
        if let Some(condition) = condition {
            row.condition = check(&mut tx, caller.workspace, None, condition).await?.into();
        }
        row.name = name.map_or(row.name, |name| name.trim().into());
        row.severity = severity.map_or(row.severity, Into::into);
        row.enabled = enabled.unwrap_or(row.enabled);
        row.cooldown_minutes = cooldown_minutes.unwrap_or(row.cooldown_minutes);
        let row = alert_rules::update(&mut tx, &row, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "alert_rule.update", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Delete an alert rule
    ///
    /// Its alerts stay; its mute windows go with it.
    #[oai(path = "/alert-rules/:rule", method = "delete", operation_id = "delete_alert_rule")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the rule.
        rule: Path<Uuid>,
        /// `ETag` of the version you mean to delete: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let row = own(&mut tx, &caller, rule.0, if_match.0.as_deref()).await?;
        alert_rules::delete(&mut tx, caller.workspace, row.id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "alert_rule.delete", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

async fn own(
    conn: &mut Conn,
    caller: &Caller,
    id: Uuid,
    if_match: Option<&str>,
) -> Result<alert_rules::AlertRule> {
    let row = alert_rules::find(conn, caller.workspace, AlertRuleId(id)).await?;
    match etag::expected(if_match, "alert rule")? {
        Some(version) if version != row.version => Err(Error::Changed("alert rule")),
        _ => Ok(row),
    }
}

/// What the audit log keeps of a rule.
fn told(row: &alert_rules::AlertRule) -> serde_json::Value {
    json!({
        "name": row.name,
        "condition": row.condition.0,
        "severity": row.severity,
        "enabled": row.enabled,
        "cooldown_minutes": row.cooldown_minutes,
    })
}

/// Events that tell of alerts open none: one would lead to the next.
const TELLS_OF_ALERTS: [EventType; 4] = [
    EventType::AlertTriggered,
    EventType::AlertAcknowledged,
    EventType::AlertResolved,
    EventType::WebhookTest,
];

/// The condition that breaks no rule and names what there is.
async fn check(
    conn: &mut Conn,
    workspace: WorkspaceId,
    name: Option<&str>,
    condition: AlertCondition,
) -> Result<Condition> {
    let mut rules = Rules::default();
    if let Some(name) = name {
        rules.name("/name", name);
    }
    let AlertCondition { kind, metric, brand_id, engine, days, comparison, threshold, event_type } =
        condition;
    let at = |field: &str| format!("/condition/{field}");
    let of_metrics = [
        ("metric", metric.is_some()),
        ("brand_id", brand_id.is_some()),
        ("engine", engine.is_some()),
        ("days", days.is_some()),
        ("comparison", comparison.is_some()),
        ("threshold", threshold.is_some()),
    ];
    match kind {
        ConditionKind::Event => {
            for (field, given) in of_metrics {
                rules.require(!given, at(field), "has no meaning in an `event` condition");
            }
            let fine = event_type.is_none_or(|name| !TELLS_OF_ALERTS.contains(&name.0));
            rules.require(fine, at("event_type"), "must not be an event that tells of alerts");
            rules.require(event_type.is_some(), at("event_type"), "is required");
            rules.check()?;
            let event_type = event_type.map(|name| name.0.as_str().to_owned());
            Ok(Condition::Event { event_type: event_type.unwrap_or_default() })
        }
        ConditionKind::Metric => {
            let unwanted = event_type.is_some();
            rules.require(!unwanted, at("event_type"), "has no meaning in a `metric` condition");
            let (Some(metric), Some(comparison), Some(threshold)) = (metric, comparison, threshold)
            else {
                for (field, given) in of_metrics {
                    let needed = ["metric", "comparison", "threshold"].contains(&field);
                    rules.require(given || !needed, at(field), "is required");
                }
                rules.check()?;
                // One of them is missing, which the rules have told.
                return Err(Error::invalid("/condition", "is not complete"));
            };
            let (metric, comparison) = (Metric::from(metric), Comparison::from(comparison));
            let brand = brand_id.map(BrandId);
            if metric.is_of_brand() {
                rules.require(brand.is_some(), at("brand_id"), "is required for this metric");
            } else {
                let detail = "has no meaning for this metric: it is one of the whole workspace";
                rules.require(brand.is_none(), at("brand_id"), detail);
            }
            let crosses = metric == Metric::EngineCoverage && engine.is_some();
            rules.require(!crosses, at("engine"), "has no meaning for a number over all engines");
            let days = days.unwrap_or(DAYS);
            let is_change = matches!(comparison, Comparison::DropsBy | Comparison::RisesBy);
            let detail = "must be 3 at least: a change is not told from the news of one day";
            rules.require(!is_change || days >= 3, at("days"), detail);
            rules.require(holds(metric, comparison, threshold), at("threshold"), &limits(metric));
            rules.check()?;
            exists(conn, workspace, brand, engine.as_deref()).await?;
            Ok(Condition::Metric { metric, brand, engine, days, comparison, threshold })
        }
    }
}

/// Whether the metric can ever be there, or change by so much.
fn holds(metric: Metric, comparison: Comparison, threshold: f64) -> bool {
    let (least, most) = metric.range();
    match comparison {
        Comparison::Below | Comparison::Above => (least..=most).contains(&threshold),
        Comparison::DropsBy | Comparison::RisesBy => threshold > 0.0 && threshold <= most - least,
    }
}

fn limits(metric: Metric) -> String {
    let (least, most) = metric.range();
    if most.is_finite() {
        format!("must lie between {least} and {most}, and a change must be more than 0")
    } else {
        format!("must be {least} at least, and a change must be more than 0")
    }
}

/// Refuses what names a brand or an engine that the workspace does not have.
async fn exists(
    conn: &mut Conn,
    workspace: WorkspaceId,
    brand: Option<BrandId>,
    engine: Option<&str>,
) -> Result<()> {
    let mut violations = vec![];
    if let Some(id) = brand
        && let Err(error) = brands::find(conn, workspace, id).await
    {
        let Error::NotFound(_) = error else { return Err(error) };
        let detail = format!("no brand has the id {id}");
        violations.push(Violation { pointer: "/condition/brand_id".into(), detail });
    }
    if let Some(key) = engine
        && let Err(error) = engines::find(conn, workspace, key).await
    {
        let Error::NotFound(_) = error else { return Err(error) };
        let detail = format!("no engine is called {key:?}");
        violations.push(Violation { pointer: "/condition/engine".into(), detail });
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}
