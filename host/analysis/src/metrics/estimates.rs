use serde::{Deserialize, Serialize};

use super::grades::{Grade, Shortfall, grade};

/// A number with what is needed to judge it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate; absent when there is nothing to divide by.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// What the interval speaks of.
    pub estimand: Estimand,
    /// Prompts with at least one answer (the clusters).
    pub prompts: u32,
    /// Answers behind the value, over all prompts.
    pub answers: u64,
    /// How many times the variance exceeds that of as many independent draws.
    pub design_effect: Option<f64>,
    /// Independent draws that would carry the same information.
    pub n_eff: Option<f64>,
    /// How far the number can be trusted.
    pub grade: Grade,
    /// What keeps it from decision grade; empty when nothing does.
    pub shortfalls: Vec<Shortfall>,
    /// Why there is no value, no interval, or another interval than the usual one.
    pub reason: Option<Reason>,
}

/// The population an interval speaks of. The two are never mixed in one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimand {
    /// Questions like these: prompts vary and runs vary.
    Market,
    /// These very prompts: only reruns vary.
    Panel,
    /// Everything there is was counted: nothing varies.
    Census,
}

/// Why an estimate lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No valid run in the window.
    NoRuns,
    /// No answered run in the window.
    NoAnswers,
    /// The brand, or any tracked brand, is never named.
    NoMentions,
    /// A share needs somebody to share with.
    NoCompetitors,
    /// No citation in the window.
    NoCitations,
    /// No engine answered in the window.
    NoEngines,
    /// One prompt says nothing about the market: the interval is that of the panel.
    SinglePrompt,
    /// No prompt ran twice, so rerun noise is unknown and there is no interval.
    SingleRun,
}

/// The breadth of the measurement, which the counts alone do not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Design {
    /// Engines that answered in the window.
    pub engines: u32,
    /// Distinct days with an answered run in the window.
    pub days: u32,
}

impl Estimate {
    /// Nothing to report, and why.
    pub fn absent(reason: Reason) -> Self {
        Self {
            value: None,
            low: None,
            high: None,
            estimand: Estimand::Market,
            prompts: 0,
            answers: 0,
            design_effect: None,
            n_eff: None,
            grade: Grade::Exploratory,
            shortfalls: vec![Shortfall::Prompts],
            reason: Some(reason),
        }
    }

    /// Half the width of the interval.
    pub fn half_width(&self) -> Option<f64> {
        Some((self.high? - self.low?) / 2.0)
    }

    /// Fills in grade and shortfalls, and makes sure that the interval holds its value.
    pub(super) fn graded(mut self, design: Design) -> Self {
        if let (Some(value), Some(low), Some(high)) = (self.value, self.low, self.high) {
            // Rounding in the last bit must not put the value outside.
            self.low = Some(low.min(value));
            self.high = Some(high.max(value));
        }
        (self.grade, self.shortfalls) = grade(&self, design);
        self
    }
}
