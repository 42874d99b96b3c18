use proptest::prelude::*;

use super::*;

const DESIGN: Design = Design { engines: 2, days: 14 };

/// Prompts by the number of hits in 7 runs, for 143 prompts.
fn histogram(prompts_by_hits: [usize; 8]) -> Vec<PromptCounts> {
    (0u32..)
        .zip(prompts_by_hits)
        .flat_map(|(hits, prompts)| std::iter::repeat_n(PromptCounts::new(7, hits), prompts))
        .collect()
}

fn close(actual: Option<f64>, expected: f64) {
    let actual = actual.expect("a value");
    assert!((actual - expected).abs() < 1e-4, "{actual} is not {expected}");
}

// The histograms of this test are derived from "Prompt-phrasing consistency of ChatGPT
// recommendations" (study 002, intent class `headphones`, 143 prompts × 7 runs), licensed CC BY 4.0.
#[test]
fn the_worked_values_hold() {
    let sony = rate(&histogram([7, 2, 2, 2, 2, 3, 12, 113]), DESIGN);
    close(sony.value, 0.897_103);
    close(sony.design_effect, 5.065_762);
    close(sony.n_eff, 197.601_071);
    close(sony.low, 0.846_397);
    close(sony.high, 0.932_407);

    let bose = rate(&histogram([12, 3, 7, 0, 5, 7, 14, 95]), DESIGN);
    close(bose.value, 0.820_180);
    close(bose.design_effect, 4.989_268);
    close(bose.n_eff, 200.630_629);
    close(bose.low, 0.760_629);
    close(bose.high, 0.867_496);

    close(student_t(142), 1.976_810);
    close(bose.n_eff.map(|n| n * (Z / student_t(142).unwrap()).powi(2)), 197.225_525);
    close(sony.n_eff.map(|n| n * (Z / student_t(142).unwrap()).powi(2)), 194.247_385);
}

/// The same numbers from the rows themselves, where a checkout has them beside it.
#[test]
fn the_worked_values_hold_from_the_rows() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/fixtures/panel/prompt-consistency-chatgpt.csv");
    let Ok(rows) = std::fs::read_to_string(path) else { return };
    for (brand, low, high) in [("sony", 0.846_397, 0.932_407), ("bose", 0.760_629, 0.867_496)] {
        let mut items: Vec<&str> = Vec::new();
        let runs = rows.lines().skip(1).filter_map(|row| {
            let cells: Vec<_> = row.split(',').collect();
            (cells[1] == "headphones").then(|| {
                let item = items.iter().position(|item| *item == cells[0]).unwrap_or_else(|| {
                    items.push(cells[0]);
                    items.len() - 1
                });
                (u32::try_from(item).unwrap(), cells[6].split('|').any(|name| name == brand))
            })
        });
        let estimate = rate(&tally(runs), DESIGN);
        assert_eq!((estimate.prompts, estimate.answers), (143, 1001));
        close(estimate.low, low);
        close(estimate.high, high);
    }
}

#[test]
fn an_empty_denominator_is_no_zero() {
    for estimate in [
        rate(&[], DESIGN),
        rate(&[PromptCounts::new(0, 0)], DESIGN),
        panel_rate(&[], DESIGN),
        mean_reciprocal_rank(&[], DESIGN),
        citation_share(&[], DESIGN),
        prompt_coverage(&[], DESIGN),
    ] {
        assert_eq!((estimate.value, estimate.low), (None, None));
        assert_eq!(estimate.reason, Some(Reason::NoAnswers));
    }
    assert_eq!(answer_rate(&[], DESIGN).reason, Some(Reason::NoRuns));
    assert_eq!(average_position(&[], DESIGN).reason, Some(Reason::NoMentions));
    assert_eq!(net_sentiment(&[], DESIGN).reason, Some(Reason::NoMentions));
    assert_eq!(engine_coverage(&[], DESIGN).reason, Some(Reason::NoEngines));
    assert_eq!(
        citation_share(&[ShareCounts { answers: 3, ..Default::default() }], DESIGN).reason,
        Some(Reason::NoCitations)
    );
}

#[test]
fn one_prompt_gets_the_interval_of_the_panel() {
    let estimate = rate(&[PromptCounts::new(7, 3)], DESIGN);
    assert_eq!(estimate.estimand, Estimand::Panel);
    assert_eq!(estimate.reason, Some(Reason::SinglePrompt));
    let half = 1.96 * (3.0 / 7.0 * (4.0 / 7.0) / 6.0_f64).sqrt();
    close(estimate.low, 3.0 / 7.0 - half);
    let once = rate(&[PromptCounts::new(1, 1)], DESIGN);
    assert_eq!((once.value, once.low, once.reason), (Some(1.0), None, Some(Reason::SingleRun)));
}

#[test]
fn unanimous_runs_do_not_make_a_certain_panel() {
    let estimate = panel_rate(&[PromptCounts::new(7, 7)], DESIGN);
    assert!(estimate.low.unwrap() < 0.7);
    assert_eq!(estimate.high, Some(1.0));
}

#[test]
fn at_zero_and_one_each_prompt_counts_once() {
    for hits in [0, 7] {
        let estimate = rate(&[PromptCounts::new(7, hits); 10], DESIGN);
        assert_eq!((estimate.design_effect, estimate.n_eff), (Some(7.0), Some(10.0)));
    }
    let single = rate(&[PromptCounts::new(1, 1), PromptCounts::new(1, 0)], DESIGN);
    assert_eq!(single.design_effect, Some(1.0));
}

#[test]
fn reruns_of_one_prompt_do_not_bend_the_rate() {
    let even = [PromptCounts::new(4, 4), PromptCounts::new(4, 0)];
    let skewed = [PromptCounts::new(400, 400), PromptCounts::new(4, 0)];
    assert_eq!(rate(&even, DESIGN).value, rate(&skewed, DESIGN).value);
}

#[test]
fn share_of_voice_needs_company() {
    let prompts = [VoiceCounts { answers: 5, brand: 3, tracked: 3 }; 4];
    assert_eq!(share_of_voice(&prompts, 1, DESIGN).reason, Some(Reason::NoCompetitors));
    let silent = [VoiceCounts { answers: 5, brand: 0, tracked: 0 }; 4];
    assert_eq!(share_of_voice(&silent, 3, DESIGN).reason, Some(Reason::NoMentions));
    assert_eq!(share_of_voice(&prompts[..0], 3, DESIGN).reason, Some(Reason::NoAnswers));
    let all = share_of_voice(&prompts, 3, DESIGN);
    assert_eq!(all.value, Some(1.0));
    assert!(all.low.unwrap() < 0.6, "four prompts are no proof");
}

#[test]
fn share_of_voice_is_a_linearised_ratio() {
    let prompts = [(1, 4), (3, 5), (0, 2), (2, 6)].map(|(brand, tracked)| VoiceCounts {
        answers: 4,
        brand,
        tracked,
    });
    let estimate = share_of_voice(&prompts, 3, DESIGN);
    let ratio = 6.0 / 17.0;
    let squares: f64 = prompts
        .iter()
        .map(|prompt| f64::from(prompt.brand) - ratio * f64::from(prompt.tracked))
        .map(|residual| (residual / 4.25).powi(2))
        .sum();
    let half = student_t(3).unwrap() * (squares / 3.0 / 4.0).sqrt();
    close(estimate.value, ratio);
    close(estimate.high, ratio + half);
    assert_eq!(estimate.answers, 16);
}

#[test]
fn positions_keep_their_own_n() {
    let mut counts = [PositionCounts::default(); 2];
    for rank in [Some(1), Some(3), None] {
        counts[0].add(rank);
    }
    counts[1].add(None);
    let position = average_position(&counts, DESIGN);
    assert_eq!((position.value, position.answers, position.prompts), (Some(2.0), 2, 1));
    assert_eq!(position.reason, Some(Reason::SinglePrompt));
    let reciprocal = mean_reciprocal_rank(&counts, DESIGN);
    close(reciprocal.value, (4.0 / 3.0 / 3.0) / 2.0);
    assert_eq!((reciprocal.answers, reciprocal.prompts), (4, 2));
}

#[test]
fn coverage_counts_each_prompt_and_engine_once() {
    let counts = [PromptCounts::new(7, 1), PromptCounts::new(7, 0), PromptCounts::new(0, 0)];
    let prompts = prompt_coverage(&counts, DESIGN);
    assert_eq!((prompts.value, prompts.prompts, prompts.answers), (Some(0.5), 2, 14));
    let engines = engine_coverage(&counts, DESIGN);
    assert_eq!((engines.value, engines.estimand), (Some(0.5), Estimand::Census));
}

#[test]
fn net_sentiment_runs_from_minus_one_to_one() {
    let bad = SentimentCounts { negative: 3, ..Default::default() };
    let mixed = SentimentCounts { positive: 3, neutral: 2, negative: 1 };
    let estimate = net_sentiment(&[mixed, bad], DESIGN);
    close(estimate.value, -1.0 / 9.0);
    let worst = net_sentiment(&[bad, bad], DESIGN);
    assert_eq!((worst.value, worst.low), (Some(-1.0), Some(-1.0)));
    assert!(worst.high.unwrap() > -1.0);
}

#[test]
fn the_grade_names_what_is_missing() {
    let few = rate(&[PromptCounts::new(7, 3); 10], DESIGN);
    assert_eq!(few.grade, Grade::Exploratory);
    assert!(few.shortfalls.contains(&Shortfall::Prompts));
    let short = rate(&histogram([7, 2, 2, 2, 2, 3, 12, 113]), Design { engines: 1, days: 7 });
    assert_eq!(short.grade, Grade::Directional);
    assert_eq!(short.shortfalls, [Shortfall::Engines, Shortfall::Weeks]);
    let good = rate(&histogram([7, 2, 2, 2, 2, 3, 12, 113]), DESIGN);
    assert_eq!((good.grade, good.shortfalls.len()), (Grade::DecisionGrade, 0));
}

#[test]
fn the_score_is_the_weighted_sum_of_its_parts() {
    let engine = EngineParts {
        mention_rate: Some(0.6),
        mean_reciprocal_rank: Some(0.5),
        citation_rate: Some(0.25),
        net_sentiment: Some(0.2),
        n_eff: Some(12.0),
    };
    let score = visibility_score(&[engine, engine]);
    close(score.value, 100.0 * (0.3 + 0.1 + 0.05 + 0.06));
    assert!(score.rankable);
    assert!(!visibility_score(&[engine]).rankable);
    let absent = EngineParts {
        mention_rate: Some(0.0),
        mean_reciprocal_rank: Some(0.0),
        citation_rate: Some(0.0),
        ..Default::default()
    };
    assert_eq!(visibility_score(&[absent]).value, Some(0.0));
    assert_eq!(visibility_score(&[]).value, None);
}

#[test]
fn ghosts_are_cited_without_a_name() {
    let mut counts = GhostCounts::default();
    for (named, cited) in [(true, true), (false, true), (false, true), (false, false)] {
        counts.add(Quadrant::of(named, cited));
    }
    assert_eq!((counts.both, counts.cited_only, counts.answers()), (1, 2, 4));
}

#[test]
fn estimates_travel_as_json() {
    let estimate = rate(&[PromptCounts::new(7, 3); 3], DESIGN);
    let json = serde_json::to_string(&estimate).unwrap();
    assert!(json.contains(r#""grade":"exploratory""#));
    assert_eq!(serde_json::from_str::<Estimate>(&json).unwrap().value, estimate.value);
}

fn counts() -> impl Strategy<Value = Vec<PromptCounts>> {
    proptest::collection::vec((0u32..12, 0u32..12), 0..60).prop_map(|prompts| {
        prompts.into_iter().map(|(runs, hits)| PromptCounts::new(runs, hits.min(runs))).collect()
    })
}

fn holds(estimate: &Estimate) -> Result<(), TestCaseError> {
    if let (Some(value), Some(low), Some(high)) = (estimate.value, estimate.low, estimate.high) {
        prop_assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{estimate:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn an_interval_holds_its_value(prompts in counts()) {
        holds(&rate(&prompts, DESIGN))?;
        holds(&panel_rate(&prompts, DESIGN))?;
        holds(&answer_rate(&prompts, DESIGN))?;
        holds(&prompt_coverage(&prompts, DESIGN))?;
        let voices: Vec<_> = prompts
            .iter()
            .map(|p| VoiceCounts { answers: p.runs, brand: p.hits, tracked: p.runs + p.hits })
            .collect();
        holds(&share_of_voice(&voices, 3, DESIGN))?;
    }

    // Exactly: k ≤ n_eff ≤ n, up to rounding, whenever there are two prompts or more.
    #[test]
    fn the_effective_sample_lies_between_prompts_and_runs(prompts in counts()) {
        let estimate = rate(&prompts, DESIGN);
        if estimate.estimand == Estimand::Market && let Some(n_eff) = estimate.n_eff {
            let n = intervals::real(estimate.answers);
            prop_assert!(n_eff >= f64::from(estimate.prompts) * (1.0 - 1e-12));
            prop_assert!(n_eff <= n * (1.0 + 1e-12));
        }
    }

    #[test]
    fn the_order_of_prompts_changes_nothing(
        (prompts, shuffled) in counts().prop_flat_map(|prompts| {
            (Just(prompts.clone()), Just(prompts).prop_shuffle())
        })
    ) {
        prop_assert_eq!(rate(&prompts, DESIGN), rate(&shuffled, DESIGN));
        prop_assert_eq!(panel_rate(&prompts, DESIGN), panel_rate(&shuffled, DESIGN));
        prop_assert_eq!(answer_rate(&prompts, DESIGN), answer_rate(&shuffled, DESIGN));
    }

    #[test]
    fn first_mention_rate_reciprocal_rank_and_mention_rate_are_ordered(
        ranks in proptest::collection::vec(
            proptest::collection::vec(proptest::option::of(1u32..6), 1..8), 1..20)
    ) {
        let mut first = Vec::new();
        let mut named = Vec::new();
        let mut positions = Vec::new();
        for prompt in &ranks {
            let runs = intervals::count(prompt.len());
            let firsts = prompt.iter().filter(|rank| **rank == Some(1)).count();
            first.push(PromptCounts::new(runs, intervals::count(firsts)));
            let names = prompt.iter().flatten().count();
            named.push(PromptCounts::new(runs, intervals::count(names)));
            let mut counts = PositionCounts::default();
            for rank in prompt {
                counts.add(*rank);
            }
            positions.push(counts);
        }
        let first = first_mention_rate(&first, DESIGN).value.unwrap();
        let reciprocal = mean_reciprocal_rank(&positions, DESIGN).value.unwrap();
        let named = mention_rate(&named, DESIGN).value.unwrap();
        prop_assert!(first <= reciprocal + 1e-12 && reciprocal <= named + 1e-12);
    }
}
