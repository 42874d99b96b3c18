//! The components against their conformance cases.

use crate::driver::{built, component};
use aiv::providers::cases;
use aiv_runtime::Plugin;
use std::{fmt::Write, path::Path};

async fn conforms(name: &str) {
    let (_, key) = name.rsplit_once('/').unwrap_or(("", name));
    let plugin = component(name).await;
    check(&plugin, key).await;
}

async fn check(plugin: &Plugin, name: &str) {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = host.join(format!("../plugins/{name}/cases"));
    // A larger set, where somebody keeps one beside the repository.
    let shared = host.join("../../shared/fixtures/providers").join(name);
    let mut text = String::new();
    let mut count = 0;
    for folder in [own, shared].iter().filter(|folder| folder.is_dir()) {
        for case in cases::load(folder).unwrap() {
            assert_eq!(case.provider(), name);
            let report = cases::run(plugin, &case).await.unwrap();
            count += 1;
            if let Some(difference) = report.difference {
                let _ = writeln!(text, "{}\n{difference}", report.name);
            }
        }
    }
    assert!(count > 0, "there are no cases for {name}");
    assert!(text.is_empty(), "{text}");
}

#[tokio::test]
async fn perplexity_conforms() {
    conforms("perplexity").await;
}

#[tokio::test]
async fn aio_conforms() {
    conforms("aio").await;
}

#[tokio::test]
async fn brave_conforms() {
    conforms("brave").await;
}

#[tokio::test]
async fn openai_conforms() {
    conforms("more/openai").await;
}

#[tokio::test]
async fn dataforseo_conforms() {
    conforms("more/dataforseo").await;
}

#[tokio::test]
async fn gemini_conforms() {
    if let Some(plugin) = built("plugins/dist/more/gemini.wasm").await {
        check(&plugin, "gemini").await;
    }
}

#[tokio::test]
async fn compatible_conforms() {
    if let Some(plugin) = built("plugins/dist/more/compatible.wasm").await {
        check(&plugin, "compatible").await;
    }
}

#[tokio::test]
async fn a_wrong_expectation_is_a_readable_failure() {
    let plugin = component("perplexity").await;
    let folder = tempfile::tempdir().unwrap();
    let case = serde_json::json!({
        "id": "wrong", "provider": "perplexity", "surface": "perplexity-agent", "prompt": "x",
        "config": { "now_epoch_s": 1_791_572_812 },
        "steps": [
            {
                "request": {
                    "method": "POST", "path": "/v1/other",
                    "headers": { "authorization": "Bearer <key>" },
                },
                "response": { "status": 401, "headers": {}, "body": "body.json" },
            },
            {
                "request": { "method": "GET", "path": "/" },
                "response": { "status": 200, "headers": {}, "body": "body.json" },
            },
        ],
        "expect": { "outcome": "error", "error": { "kind": "rate-limited" } },
    });
    std::fs::write(folder.path().join("case.json"), case.to_string()).unwrap();
    std::fs::write(folder.path().join("body.json"), r#"{"error":{"type":"x"}}"#).unwrap();
    let cases = cases::load(folder.path()).unwrap();
    let report = cases::run(&plugin, &cases[0]).await.unwrap();
    let difference = report.difference.unwrap();
    for part in [
        "request 1 path: expected /v1/other, got /v1/agent",
        "requests: expected 2, got 1",
        "error.kind: expected \"rate-limited\", got \"auth\"",
        "asked: POST https://api.perplexity.ai/v1/agent -> 401",
    ] {
        assert!(difference.contains(part), "{part} is not in\n{difference}");
    }
    assert!(!difference.contains("authorization"), "{difference}");
}

#[tokio::test]
async fn a_step_without_a_response_does_not_wait() {
    let plugin = component("perplexity").await;
    let folder = tempfile::tempdir().unwrap();
    let case = serde_json::json!({
        "id": "timeout", "provider": "perplexity", "surface": "perplexity-agent", "prompt": "x",
        "steps": [{
            "request": { "method": "POST", "path": "/v1/agent" },
            "transport": "timeout",
        }],
        "expect": {
            "outcome": "error",
            "error": { "kind": "timeout", "retryable": true, "spent_micro_usd": 0 },
        },
    });
    std::fs::write(folder.path().join("case.json"), case.to_string()).unwrap();
    let cases = cases::load(folder.path()).unwrap();
    let report = cases::run(&plugin, &cases[0]).await.unwrap();
    assert_eq!(report.difference, None);
}
