use super::{
    estimates::{Estimand, Estimate, Reason},
    intervals::{Z, count, student_t, wilson},
};

/// The bounds of a share.
pub(super) const UNIT: (f64, f64) = (0.0, 1.0);

/// A ratio of two sums over prompts, with the variance of its Taylor linearisation.
///
/// For prompt totals `x_i` and `y_i`: `R = Σx / Σy`, `z_i = (x_i − R·y_i) / ȳ` and
/// `V = Σz² / (k−1) / k`.
pub(super) struct Ratio {
    value: f64,
    variance: f64,
    base: f64,
    prompts: u32,
}

impl Ratio {
    /// Absent when the denominators sum to nothing.
    pub(super) fn of(mut pairs: Vec<(f64, f64)>) -> Option<Self> {
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let over: f64 = pairs.iter().map(|(x, _)| x).sum();
        let base: f64 = pairs.iter().map(|(_, y)| y).sum();
        if base <= 0.0 {
            return None;
        }
        let prompts = count(pairs.len());
        let k = f64::from(prompts);
        let value = over / base;
        let mean = base / k;
        let squares: f64 = pairs.iter().map(|(x, y)| ((x - value * y) / mean).powi(2)).sum();
        let variance = if prompts > 1 { squares / (k - 1.0) / k } else { 0.0 };
        Some(Self { value, variance, base, prompts })
    }

    /// A ratio of counts where the upper is part of the lower: Wilson's interval, as for a rate.
    pub(super) fn proportion(&self, answers: u64) -> Estimate {
        let mut estimate = self.described(self.base, UNIT, answers);
        if let Some((n_eff, t)) = estimate.n_eff.zip(self.quantile()) {
            let (low, high) = wilson(self.value, n_eff * (Z / t).powi(2));
            (estimate.low, estimate.high) = (Some(low), Some(high));
        }
        estimate
    }

    /// `R ± t·√V`, kept within `bounds`. Prompts that all agree leave `V` at 0, which says nothing
    /// of the next one: then Wilson's interval over `n_eff`, out of `n` observations.
    pub(super) fn bounded(&self, n: f64, bounds: (f64, f64), answers: u64) -> Estimate {
        let mut estimate = self.described(n, bounds, answers);
        let Some((n_eff, t)) = estimate.n_eff.zip(self.quantile()) else {
            estimate.reason = Some(Reason::SinglePrompt);
            return estimate;
        };
        let (low, high) = if self.variance > 0.0 {
            let half = t * self.variance.sqrt();
            ((self.value - half).max(bounds.0), (self.value + half).min(bounds.1))
        } else {
            let width = bounds.1 - bounds.0;
            let (low, high) = wilson((self.value - bounds.0) / width, n_eff * (Z / t).powi(2));
            (bounds.0 + low * width, bounds.0 + high * width)
        };
        (estimate.low, estimate.high) = (Some(low), Some(high));
        estimate
    }

    /// `R ± t·√V`, at least `floor`. The values have no upper bound to judge their spread by, so
    /// every prompt counts as one observation.
    pub(super) fn open(&self, floor: f64, answers: u64) -> Estimate {
        let k = f64::from(self.prompts);
        let mut estimate = Estimate {
            design_effect: Some((self.base / k).max(1.0)),
            n_eff: Some(k.min(self.base)),
            ..self.described(self.base, UNIT, answers)
        };
        match self.quantile() {
            Some(t) => {
                let half = t * self.variance.sqrt();
                estimate.low = Some((self.value - half).max(floor));
                estimate.high = Some(self.value + half);
            }
            None => estimate.reason = Some(Reason::SinglePrompt),
        }
        estimate
    }

    fn quantile(&self) -> Option<f64> {
        self.prompts.checked_sub(1).and_then(student_t)
    }

    fn described(&self, n: f64, bounds: (f64, f64), answers: u64) -> Estimate {
        let width = bounds.1 - bounds.0;
        let share = (self.value - bounds.0) / width;
        let binomial = share * (1.0 - share) / n;
        let most = (n / f64::from(self.prompts)).max(1.0);
        let design_effect = if binomial > 0.0 {
            (self.variance / (width * width) / binomial).clamp(1.0, most)
        } else {
            most
        };
        Estimate {
            value: Some(self.value),
            estimand: Estimand::Market,
            prompts: self.prompts,
            answers,
            design_effect: Some(design_effect),
            n_eff: Some(n / design_effect),
            reason: None,
            ..Estimate::absent(Reason::NoAnswers)
        }
    }
}
