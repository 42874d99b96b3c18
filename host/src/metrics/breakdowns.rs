//! A brand by engine and by prompt.

use super::{Counts, Key, Slice, Totals};
use crate::{
    ids::{BrandId, PromptId},
    store::{daily_counts::PromptDay, prompts::PromptGroup},
};
use aiv_analysis::metrics::{Estimate, average_position, mean_reciprocal_rank, net_sentiment};
use serde::Serialize;
use std::collections::BTreeMap;

/// A brand at one engine.
#[derive(Debug, Clone, Serialize)]
pub struct AtEngine {
    pub engine: String,
    pub totals: Totals,
    /// Share of valid runs in which the engine showed an answer.
    pub answer_rate: Estimate,
    /// Own part of all citations that a reader sees.
    pub citation_share: Estimate,
    pub mention_rate: Estimate,
    pub share_of_voice: Estimate,
    pub first_mention_rate: Estimate,
    pub mean_reciprocal_rank: Estimate,
    /// Over the answers that name it only.
    pub average_position: Estimate,
    pub citation_rate: Estimate,
    pub net_sentiment: Estimate,
}

/// A brand at one prompt. One prompt says nothing of the market: its intervals are those of asking
/// it again.
#[derive(Debug, Clone)]
pub struct AtPrompt<'a> {
    pub prompt: &'a PromptGroup,
    pub totals: Totals,
    pub answer_rate: Estimate,
    pub mention_rate: Estimate,
    pub first_mention_rate: Estimate,
    pub citation_rate: Estimate,
}

impl Counts {
    /// A brand by engine, in the order of their keys; `None` for a brand that is not tracked.
    pub fn at_engines(&self, brand: BrandId) -> Option<Vec<AtEngine>> {
        let number = self.number(brand)?;
        let at = |(engine, slice): (&str, Slice<'_>)| AtEngine {
            engine: engine.to_owned(),
            totals: slice.totals(),
            answer_rate: slice.answer_rate(),
            citation_share: slice.citation_share(),
            mention_rate: slice.mention_rate(number),
            share_of_voice: slice.share_of_voice(number),
            first_mention_rate: slice.first_mention_rate(number),
            mean_reciprocal_rank: mean_reciprocal_rank(&slice.positions(number), slice.design()),
            average_position: average_position(&slice.positions(number), slice.design()),
            citation_rate: slice.citation_rate(number),
            net_sentiment: net_sentiment(&slice.sentiments(number), slice.design()),
        };
        Some(self.by_engine().into_iter().map(at).collect())
    }

    /// A brand at the prompts that have runs, in the order of their ids: those after `after`, at
    /// most `limit`. `None` for a brand that is not tracked.
    pub fn at_prompts(
        &self,
        brand: BrandId,
        after: Option<PromptId>,
        limit: usize,
    ) -> Option<Vec<AtPrompt<'_>>> {
        let number = self.number(brand)?;
        let mut by_prompt: BTreeMap<PromptId, Vec<&(Key, PromptDay)>> = BTreeMap::new();
        for row in self.prompts.iter().filter(|(key, _)| after.is_none_or(|id| key.prompt > id)) {
            by_prompt.entry(row.0.prompt).or_default().push(row);
        }
        let at = |(id, rows)| {
            let prompt = self.groups.get(&id)?;
            let slice = Slice { counts: self, rows };
            Some(AtPrompt {
                prompt,
                totals: slice.totals(),
                answer_rate: slice.answer_rate(),
                mention_rate: slice.mention_rate(number),
                first_mention_rate: slice.first_mention_rate(number),
                citation_rate: slice.citation_rate(number),
            })
        };
        Some(by_prompt.into_iter().take(limit).filter_map(at).collect())
    }

    fn number(&self, brand: BrandId) -> Option<i64> {
        self.brands.iter().find(|tracked| tracked.id == brand).map(|tracked| tracked.number)
    }
}
