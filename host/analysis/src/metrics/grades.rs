use serde::{Deserialize, Serialize};

use super::estimates::{Design, Estimate};

const MIN_PROMPTS: u32 = 50;
const MIN_N_EFF: f64 = 20.0;
const MAX_HALF_WIDTH: f64 = 0.05;
const MIN_ENGINES: u32 = 2;
const MIN_DAYS: u32 = 14;

/// How far a number can be trusted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Fewer than 50 prompts, or fewer than 20 effective observations: look, do not conclude.
    #[default]
    Exploratory,
    /// Enough to see a direction.
    Directional,
    /// Half-width of at most 5 points, at least 50 prompts, 2 engines and 2 weeks.
    DecisionGrade,
}

/// A dimension in which a number falls short of decision grade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// Fewer than 50 prompts.
    Prompts,
    /// Fewer than 20 effective observations.
    EffectiveSample,
    /// The interval is wider than 5 points either side.
    HalfWidth,
    /// Fewer than 2 engines.
    Engines,
    /// Fewer than 2 weeks (14 days).
    Weeks,
}

pub(super) fn grade(estimate: &Estimate, design: Design) -> (Grade, Vec<Shortfall>) {
    let checks = [
        (Shortfall::Prompts, estimate.prompts >= MIN_PROMPTS),
        (Shortfall::EffectiveSample, estimate.n_eff.is_some_and(|n| n >= MIN_N_EFF)),
        (Shortfall::HalfWidth, estimate.half_width().is_some_and(|w| w <= MAX_HALF_WIDTH)),
        (Shortfall::Engines, design.engines >= MIN_ENGINES),
        (Shortfall::Weeks, design.days >= MIN_DAYS),
    ];
    let shortfalls: Vec<_> =
        checks.iter().filter(|(_, holds)| !holds).map(|(shortfall, _)| *shortfall).collect();
    let exploratory = shortfalls.contains(&Shortfall::Prompts)
        || shortfalls.contains(&Shortfall::EffectiveSample);
    let grade = match (exploratory, shortfalls.is_empty()) {
        (true, _) => Grade::Exploratory,
        (false, false) => Grade::Directional,
        (false, true) => Grade::DecisionGrade,
    };
    (grade, shortfalls)
}
