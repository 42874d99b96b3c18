//! Recordings through the real components: the same on every run, and worth measuring.

use crate::driver::{component, query};
use aiv::{
    Clock,
    providers::{
        Begin, CallEnd, CallRequest, Grant, Providers, Route,
        credentials::FixedCredential,
        replay::{self, ReplayTransport},
    },
};
use aiv_runtime::types::{CitationKind, CostBasis, Outcome};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const SAMPLES: u32 = 5;

async fn providers() -> Providers {
    let credential = Arc::new(FixedCredential::new("not a real key"));
    let providers = Providers::with(Arc::new(ReplayTransport), credential, Clock::default());
    let mut routes = Vec::new();
    for name in ["perplexity", "aio", "brave"] {
        let plugin = component(name).await;
        let grant = Grant::as_requested(plugin.manifest());
        routes.push(Route::new(&plugin, grant));
    }
    providers.replace(routes);
    providers
}

async fn ask(providers: &Providers, engine: &str, prompt: &str, sample: u32) -> Outcome {
    let route = providers.find(engine).unwrap();
    let mut query = query(&route, prompt);
    query.seed = replay::seed(prompt, engine, sample);
    for attempt in 1..=2 {
        let begin = Begin::Query(Box::new(query.clone()));
        match providers.call_to_end(&route, CallRequest { begin, attempt }).await.end {
            CallEnd::Done(outcome) => return outcome,
            CallEnd::Failed(failure) => assert_eq!(attempt, 1, "{engine}: {failure:?}"),
            CallEnd::Paused { .. } => unreachable!("it waits through pauses"),
        }
    }
    unreachable!("the second attempt succeeds")
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer() {
    let (providers, others) = (providers().await, providers().await);
    assert!(providers.is_synthetic());
    for prompt in replay::demo().prompts.iter().step_by(6) {
        for engine in ["perplexity", "aio", "brave"] {
            let first = ask(&providers, engine, &prompt.text, 0).await;
            assert_eq!(first, ask(&others, engine, &prompt.text, 0).await, "{engine}");
        }
    }
}

#[tokio::test]
async fn every_kind_of_answer_occurs() {
    let providers = providers().await;
    let demo = replay::demo();
    let (mut absent, mut answered, mut two_steps) = (0, 0, 0);
    // Answers that name a brand, by engine and brand.
    let mut named: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut texts = BTreeSet::new();
    for prompt in &demo.prompts {
        for engine in ["perplexity", "aio", "brave"] {
            for sample in 0..SAMPLES {
                let outcome = ask(&providers, engine, &prompt.text, sample).await;
                let cost = outcome.meta().cost.expect("every answer has a cost");
                assert!(cost.micro_usd > 0);
                assert_eq!(cost.basis == CostBasis::Estimated, engine == "aio");
                let Outcome::Answered(answer) = outcome else {
                    assert_eq!(engine, "aio");
                    absent += 1;
                    continue;
                };
                answered += 1;
                two_steps += u32::from(engine == "aio" && cost.micro_usd > 20_000);
                assert!(answer.meta.warnings.is_empty(), "{:?}", answer.meta.warnings);
                assert!(answer.citations.iter().any(|c| c.kind == CitationKind::Cited));
                assert!(!answer.text.contains("<citation>"), "{}", answer.text);
                for brand in demo.competitors.iter().chain([&demo.brand]) {
                    if answer.text.contains(&brand.name) {
                        *named.entry((engine, &brand.name)).or_default() += 1;
                    }
                }
                texts.insert(answer.text);
            }
        }
    }
    assert!(absent > 10, "{absent} of the overviews are missing");
    assert!(two_steps > 20, "{two_steps} overviews took two calls");
    assert!(texts.len() * 10 > answered * 8, "{} texts in {answered} answers", texts.len());
    for engine in ["perplexity", "aio", "brave"] {
        let counts: Vec<_> = named
            .iter()
            .filter(|((of, _), _)| *of == engine)
            .map(|((_, brand), count)| (count, brand))
            .collect();
        assert_eq!(counts.len(), 6, "every brand is named by {engine}: {counts:?}");
        let (most, least) = (counts.iter().max().unwrap().0, counts.iter().min().unwrap().0);
        assert!(*most > 2 * *least, "{engine}: {counts:?}");
    }
}

#[tokio::test]
async fn an_unforeseen_question_is_answered_too() {
    let providers = providers().await;
    let mut found = 0;
    for sample in 0..5 {
        for engine in ["perplexity", "aio", "brave"] {
            let outcome =
                ask(&providers, engine, "¿Qué es lo mejor? \"Ünïcode\" 漢字", sample).await;
            found += u32::from(matches!(outcome, Outcome::Answered(_)));
        }
    }
    assert!(found >= 10, "{found}");
}
