use crate::metrics::count;

/// Benjamini–Hochberg: p-values adjusted for everything tested at once, in the order given. Those
/// at most `q` are discoveries of which a share of `q` is expected to be false.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let n = f64::from(count(p_values.len()));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, index) in order.iter().enumerate().rev() {
        least = least.min(p_values[*index] * n / f64::from(count(rank + 1)));
        adjusted[*index] = least;
    }
    adjusted
}
