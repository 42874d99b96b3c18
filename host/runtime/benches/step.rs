//! What the sandbox costs: a step in a fresh instance beside the same work done natively, and
//! loading with and without compiled code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure ends the run, and says where")]

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aiv_runtime::types::{Citation, CitationKind, Moment, Query};
use aiv_runtime::{Plugin, Runtime, RuntimeConfig};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;

criterion_group!(benches, steps, loads);
criterion_main!(benches);

fn steps(c: &mut Criterion) {
    let tokio = Tokio::new().unwrap();
    let (runtime, _dir) = support::runtime();
    let plugin = tokio.block_on(runtime.load(&support::guest("hostile"))).unwrap();
    let body = completion();
    let event = support::response(&body);
    let query = support::query("parse");
    let moment = Moment { now_unix: 1_790_000_002.0, seed: 42 };

    let mut group = c.benchmark_group("step");
    group.bench_function("native parse of 6 KB", |b| b.iter(|| parse(black_box(&body))));
    group.bench_function("start in a fresh instance", |b| {
        b.iter_custom(|n| repeat(&tokio, n, async || drop(plugin.start(&query).await.unwrap())));
    });
    group.bench_function("resume with 6 KB in a fresh instance", |b| {
        let step = async || drop(plugin.resume(b"parse", &event, moment).await.unwrap());
        b.iter_custom(|n| repeat(&tokio, n, step));
    });
    if let Some(component) = built("perplexity") {
        let plugin = tokio.block_on(runtime.load(&component)).unwrap();
        let query =
            Query { surface: "perplexity-agent".into(), ..support::query("Which CRM is best?") };
        let start = tokio.block_on(plugin.start(&query)).unwrap();
        let state = support::state(&start).to_owned();
        let event = support::response(&agent_answer());
        group.bench_function("Perplexity, start", |b| {
            b.iter_custom(|n| {
                repeat(&tokio, n, async || drop(plugin.start(&query).await.unwrap()))
            });
        });
        group.bench_function("Perplexity, resume with 16 KB", |b| {
            let step = async || drop(plugin.resume(&state, &event, moment).await.unwrap());
            b.iter_custom(|n| repeat(&tokio, n, step));
        });
    }
    group.finish();
    assert_eq!(parse(&body), citations(&tokio, &plugin, &body));
}

fn loads(c: &mut Criterion) {
    let tokio = Tokio::new().unwrap();
    let components = components();
    let mut group = c.benchmark_group("load");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.bench_function(format!("{} components, cold", components.len()), |b| {
        b.iter_custom(|n| {
            let mut took = Duration::ZERO;
            for _ in 0..n {
                let (runtime, _dir) = support::runtime();
                took += load(&tokio, &runtime, &components);
            }
            took
        });
    });
    group.bench_function(format!("{} components, warm", components.len()), |b| {
        let dir = TempDir::new().unwrap();
        let runtime = Runtime::new(RuntimeConfig::new(dir.path())).unwrap();
        load(&tokio, &runtime, &components);
        b.iter_custom(|n| (0..n).map(|_| load(&tokio, &runtime, &components)).sum());
    });
    group.finish();
}

/// Time on the wall of so many calls, one after the other.
fn repeat(tokio: &Tokio, times: u64, call: impl AsyncFn()) -> Duration {
    tokio.block_on(async {
        let began = Instant::now();
        for _ in 0..times {
            call().await;
        }
        began.elapsed()
    })
}

/// Loads and forgets them all.
fn load(tokio: &Tokio, runtime: &Runtime, components: &[Vec<u8>]) -> Duration {
    tokio.block_on(async {
        let began = Instant::now();
        let mut digests = Vec::new();
        for wasm in components {
            digests.push(runtime.load(wasm).await.unwrap().digest());
        }
        let took = began.elapsed();
        for digest in &digests {
            runtime.forget(digest);
        }
        took
    })
}

/// The first-party components where they are built, else the guest of the tests.
fn components() -> Vec<Vec<u8>> {
    let built: Option<Vec<_>> = ["perplexity", "aio", "brave"].map(built).into_iter().collect();
    built.unwrap_or_else(|| vec![support::guest("hostile")])
}

/// A first-party component, where it is built.
fn built(name: &str) -> Option<Vec<u8>> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist");
    std::fs::read(dist.join(name).with_extension("wasm")).ok()
}

/// An answer of Perplexity's Agent API of about sixteen kilobytes: ten results, three of them cited.
fn agent_answer() -> String {
    let results: Vec<_> = (1..=10)
        .map(|n| {
            json!({
                "id": n,
                "title": format!("The {n} best CRM systems for small teams, compared"),
                "url": format!("https://reviews.example/{n}/best-crm-systems"),
                "date": "2026-03-14",
                "last_updated": "2026-04-01",
                "source": "web",
                "snippet": "Prices, limits and \"support\",\nby people who use it.\n".repeat(20),
            })
        })
        .collect();
    let paragraph = "For **small teams** Acme CRM is often named first [1][2], before Globex [3]. ";
    let content = [json!({"type": "output_text", "text": paragraph.repeat(30), "annotations": []})];
    json!({
        "id": "resp_0198f1d2",
        "model": "perplexity/sonar",
        "status": "completed",
        "output": [
            {"type": "search_results", "queries": ["best crm"], "results": results},
            {"type": "message", "role": "assistant", "status": "completed", "content": content},
        ],
        "usage": {
            "input_tokens": 5121,
            "output_tokens": 412,
            "total_tokens": 5533,
            "cost": {"input_cost": 0.0012, "output_cost": 0.0009, "total_cost": 0.0071},
            "tool_calls_details": {"search_web": {"invocation": 1}},
        },
    })
    .to_string()
}

/// A chat completion of about six kilobytes with eight search results.
fn completion() -> String {
    let results: Vec<_> = (1..=8)
        .map(|n| {
            json!({
                "title": format!("The {n} best CRM systems for small teams, compared"),
                "url": format!("https://reviews.example/{n}/best-crm-systems?utm=answer"),
                "date": "2026-03-14",
                "snippet": "Prices, limits and what support is like, by people who use it. ".repeat(5),
            })
        })
        .collect();
    let paragraph = "For **small teams** Acme CRM is often named first [1][2], before Globex [3]. ";
    json!({
        "id": "0198f1d2-7d55-7c1c-9f0e-3a1c5b7d9e11",
        "model": "sonar-pro",
        "created": 1_790_000_000,
        "choices": [{
            "index": 0,
            "finish_reason": "stop",
            "message": { "role": "assistant", "content": paragraph.repeat(20) },
        }],
        "search_results": results,
        "usage": { "prompt_tokens": 14, "completion_tokens": 412, "total_tokens": 426 },
    })
    .to_string()
}

/// What the guest does, in the host's own code.
fn parse(body: &str) -> Vec<Citation> {
    let completion: Completion = serde_json::from_str(body).unwrap();
    black_box((completion.id, completion.model));
    black_box(completion.choices.into_iter().next().map(|choice| choice.message.content));
    black_box((completion.usage.prompt_tokens, completion.usage.completion_tokens));
    let numbered = completion.search_results.into_iter().zip(1..);
    numbered
        .map(|(result, position)| Citation {
            position,
            url: result.url,
            title: Some(result.title),
            snippet: result.snippet,
            published: result.date,
            kind: CitationKind::Cited,
            markers: vec![u32::to_string(&position)],
        })
        .collect()
}

/// What the guest makes of the same body.
fn citations(tokio: &Tokio, plugin: &Plugin, body: &str) -> Vec<Citation> {
    use aiv_runtime::types::{Outcome, Step};
    let moment = Moment { now_unix: 0.0, seed: 0 };
    let event = support::response(body);
    match tokio.block_on(plugin.resume(b"parse", &event, moment)).unwrap().step {
        Step::Done(Outcome::Answered(answer)) => answer.citations,
        step => panic!("no answer but {step:?}"),
    }
}

#[derive(Deserialize)]
struct Completion {
    id: String,
    model: String,
    choices: Vec<Choice>,
    search_results: Vec<SearchResult>,
    usage: Tokens,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct SearchResult {
    title: String,
    url: String,
    date: Option<String>,
    snippet: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u32,
    completion_tokens: u32,
}
