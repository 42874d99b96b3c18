//! A number as the API shows it: never without what is needed to judge it.

use super::types::Nullable;
use aiv_analysis::metrics::{self, Estimand, Grade, Reason, Shortfall};
use poem_openapi::{Enum, Object};

/// A number with what is needed to judge it.
#[derive(Object)]
#[oai(rename = "Estimate", skip_serializing_if_is_none)]
pub(super) struct EstimateView {
    /// The point estimate; `null` when there is nothing to divide by, and never 0 for that.
    value: Nullable<f64>,
    /// Lower end of the 95 % interval.
    low: Nullable<f64>,
    /// Upper end of the 95 % interval.
    high: Nullable<f64>,
    estimand: EstimandView,
    /// Prompts (or intents, where they are named) with at least one answer.
    prompts: u32,
    /// Answers behind the value, over all prompts.
    answers: u64,
    /// How many times the variance exceeds that of as many independent draws.
    design_effect: Option<f64>,
    /// Independent draws that would carry the same information.
    n_eff: Option<f64>,
    grade: GradeView,
    /// What keeps it from decision grade; empty when nothing does.
    shortfalls: Vec<ShortfallView>,
    /// Why there is no value, no interval, or another interval than the usual one.
    reason: Option<ReasonView>,
}

/// Mirrors an enum of the kernel, so that the document can name its values.
macro_rules! mirror {
    ($(#[$doc:meta])* $view:ident as $name:literal of $kernel:ident {
        $($(#[$case_doc:meta])* $case:ident),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename = $name, rename_all = "snake_case")]
        enum $view {
            $($(#[$case_doc])* $case),+
        }

        impl From<$kernel> for $view {
            fn from(value: $kernel) -> Self {
                match value {
                    $($kernel::$case => $view::$case),+
                }
            }
        }
    };
}

mirror! {
    /// The population that an interval speaks of. The two are never compared.
    EstimandView as "Estimand" of Estimand {
        /// Questions like these: prompts vary and runs vary.
        Market,
        /// These very prompts: only reruns vary.
        Panel,
        /// Everything there is was counted: nothing varies.
        Census,
    }
}

mirror! {
    /// How far a number can be trusted.
    GradeView as "Grade" of Grade {
        /// Fewer than 50 prompts, or fewer than 20 effective observations: look, do not conclude.
        Exploratory,
        /// Enough to see a direction.
        Directional,
        /// At most 5 points either side, from 50 prompts, 2 engines and 2 weeks or more.
        DecisionGrade,
    }
}

mirror! {
    /// A dimension in which a number falls short of decision grade.
    ShortfallView as "Shortfall" of Shortfall {
        Prompts,
        EffectiveSample,
        HalfWidth,
        Engines,
        Weeks,
    }
}

mirror! {
    /// Why a number lacks something.
    ReasonView as "Reason" of Reason {
        NoRuns,
        NoAnswers,
        NoMentions,
        NoCompetitors,
        NoCitations,
        NoEngines,
        SinglePrompt,
        SingleRun,
    }
}

impl From<metrics::Estimate> for EstimateView {
    fn from(estimate: metrics::Estimate) -> Self {
        let metrics::Estimate {
            value,
            low,
            high,
            estimand,
            prompts,
            answers,
            design_effect,
            n_eff,
            grade,
            shortfalls,
            reason,
        } = estimate;
        EstimateView {
            value: Nullable(value),
            low: Nullable(low),
            high: Nullable(high),
            estimand: estimand.into(),
            prompts,
            answers,
            design_effect,
            n_eff,
            grade: grade.into(),
            shortfalls: shortfalls.into_iter().map(Into::into).collect(),
            reason: reason.map(Into::into),
        }
    }
}
