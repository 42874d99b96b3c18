use serde::{Deserialize, Serialize};

use super::{
    estimates::{Design, Estimate, Reason},
    intervals::real,
    ratios::{Ratio, UNIT},
};

/// Mentions in the answers to one non-brand prompt, each brand at most once per answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceCounts {
    /// Answered runs.
    pub answers: u32,
    /// Answers naming the brand.
    pub brand: u32,
    /// Sum over all tracked brands, this one included, of the answers naming it.
    pub tracked: u32,
}

/// Share of voice: answers naming the brand / the sum over tracked brands of answers naming them,
/// each brand at most once per answer, over non-brand prompts.
///
/// A ratio of two sums with the variance of its Taylor linearisation, clustered by prompt.
/// `tracked_brands` counts the brands in the denominator; with fewer than two there is no share.
pub fn share_of_voice(prompts: &[VoiceCounts], tracked_brands: u32, design: Design) -> Estimate {
    if tracked_brands < 2 {
        return Estimate::absent(Reason::NoCompetitors);
    }
    let answered = prompts.iter().filter(|prompt| prompt.answers > 0);
    let answers = answered.clone().map(|prompt| u64::from(prompt.answers)).sum();
    if answers == 0 {
        return Estimate::absent(Reason::NoAnswers);
    }
    let parts = answered.map(|prompt| (prompt.brand.min(prompt.tracked), prompt.tracked));
    share(parts, answers, Reason::NoMentions, design)
}

/// Parts and wholes of one prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareCounts {
    /// Answered runs.
    pub answers: u32,
    /// Items that have the property.
    pub part: u32,
    /// All items.
    pub whole: u32,
}

/// Citation share: own-domain citations / all citations, over all answers.
///
/// A surface whose whole source list is visible counts listed citations too; elsewhere only those
/// referenced in the text count. The caller counts accordingly.
pub fn citation_share(prompts: &[ShareCounts], design: Design) -> Estimate {
    let answered = prompts.iter().filter(|prompt| prompt.answers > 0);
    let answers = answered.clone().map(|prompt| u64::from(prompt.answers)).sum();
    if answers == 0 {
        return Estimate::absent(Reason::NoAnswers);
    }
    let parts = answered.map(|prompt| (prompt.part.min(prompt.whole), prompt.whole));
    share(parts, answers, Reason::NoCitations, design)
}

fn share(
    parts: impl Iterator<Item = (u32, u32)>,
    answers: u64,
    empty: Reason,
    design: Design,
) -> Estimate {
    let pairs: Vec<_> = parts.map(|(part, whole)| (f64::from(part), f64::from(whole))).collect();
    let items = pairs.iter().map(|(_, whole)| whole).sum();
    Ratio::of(pairs).map_or_else(
        || Estimate::absent(empty),
        |ratio| ratio.bounded(items, UNIT, answers).graded(design),
    )
}

/// Judged sentences naming the brand in the answers to one prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentimentCounts {
    /// Sentences that speak well of it.
    pub positive: u32,
    /// Sentences that do neither.
    pub neutral: u32,
    /// Sentences that speak ill of it.
    pub negative: u32,
}

impl SentimentCounts {
    /// All judged sentences.
    pub fn sentences(self) -> u32 {
        self.positive + self.neutral + self.negative
    }
}

/// Net sentiment: (positive − negative) / (positive + neutral + negative) over sentences naming
/// the brand, from −1 to 1. `answers` of the result counts sentences.
pub fn net_sentiment(prompts: &[SentimentCounts], design: Design) -> Estimate {
    let judged = prompts.iter().filter(|prompt| prompt.sentences() > 0);
    let sentences = judged.clone().map(|prompt| u64::from(prompt.sentences())).sum();
    let pairs = judged.map(|prompt| {
        let net = f64::from(prompt.positive) - f64::from(prompt.negative);
        (net, f64::from(prompt.sentences()))
    });
    Ratio::of(pairs.collect()).map_or_else(
        || Estimate::absent(Reason::NoMentions),
        |ratio| ratio.bounded(real(sentences), (-1.0, 1.0), sentences).graded(design),
    )
}
