use serde::{Deserialize, Serialize};

const MENTION_WEIGHT: f64 = 0.5;
const RANK_WEIGHT: f64 = 0.2;
const CITATION_WEIGHT: f64 = 0.2;
const SENTIMENT_WEIGHT: f64 = 0.1;
const MIN_N_EFF: f64 = 20.0;

/// What one engine contributes to the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineParts {
    /// Mention rate on this engine.
    pub mention_rate: Option<f64>,
    /// Mean reciprocal rank on this engine.
    pub mean_reciprocal_rank: Option<f64>,
    /// Citation rate on this engine.
    pub citation_rate: Option<f64>,
    /// Net sentiment on this engine, −1 to 1.
    pub net_sentiment: Option<f64>,
    /// Effective observations behind the mention rate.
    pub n_eff: Option<f64>,
}

/// One number from 0 to 100, never shown without its parts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VisibilityScore {
    /// The weighted sum; absent when no engine answered.
    pub value: Option<f64>,
    /// The macro-averages over engines that have the part, and the sum of their `n_eff`.
    pub parts: EngineParts,
    /// Engines with a mention rate.
    pub engines: u32,
    /// Whether brands may be ordered by it (`n_eff` of at least 20).
    pub rankable: bool,
}

/// Visibility score: 100 × (0.5 mention rate + 0.2 mean reciprocal rank + 0.2 citation rate +
/// 0.1 (net sentiment + 1) / 2), every part first averaged over engines, each engine alike.
///
/// A part that no engine has (no judged sentence, say) leaves the sum and its weight goes to the
/// others in proportion: a brand that is never named scores 0, not half of the sentiment weight.
pub fn visibility_score(engines: &[EngineParts]) -> VisibilityScore {
    let parts = EngineParts {
        mention_rate: mean(engines, |engine| engine.mention_rate),
        mean_reciprocal_rank: mean(engines, |engine| engine.mean_reciprocal_rank),
        citation_rate: mean(engines, |engine| engine.citation_rate),
        net_sentiment: mean(engines, |engine| engine.net_sentiment),
        n_eff: total(sorted(engines, |engine| engine.n_eff)),
    };
    let weighted = [
        (MENTION_WEIGHT, parts.mention_rate),
        (RANK_WEIGHT, parts.mean_reciprocal_rank),
        (CITATION_WEIGHT, parts.citation_rate),
        (SENTIMENT_WEIGHT, parts.net_sentiment.map(|net| f64::midpoint(net, 1.0))),
    ];
    let known = weighted.iter().filter_map(|(weight, part)| Some((*weight, (*part)?)));
    let weights: f64 = known.clone().map(|(weight, _)| weight).sum();
    let sum: f64 = known.map(|(weight, part)| weight * part).sum();
    let engines = engines.iter().filter(|engine| engine.mention_rate.is_some()).count();
    VisibilityScore {
        value: parts.mention_rate.map(|_| (100.0 * sum / weights).clamp(0.0, 100.0)),
        parts,
        engines: super::intervals::count(engines),
        rankable: parts.n_eff.is_some_and(|n| n >= MIN_N_EFF),
    }
}

fn mean(engines: &[EngineParts], part: fn(&EngineParts) -> Option<f64>) -> Option<f64> {
    let values = sorted(engines, part);
    let n = f64::from(super::intervals::count(values.len()));
    total(values).map(|sum| sum / n)
}

/// Sorted, so that the order of engines cannot move the last bit.
fn sorted(engines: &[EngineParts], part: fn(&EngineParts) -> Option<f64>) -> Vec<f64> {
    let mut values: Vec<_> = engines.iter().filter_map(part).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn total(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.into_iter().sum())
}
