//! Did it change? The same prompts before and after, asked of the same instrument.
//!
//! Pairing by prompt removes what prompts have in common; the variance between days, which reruns
//! on one day do not show, is added back, since without it every busy news day is an alarm.

mod false_discovery;
mod permutation;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

pub use false_discovery::benjamini_hochberg;
use permutation::sign_flip;

use crate::metrics::{PromptCounts, Reason, count, student_t};

/// Fewer days than this in a window leave the day variance a guess.
const MIN_DAYS: usize = 3;

/// Standard errors between no effect and one found four times in five (1.96 + 0.84).
const DETECTABLE: f64 = 2.8;

/// One prompt in both windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedPrompt {
    /// Its runs and hits before.
    pub before: PromptCounts,
    /// Its runs and hits after.
    pub after: PromptCounts,
}

/// The difference between two windows, and how sure it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The mean over prompts of their rates before.
    pub before: Option<f64>,
    /// The mean over prompts of their rates after.
    pub after: Option<f64>,
    /// After − before.
    pub difference: Option<f64>,
    /// Lower end of the 95 % interval of the difference.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval of the difference.
    pub high: Option<f64>,
    /// Its standard error, day variance included.
    pub standard_error: Option<f64>,
    /// Variance of the rate between days beyond what reruns explain.
    pub day_variance: f64,
    /// Difference / standard error; absent when every prompt moved alike.
    pub t: Option<f64>,
    /// Two-sided, from Student's t with `prompts` − 1 degrees of freedom.
    pub p_value: Option<f64>,
    /// Two-sided, from flipping the signs of the prompts' differences.
    pub permutation_p: Option<f64>,
    /// The smallest difference such a comparison finds four times in five.
    pub minimum_detectable: Option<f64>,
    /// Prompts with answers in both windows.
    pub prompts: u32,
    /// Fewer than three days in a window: wait before acting on it.
    pub provisional: bool,
    /// Why something is missing.
    pub reason: Option<Reason>,
}

/// Compares two windows of the same prompts on the same instrument.
///
/// With `d_i` the difference of prompt `i` over `k` prompts:
/// `SE² = s²(d) / k + σ²_day · (1/D_before + 1/D_after)`, where `σ²_day` is the mean over both
/// windows of the variance of the daily rates less the rerun noise expected in it, at least 0.
/// `daily_before` and `daily_after` hold the rate of each day.
pub fn change(prompts: &[PairedPrompt], daily_before: &[f64], daily_after: &[f64]) -> Change {
    let mut paired: Vec<_> =
        prompts.iter().filter(|prompt| prompt.before.runs > 0 && prompt.after.runs > 0).collect();
    paired.sort_unstable_by_key(|prompt| (prompt.before, prompt.after));
    let provisional = daily_before.len() < MIN_DAYS || daily_after.len() < MIN_DAYS;
    let prompts = count(paired.len());
    if paired.is_empty() {
        return Change { provisional, reason: Some(Reason::NoAnswers), ..Change::default() };
    }
    let k = f64::from(prompts);
    let before: Vec<_> = paired.iter().map(|prompt| prompt.before).collect();
    let after: Vec<_> = paired.iter().map(|prompt| prompt.after).collect();
    let differences: Vec<_> =
        paired.iter().map(|prompt| prompt.after.share() - prompt.before.share()).collect();
    let difference = mean(&differences).unwrap_or_default();
    let day_variance = day_variance([(&before, daily_before), (&after, daily_after)]);
    let known = Change {
        before: mean(&shares(&before)),
        after: mean(&shares(&after)),
        difference: Some(difference),
        day_variance,
        permutation_p: Some(sign_flip(&differences)),
        prompts,
        provisional,
        ..Change::default()
    };
    let (Some(spread), Some(quantile)) = (variance(&differences), student_t(prompts - 1)) else {
        return Change { reason: Some(Reason::SinglePrompt), ..known };
    };
    let days = [daily_before, daily_after].map(|daily| 1.0 / f64::from(count(daily.len().max(1))));
    let standard_error = (spread / k + day_variance * (days[0] + days[1])).sqrt();
    let t = (standard_error > 0.0).then(|| difference / standard_error);
    Change {
        low: Some((difference - quantile * standard_error).max(-1.0)),
        high: Some((difference + quantile * standard_error).min(1.0)),
        standard_error: Some(standard_error),
        t,
        p_value: t.map_or(known.permutation_p, |t| two_sided(t, prompts - 1)),
        minimum_detectable: Some(DETECTABLE * standard_error),
        ..known
    }
}

/// `σ²_day`: what varies between days and is no rerun noise, averaged over the windows.
fn day_variance(windows: [(&[PromptCounts], &[f64]); 2]) -> f64 {
    let beyond: Vec<_> = windows
        .iter()
        .filter_map(|(prompts, daily)| Some(variance(daily)? - rerun_noise(prompts, daily.len())))
        .collect();
    mean(&beyond).unwrap_or_default().max(0.0)
}

/// The variance that reruns alone give a daily rate: `Σ var_i / k²`, `var_i` being that of the
/// mean of prompt `i` on one of `days` days.
fn rerun_noise(prompts: &[PromptCounts], days: usize) -> f64 {
    let known: Vec<_> = prompts.iter().filter_map(|prompt| prompt.run_variance()).collect();
    let pooled = mean(&known).unwrap_or_default();
    let days = f64::from(count(days));
    let k = f64::from(count(prompts.len()));
    let daily = |prompt: &PromptCounts| {
        prompt.run_variance().unwrap_or(pooled) * days / f64::from(prompt.runs)
    };
    prompts.iter().map(daily).sum::<f64>() / (k * k)
}

fn shares(prompts: &[PromptCounts]) -> Vec<f64> {
    prompts.iter().map(|prompt| prompt.share()).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / f64::from(count(values.len())))
}

/// Sample variance; absent for fewer than two values.
fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| squares / f64::from(count(values.len() - 1)))
}

fn two_sided(t: f64, degrees: u32) -> Option<f64> {
    let student = StudentsT::new(0.0, 1.0, f64::from(degrees)).ok()?;
    Some((2.0 * student.sf(t.abs())).min(1.0))
}

#[cfg(test)]
mod tests;
