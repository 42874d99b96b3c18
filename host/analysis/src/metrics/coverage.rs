use super::{
    estimates::{Design, Estimand, Estimate, Reason},
    intervals::{count, real},
    rates::{PromptCounts, rate},
};

/// Prompt coverage: prompts with at least one own mention / prompts with at least one answered
/// run.
pub fn prompt_coverage(prompts: &[PromptCounts], design: Design) -> Estimate {
    let covered: Vec<_> = prompts
        .iter()
        .filter(|prompt| prompt.runs > 0)
        .map(|prompt| PromptCounts::new(1, prompt.hits.min(1)))
        .collect();
    let answers = prompts.iter().map(|prompt| u64::from(prompt.runs)).sum();
    Estimate { answers, ..rate(&covered, design) }
}

/// Engine coverage: engines with at least one own mention / engines with at least one answered
/// run; the counts are those of each engine. Engines are counted, not sampled, so there is no
/// interval.
pub fn engine_coverage(engines: &[PromptCounts], design: Design) -> Estimate {
    let answering = engines.iter().filter(|engine| engine.runs > 0);
    let total = count(answering.clone().count());
    if total == 0 {
        return Estimate::absent(Reason::NoEngines);
    }
    let covered = count(answering.clone().filter(|engine| engine.hits > 0).count());
    let value = Some(real(covered.into()) / real(total.into()));
    let answers = answering.map(|engine| u64::from(engine.runs)).sum();
    Estimate {
        value,
        low: value,
        high: value,
        estimand: Estimand::Census,
        answers,
        reason: None,
        ..Estimate::absent(Reason::NoEngines)
    }
    .graded(design)
}
