//! The metric kernel: counts in, estimates out.
//!
//! A number has one formula, and it lives here. Everything is a closed form over counts, so the
//! same counts always give the same bits, whatever order they come in.
//!
//! **Invariant:** prompts are the unit of sampling. Runs of one prompt resemble each other, so no
//! interval here treats runs as independent draws.
//!
//! **Invariant:** an empty denominator gives no value and a reason, never 0.

mod coverage;
mod estimates;
mod ghosts;
mod grades;
mod intervals;
mod positions;
mod rates;
mod ratios;
mod scores;
mod shares;

pub use coverage::{engine_coverage, prompt_coverage};
pub use estimates::{Design, Estimand, Estimate, Reason};
pub use ghosts::{GhostCounts, Quadrant};
pub use grades::{Grade, Shortfall};
pub(crate) use intervals::count;
pub use intervals::{Z, student_t, wilson};
pub use positions::{PositionCounts, average_position, mean_reciprocal_rank};
pub use rates::{
    PromptCounts, answer_rate, citation_rate, first_mention_rate, mention_rate, panel_rate, rate,
    tally,
};
pub use scores::{EngineParts, VisibilityScore, visibility_score};
pub use shares::{
    SentimentCounts, ShareCounts, VoiceCounts, citation_share, net_sentiment, share_of_voice,
};

#[cfg(test)]
mod tests;
