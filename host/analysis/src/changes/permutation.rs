use crate::metrics::count;

/// Up to this many prompts that moved, every pattern of signs is tried.
const EXHAUSTIVE: usize = 12;

/// Patterns tried beyond that.
const DRAWS: u32 = 20_000;

/// The share of sign patterns under which the differences sum to at least as much as they do.
///
/// If nothing changed, each prompt could as well have moved the other way. Prompts that did not
/// move have no sign. Beyond twelve that did, a fixed sequence of patterns stands for all of them,
/// so that the same differences always give the same answer.
pub(super) fn sign_flip(differences: &[f64]) -> f64 {
    let mut moved: Vec<f64> =
        differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    moved.sort_unstable_by(f64::total_cmp);
    let observed = moved.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order differ in the last bits.
    let reaches = |sum: f64| sum.abs() >= observed - 1e-9;
    if moved.len() <= EXHAUSTIVE {
        let patterns = 1_u64 << moved.len();
        let hits = (0..patterns).filter(|signs| reaches(signed_sum(&moved, *signs))).count();
        return f64::from(count(hits)) / f64::from(1_u32 << moved.len());
    }
    let mut state = 0;
    let hits = (0..DRAWS).filter(|_| reaches(drawn_sum(&moved, &mut state))).count();
    f64::from(count(hits) + 1) / f64::from(DRAWS + 1)
}

fn drawn_sum(moved: &[f64], state: &mut u64) -> f64 {
    moved.chunks(64).map(|chunk| signed_sum(chunk, next_signs(state))).sum()
}

/// The sum with the sign of each value flipped where its bit is set.
fn signed_sum(values: &[f64], signs: u64) -> f64 {
    let flipped = |(bit, value): (usize, &f64)| if signs >> bit & 1 == 1 { -value } else { *value };
    values.iter().enumerate().map(flipped).sum()
}

/// The next 64 signs of a fixed, well-mixed sequence (SplitMix64).
fn next_signs(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
