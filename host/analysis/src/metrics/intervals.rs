use statrs::distribution::{ContinuousCDF, StudentsT};

/// The 97.5 % quantile of the normal distribution ("1.96"), behind every 95 % interval.
pub const Z: f64 = 1.959_963_984_540_054;

/// Wilson's 95 % interval for a proportion `p` seen in `n` (not necessarily whole) draws.
pub fn wilson(p: f64, n: f64) -> (f64, f64) {
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    let z2 = Z * Z;
    let scale = 1.0 + z2 / n;
    let centre = (p + z2 / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - half).clamp(0.0, 1.0), (centre + half).clamp(0.0, 1.0))
}

/// The two-sided 95 % quantile of Student's t; absent without a degree of freedom.
pub fn student_t(degrees: u32) -> Option<f64> {
    if degrees == 0 {
        return None;
    }
    StudentsT::new(0.0, 1.0, f64::from(degrees)).ok().map(|t| t.inverse_cdf(0.975))
}

/// `n` as a real number.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn real(n: u64) -> f64 {
    n as f64
}

/// A count of items in memory.
pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
