//! Holds the rules on metrics against the windows that end with a day that is counted.
//!
//! **Invariant:** what chance explains raises no alert: the whole interval has to lie beyond the
//! limit, or on one side of no change, and few answers prove nothing.
//! **Invariant:** a rule is held against a day once, however often that is counted.

use crate::{
    App, Error, Result,
    ids::WorkspaceId,
    metrics::{self, Counts, Overview, Rate, Scope, Window},
    store::{
        alert_rules::{self, AlertRule, Comparison, Condition, Metric},
        alerts, workspaces,
    },
};
use aiv_analysis::{
    changes::{Change, benjamini_hochberg},
    metrics::Estimate,
};
use chrono::NaiveDate;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Fewer effective answers than this say nothing of a market.
const LEAST_EFFECTIVE: f64 = 20.0;
/// The share of changes told of a day that may be false.
const FALSE_CHANGES: f64 = 0.05;

/// What became of a rule.
struct Verdict {
    rule: AlertRule,
    holds: bool,
    /// How likely a change like this is by chance, where it is tested as one of many.
    p: Option<f64>,
    evidence: Value,
}

/// A window and the one before.
struct Windows {
    now: Counts,
    before: Counts,
    overview: Overview,
    overview_before: Overview,
}

/// Evaluates the workspace's rules on metrics for `day`, when that is the last complete one by its
/// clock: what is counted again later, or too late, is history.
pub(super) async fn evaluate(app: &App, workspace: WorkspaceId, day: NaiveDate) -> Result<()> {
    let now = app.clock.now();
    let mut conn = app.store.read().await?;
    let workspace = match workspaces::find(&mut conn, workspace).await {
        // Deleted meanwhile.
        Err(Error::NotFound(_)) => return Ok(()),
        found => found?,
    };
    if workspace.day(now).pred_opt() != Some(day) {
        return Ok(());
    }
    let rules = alert_rules::on_metrics(&mut conn, workspace.id, day).await?;
    let mut loaded: HashMap<(Option<String>, i64), Windows> = HashMap::new();
    let mut verdicts = Vec::new();
    for rule in rules {
        let Condition::Metric { engine, days, .. } = &rule.condition.0 else { continue };
        let key = (engine.clone(), *days);
        let windows = if let Some(windows) = loaded.remove(&key) {
            windows
        } else {
            let window = Window::last(u64::try_from(*days).unwrap_or(1), day);
            let scope = Scope { engine: engine.clone(), ..Scope::default() };
            let now = metrics::load(&mut conn, &workspace, window, &scope).await?;
            let before = metrics::load(&mut conn, &workspace, window.previous(), &scope).await?;
            let (overview, overview_before) = (now.overview(), before.overview());
            Windows { now, before, overview, overview_before }
        };
        verdicts.extend(windows.judge(rule));
        loaded.insert(key, windows);
    }
    drop(conn);
    if verdicts.is_empty() {
        return Ok(());
    }
    keep_discoveries(&mut verdicts);
    let mut tx = app.store.begin().await?;
    for Verdict { rule, holds, evidence, .. } in verdicts {
        if alert_rules::evaluated(&mut tx, &rule, day).await? && holds {
            alerts::raise(&mut tx, &rule, "metric", &rule.name, &evidence, now).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Of many changes that are looked at, some seem to be one by chance: those do not hold.
fn keep_discoveries(verdicts: &mut [Verdict]) {
    let tested: Vec<f64> = verdicts.iter().filter_map(|verdict| verdict.p).collect();
    let mut adjusted = benjamini_hochberg(&tested).into_iter();
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.p.is_some()) {
        let p = adjusted.next().unwrap_or(1.0);
        verdict.holds &= p <= FALSE_CHANGES;
        verdict.evidence["p_adjusted"] = json!(p);
    }
}

impl Windows {
    /// Whether the condition holds; `None` for a rule that waits for an event.
    fn judge(&self, rule: AlertRule) -> Option<Verdict> {
        let Condition::Metric { metric, brand, comparison, threshold, .. } = rule.condition.0
        else {
            return None;
        };
        let (now, before) = (number(&self.overview, &rule), number(&self.overview_before, &rule));
        let rate = match (metric, brand) {
            (Metric::AnswerRate, _) => Some(Rate::Answer),
            (Metric::MentionRate, Some(brand)) => Some(Rate::Mention(brand)),
            (Metric::FirstMentionRate, Some(brand)) => Some(Rate::FirstMention(brand)),
            (Metric::CitationRate, Some(brand)) => Some(Rate::Citation(brand)),
            _ => None,
        };
        let mut evidence = json!({
            "condition": rule.condition.0,
            "window": self.overview.window,
            "value": now.value, "low": now.low, "high": now.high, "n_eff": now.n_eff,
        });
        let (holds, p) = match comparison {
            Comparison::Below => (now.is_enough() && now.high < Some(threshold), None),
            Comparison::Above => (now.is_enough() && now.low > Some(threshold), None),
            Comparison::DropsBy | Comparison::RisesBy => {
                let falls = comparison == Comparison::DropsBy;
                evidence["window_before"] = json!(self.overview_before.window);
                evidence["value_before"] = json!(before.value);
                let enough = now.is_enough() && before.is_enough();
                match rate {
                    Some(rate) => {
                        let change = self.now.change(&self.before, rate);
                        evidence["change"] = json!(change);
                        (enough && moved(&change, falls, threshold), change.p_value)
                    }
                    None => (enough && apart(before, now, falls, threshold), None),
                }
            }
        };
        Some(Verdict { rule, holds, p, evidence })
    }
}

/// Whether a tested change goes that way, by so much, and not by chance.
fn moved(change: &Change, falls: bool, threshold: f64) -> bool {
    let (Some(difference), Some(low), Some(high)) = (change.difference, change.low, change.high)
    else {
        return false;
    };
    let certain = if falls { high < 0.0 } else { low > 0.0 };
    let by = if falls { -difference } else { difference };
    certain && by >= threshold && !change.provisional
}

/// The same of a number that is no share of answers: the intervals must not meet. It is stricter
/// than a test of the difference would be.
fn apart(before: Number, now: Number, falls: bool, threshold: f64) -> bool {
    let (lower, upper) = if falls { (now, before) } else { (before, now) };
    let (Some(high), Some(low), Some(from), Some(to)) =
        (lower.high, upper.low, lower.value, upper.value)
    else {
        return false;
    };
    high < low && to - from >= threshold
}

/// A metric of a window, and within which limits it lies.
#[derive(Debug, Clone, Copy, Default)]
struct Number {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    n_eff: Option<f64>,
}

impl Number {
    /// Whether it stands on enough to act on, and has an interval.
    fn is_enough(self) -> bool {
        self.low.is_some() && self.high.is_some() && self.n_eff >= Some(LEAST_EFFECTIVE)
    }
}

impl From<&Estimate> for Number {
    fn from(estimate: &Estimate) -> Self {
        let Estimate { value, low, high, n_eff, .. } = *estimate;
        Number { value, low, high, n_eff }
    }
}

/// The number that a rule looks at.
fn number(overview: &Overview, rule: &AlertRule) -> Number {
    let Condition::Metric { metric, brand, .. } = rule.condition.0 else {
        return Number::default();
    };
    let estimate = match metric {
        Metric::AnswerRate => Some(&overview.answer_rate),
        Metric::EngineCoverage => Some(&overview.engine_coverage),
        Metric::PromptCoverage => Some(&overview.prompt_coverage),
        Metric::CitationShare => Some(&overview.citation_share),
        Metric::VisibilityScore => {
            let score = &overview.visibility_score;
            // It has no interval of its own: a point, once there are answers enough to rank by it.
            let (value, n_eff) = (score.value, score.parts.n_eff);
            return Number { value, low: value, high: value, n_eff };
        }
        of_brand => {
            let found = overview.brands.iter().find(|found| Some(found.brand) == brand);
            found.map(|brand| match of_brand {
                Metric::ShareOfVoice => &brand.share_of_voice,
                Metric::FirstMentionRate => &brand.first_mention_rate,
                Metric::MeanReciprocalRank => &brand.mean_reciprocal_rank,
                Metric::AveragePosition => &brand.average_position,
                Metric::CitationRate => &brand.citation_rate,
                Metric::NetSentiment => &brand.net_sentiment,
                _ => &brand.mention_rate,
            })
        }
    };
    estimate.map(Number::from).unwrap_or_default()
}
