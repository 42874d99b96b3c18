use serde::{Deserialize, Serialize};

use super::{
    estimates::{Design, Estimate, Reason},
    intervals::real,
    ratios::{Ratio, UNIT},
};

/// Ranks of the brand in the answers to one prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PositionCounts {
    /// Answered runs.
    pub answers: u32,
    /// Answers naming the brand.
    pub mentioned: u32,
    /// Sum of its ranks (1 = first) over the answers naming it.
    pub rank_sum: u64,
    /// Sum of 1 / rank over the answers naming it.
    pub reciprocal_sum: f64,
}

impl PositionCounts {
    /// Counts one answered run, with the rank of the brand if it is named.
    pub fn add(&mut self, rank: Option<u32>) {
        self.answers += 1;
        if let Some(rank) = rank {
            self.mentioned += 1;
            self.rank_sum += u64::from(rank);
            self.reciprocal_sum += 1.0 / f64::from(rank.max(1));
        }
    }
}

/// Mean reciprocal rank: 1 / rank, or 0 when the brand is absent, over **all** answered runs of a
/// prompt; then the mean over prompts. It lies between first-mention rate and mention rate.
pub fn mean_reciprocal_rank(prompts: &[PositionCounts], design: Design) -> Estimate {
    let answered = prompts.iter().filter(|prompt| prompt.answers > 0);
    let answers = answered.clone().map(|prompt| u64::from(prompt.answers)).sum();
    let means =
        answered.map(|prompt| ((prompt.reciprocal_sum / f64::from(prompt.answers)).min(1.0), 1.0));
    Ratio::of(means.collect()).map_or_else(
        || Estimate::absent(Reason::NoAnswers),
        |ratio| ratio.bounded(real(answers), UNIT, answers).graded(design),
    )
}

/// Average position: the mean rank over the answers naming the brand, and only those. `answers`
/// is their number: alone, this figure flatters brands that appear rarely.
pub fn average_position(prompts: &[PositionCounts], design: Design) -> Estimate {
    let named = prompts.iter().filter(|prompt| prompt.mentioned > 0);
    let answers = named.clone().map(|prompt| u64::from(prompt.mentioned)).sum();
    let sums = named.map(|prompt| (real(prompt.rank_sum), f64::from(prompt.mentioned)));
    Ratio::of(sums.collect()).map_or_else(
        || Estimate::absent(Reason::NoMentions),
        |ratio| ratio.open(1.0, answers).graded(design),
    )
}
