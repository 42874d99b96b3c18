//! Whether a rate changed between two windows: the same prompts, asked of the same engines.

use super::{Cluster, Counts, Key, narrow};
use crate::{
    ids::{BrandId, PromptId},
    store::daily_counts::PromptDay,
};
use aiv_analysis::{
    changes::{Change, PairedPrompt, change},
    metrics::PromptCounts,
};
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashSet};

/// A share of runs or answers, prompt by prompt: what a change can be tested of.
#[derive(Debug, Clone, Copy)]
pub enum Rate {
    Answer,
    Mention(BrandId),
    FirstMention(BrandId),
    Citation(BrandId),
}

/// What is asked of whom; only what both windows have is compared.
type Asked<'a> = HashSet<(PromptId, &'a str)>;

impl Counts {
    /// What changed since `before`. Prompts and engines that only one window has are left out.
    pub fn change(&self, before: &Counts, rate: Rate) -> Change {
        let (mine, theirs) = (self.asked(rate), before.asked(rate));
        let both: Asked<'_> = mine.intersection(&theirs).copied().collect();
        let ((after, after_days), (before, before_days)) =
            (self.tally(rate, &both), before.tally(rate, &both));
        let pairs: Vec<PairedPrompt> = before
            .iter()
            .filter_map(|(cluster, before)| {
                let (before, after) = (*before, *after.get(cluster)?);
                Some(PairedPrompt { before, after })
            })
            .collect();
        change(&pairs, &before_days, &after_days)
    }

    fn asked(&self, rate: Rate) -> Asked<'_> {
        let ran = self.prompts.iter().filter(|(key, day)| self.runs(rate, key, day).runs > 0);
        ran.map(|(key, _)| (key.prompt, self.engines[key.engine].as_str())).collect()
    }

    /// Runs and hits by cluster, and the rate of each day.
    fn tally(&self, rate: Rate, asked: &Asked<'_>) -> (BTreeMap<Cluster, PromptCounts>, Vec<f64>) {
        let mut clusters: BTreeMap<Cluster, PromptCounts> = BTreeMap::new();
        let mut days: BTreeMap<NaiveDate, BTreeMap<Cluster, PromptCounts>> = BTreeMap::new();
        for (key, day) in &self.prompts {
            if !asked.contains(&(key.prompt, self.engines[key.engine].as_str())) {
                continue;
            }
            let counts = self.runs(rate, key, day);
            if counts.runs == 0 {
                continue;
            }
            let of_day = days.entry(key.day).or_default();
            for clusters in [&mut clusters, of_day] {
                let sum = clusters.entry(key.cluster).or_default();
                sum.runs += counts.runs;
                sum.hits += counts.hits;
            }
        }
        let days = days.into_values().map(|clusters| {
            let shares = clusters.values().map(|c| f64::from(c.hits) / f64::from(c.runs));
            shares.sum::<f64>() / f64::from(super::small(clusters.len()))
        });
        (clusters, days.collect())
    }

    fn runs(&self, rate: Rate, key: &Key, day: &PromptDay) -> PromptCounts {
        let of = |brand: BrandId| {
            let tracked = self.brands.iter().find(|tracked| tracked.id == brand);
            let days = tracked.and_then(|tracked| self.by_brand.get(&tracked.number));
            days.and_then(|days| days.get(key)).copied().unwrap_or_default()
        };
        let (runs, hits) = match rate {
            Rate::Answer => (day.answered + day.no_answer, day.answered),
            Rate::Mention(brand) => (day.answered, of(brand).named),
            Rate::FirstMention(brand) => (day.answered, of(brand).first),
            Rate::Citation(brand) => (day.answered, of(brand).cited),
        };
        PromptCounts { runs: narrow(runs), hits: narrow(hits) }
    }
}
