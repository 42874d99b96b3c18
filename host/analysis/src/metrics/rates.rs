use serde::{Deserialize, Serialize};

use super::{
    estimates::{Design, Estimand, Estimate, Reason},
    intervals::{Z, count, real, student_t, wilson},
    ratios::Ratio,
};

/// Runs of one prompt, and how many of them show the event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PromptCounts {
    /// Runs that could show the event.
    pub runs: u32,
    /// Runs that do; never more than `runs` (the surplus is ignored).
    pub hits: u32,
}

impl PromptCounts {
    /// `hits` of `runs`.
    pub const fn new(runs: u32, hits: u32) -> Self {
        Self { runs, hits }
    }

    pub(crate) fn share(self) -> f64 {
        f64::from(self.hits.min(self.runs)) / f64::from(self.runs)
    }

    /// Unbiased variance of one run of this prompt; unknown from a single run.
    pub(crate) fn run_variance(self) -> Option<f64> {
        let p = self.share();
        (self.runs > 1).then(|| p * (1.0 - p) * f64::from(self.runs) / (f64::from(self.runs) - 1.0))
    }
}

/// Folds single runs `(prompt, hit)` into counts per prompt, prompts being numbered from 0.
pub fn tally(runs: impl IntoIterator<Item = (u32, bool)>) -> Vec<PromptCounts> {
    let mut prompts: Vec<PromptCounts> = Vec::new();
    for (prompt, hit) in runs {
        let prompt = prompt as usize;
        if prompt >= prompts.len() {
            prompts.resize(prompt + 1, PromptCounts::default());
        }
        prompts[prompt].runs += 1;
        prompts[prompt].hits += u32::from(hit);
    }
    prompts
}

/// Mention rate (visibility): per prompt, answered runs naming the brand / answered runs; then the
/// mean over prompts, so that reruns of one prompt cannot bend it.
pub fn mention_rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    rate(prompts, design)
}

/// Citation rate: per prompt, answered runs citing an own domain / answered runs; then the mean
/// over prompts.
pub fn citation_rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    rate(prompts, design)
}

/// First-mention rate: per prompt, answered runs naming the brand before every other tracked brand
/// / all answered runs; then the mean over prompts.
pub fn first_mention_rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    rate(prompts, design)
}

/// Answer rate: answered / (answered + no answer), over all runs of all prompts. `runs` counts
/// both, `hits` the answered ones. The interval is clustered by prompt.
pub fn answer_rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    let shares: Vec<_> = prompts
        .iter()
        .filter(|prompt| prompt.runs > 0)
        .map(|prompt| (f64::from(prompt.hits.min(prompt.runs)), f64::from(prompt.runs)))
        .collect();
    let answers = prompts.iter().map(|prompt| u64::from(prompt.runs)).sum();
    match Ratio::of(shares) {
        None => Estimate::absent(Reason::NoRuns),
        Some(_) if count_answered(prompts) == 1 => panel_rate(prompts, design).single_prompt(),
        Some(ratio) => ratio.proportion(answers).graded(design),
    }
}

/// The rate of an event among questions like these (market estimand), prompt-weighted.
///
/// With `p_i` the share of prompt `i`, `k` prompts and `n` runs: `p` is the mean of the `p_i`,
/// `V = s²(p_i) / k`, the design effect is `V / (p(1−p)/n)` kept within `1 … n/k` (`n/k` when `p`
/// is 0 or 1), `n_eff = n / deff`, and the interval is Wilson's over
/// `n* = n_eff · (1.96 / t(0.975, k−1))²`.
///
/// One prompt has no market interval: the panel's is given and the reason says so.
pub fn rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    let panel = Panel::of(prompts);
    let Some(t) = panel.prompts().checked_sub(1).and_then(student_t) else {
        return match panel.prompts() {
            0 => Estimate::absent(Reason::NoAnswers),
            _ => panel_rate(prompts, design).single_prompt(),
        };
    };
    let (n, k) = (real(panel.runs), f64::from(panel.prompts()));
    let p = panel.mean();
    let binomial = p * (1.0 - p) / n;
    let design_effect =
        if binomial > 0.0 { (panel.spread(p) / k / binomial).clamp(1.0, n / k) } else { n / k };
    let n_eff = n / design_effect;
    let (low, high) = wilson(p, n_eff * (Z / t).powi(2));
    Estimate {
        value: Some(p),
        low: Some(low),
        high: Some(high),
        estimand: Estimand::Market,
        prompts: panel.prompts(),
        answers: panel.runs,
        design_effect: Some(design_effect),
        n_eff: Some(n_eff),
        reason: None,
        ..Estimate::absent(Reason::NoAnswers)
    }
    .graded(design)
}

/// The rate of an event on these very prompts (panel estimand): only reruns vary.
///
/// The variance is `Σ p_i(1−p_i)/(m_i−1) / k²` for `m_i` runs of prompt `i`; a prompt with one run
/// borrows the mean run variance of the others. Where no rerun ever differed, that variance is 0
/// and Wilson's interval over all runs stands in for it.
pub fn panel_rate(prompts: &[PromptCounts], design: Design) -> Estimate {
    let panel = Panel::of(prompts);
    if panel.prompts() == 0 {
        return Estimate { estimand: Estimand::Panel, ..Estimate::absent(Reason::NoAnswers) };
    }
    let p = panel.mean();
    let n = real(panel.runs);
    let bare = Estimate {
        value: Some(p),
        estimand: Estimand::Panel,
        prompts: panel.prompts(),
        answers: panel.runs,
        ..Estimate::absent(Reason::SingleRun)
    };
    let Some(variance) = panel.rerun_variance() else {
        return bare.graded(design);
    };
    let (low, high) = if variance > 0.0 {
        let half = Z * variance.sqrt();
        ((p - half).max(0.0), (p + half).min(1.0))
    } else {
        wilson(p, n)
    };
    Estimate {
        low: Some(low),
        high: Some(high),
        design_effect: Some(1.0),
        n_eff: Some(n),
        reason: None,
        ..bare
    }
    .graded(design)
}

fn count_answered(prompts: &[PromptCounts]) -> u32 {
    count(prompts.iter().filter(|prompt| prompt.runs > 0).count())
}

impl Estimate {
    fn single_prompt(mut self) -> Self {
        self.reason = self.reason.or(Some(Reason::SinglePrompt));
        self
    }
}

/// Counts in a canonical order, equal ones together, so that the order of the input is lost.
struct Panel {
    groups: Vec<(PromptCounts, u32)>,
    runs: u64,
}

impl Panel {
    fn of(prompts: &[PromptCounts]) -> Self {
        let mut sorted: Vec<_> = prompts.iter().filter(|prompt| prompt.runs > 0).copied().collect();
        sorted.sort_unstable();
        let runs = sorted.iter().map(|prompt| u64::from(prompt.runs)).sum();
        let groups = sorted
            .chunk_by(PartialEq::eq)
            .filter_map(|group| Some((*group.first()?, count(group.len()))))
            .collect();
        Self { groups, runs }
    }

    fn prompts(&self) -> u32 {
        self.groups.iter().map(|(_, times)| times).sum()
    }

    fn mean(&self) -> f64 {
        self.sum(PromptCounts::share) / f64::from(self.prompts())
    }

    /// Sample variance of the shares.
    fn spread(&self, mean: f64) -> f64 {
        self.sum(|prompt| (prompt.share() - mean).powi(2)) / (f64::from(self.prompts()) - 1.0)
    }

    /// Variance of the mean when only reruns vary; unknown when no prompt ran twice.
    fn rerun_variance(&self) -> Option<f64> {
        let rerun = self.groups.iter().filter(|(prompt, _)| prompt.runs > 1);
        let rerun: u32 = rerun.map(|(_, times)| times).sum();
        if rerun == 0 {
            return None;
        }
        let pooled = self.sum(|prompt| prompt.run_variance().unwrap_or(0.0)) / f64::from(rerun);
        let k = f64::from(self.prompts());
        Some(
            self.sum(|prompt| prompt.run_variance().unwrap_or(pooled) / f64::from(prompt.runs))
                / (k * k),
        )
    }

    fn sum(&self, term: impl Fn(PromptCounts) -> f64) -> f64 {
        self.groups.iter().map(|(prompt, times)| term(*prompt) * f64::from(*times)).sum()
    }
}
