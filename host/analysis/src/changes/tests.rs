use proptest::prelude::*;

use super::*;

fn pair(before: u32, after: u32) -> PairedPrompt {
    PairedPrompt { before: PromptCounts::new(7, before), after: PromptCounts::new(7, after) }
}

fn close(actual: Option<f64>, expected: f64) {
    let actual = actual.expect("a value");
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}

#[test]
fn the_difference_is_paired_by_prompt() {
    let change = change(&[pair(1, 3), pair(4, 5), pair(7, 7), pair(0, 2)], &[], &[]);
    close(change.difference, 5.0 / 28.0);
    let mean = 1.25 / 7.0_f64;
    let squares: f64 = [2.0, 1.0, 0.0, 2.0].iter().map(|hits| (hits / 7.0 - mean).powi(2)).sum();
    let error = (squares / 3.0 / 4.0).sqrt();
    close(change.standard_error, error);
    close(change.t, mean / error);
    close(change.minimum_detectable, 2.8 * error);
    close(change.permutation_p, 0.25);
    assert!(change.provisional && change.prompts == 4);
}

#[test]
fn days_that_swing_widen_the_interval() {
    let prompts = [pair(1, 3), pair(4, 5), pair(7, 7), pair(0, 2)];
    let calm = change(&prompts, &[0.4; 7], &[0.6; 7]);
    assert!(calm.day_variance.abs() < 1e-12 && !calm.provisional);
    let swings = [0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1];
    let wild = change(&prompts, &swings, &swings);
    assert!(wild.day_variance > 0.05);
    assert!(wild.standard_error > calm.standard_error);
    assert!(wild.p_value > calm.p_value);
}

#[test]
fn rerun_noise_is_no_day_variance() {
    // One prompt, once a day, a coin each time: all the variance between days is rerun noise.
    let flips = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let coin = PairedPrompt { before: PromptCounts::new(6, 3), after: PromptCounts::new(6, 3) };
    assert!(change(&[coin], &flips, &flips).day_variance < 1e-12);
}

#[test]
fn what_cannot_be_compared_says_so() {
    assert_eq!(change(&[], &[], &[]).reason, Some(Reason::NoAnswers));
    let unpaired = PairedPrompt { before: PromptCounts::new(3, 1), ..Default::default() };
    assert_eq!(change(&[unpaired], &[], &[]).reason, Some(Reason::NoAnswers));
    let single = change(&[pair(0, 7)], &[], &[]);
    assert_eq!((single.reason, single.t), (Some(Reason::SinglePrompt), None));
    assert_eq!(single.difference, Some(1.0));
}

#[test]
fn prompts_that_move_alike_are_judged_by_their_signs() {
    let change = change(&[pair(0, 7); 10], &[], &[]);
    assert_eq!((change.t, change.standard_error), (None, Some(0.0)));
    close(change.p_value, 2.0 / 1024.0);
    let same = super::change(&[pair(3, 3); 10], &[], &[]);
    assert_eq!((same.p_value, same.difference), (Some(1.0), Some(0.0)));
}

#[test]
fn many_prompts_are_judged_by_a_fixed_sequence() {
    let even: Vec<_> = (0..40).map(|n| if n % 2 == 0 { 0.25 } else { -0.25 }).collect();
    close(Some(sign_flip(&even)), 1.0);
    let lifted = vec![0.1; 40];
    assert!(sign_flip(&lifted) < 1e-4);
    let close_call: Vec<_> = (0..16_u32).map(|n| if n < 12 { 0.1 } else { -0.1 }).collect();
    // Exactly: P(|S| ≥ 8) for 16 fair signs.
    assert!((sign_flip(&close_call) - 0.0768).abs() < 0.01);
}

#[test]
fn discoveries_are_adjusted_for_their_number() {
    let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
    for (actual, expected) in adjusted.iter().zip([0.02, 0.04, 0.04, 0.02]) {
        assert!((actual - expected).abs() < 1e-12);
    }
    assert!(benjamini_hochberg(&[]).is_empty());
}

proptest! {
    #[test]
    fn the_order_of_prompts_changes_nothing(
        (prompts, shuffled) in prop::collection::vec((0u32..8, 0u32..8), 0..30)
            .prop_map(|hits| hits.into_iter().map(|(a, b)| pair(a.min(7), b.min(7))).collect())
            .prop_flat_map(|prompts: Vec<_>| (Just(prompts.clone()), Just(prompts).prop_shuffle()))
    ) {
        let days = [0.2, 0.4, 0.3];
        prop_assert_eq!(change(&prompts, &days, &days), change(&shuffled, &days, &days));
    }

    #[test]
    fn adjusted_values_keep_their_order(p in prop::collection::vec(0.0..=1.0_f64, 0..20)) {
        let adjusted = benjamini_hochberg(&p);
        for (index, raw) in p.iter().enumerate() {
            prop_assert!(adjusted[index] >= raw - 1e-12 && adjusted[index] <= 1.0);
            for (other, value) in p.iter().enumerate() {
                prop_assert!(raw > value || adjusted[index] <= adjusted[other] + 1e-12);
            }
        }
    }
}
