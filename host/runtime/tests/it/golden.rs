//! Components that were built for a released interface, replayed: what they say today is what they
//! said on the day of the release.
//!
//! `golden/provider-0.1/` holds the SDK's example in Rust and JavaScript, as it was built then, and
//! what it does. Nothing in there is ever built again.

use std::path::{Path, PathBuf};

use aiv_runtime::Plugin;
use aiv_runtime::types::{Event, Moment, Query, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::runtime;

/// What a component is asked and what it answers.
#[derive(Deserialize)]
struct Record {
    manifest: Value,
    query: Query,
    request: Value,
    replies: Vec<Reply>,
}

#[derive(Deserialize)]
struct Reply {
    event: Event,
    step: Value,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/provider-0.1").join(name)
}

/// What the component does now, in the form of the record.
async fn replay(plugin: &Plugin, record: &Record) -> Value {
    let started = plugin.start(&record.query).await.unwrap().step;
    let Step::Fetch { state, request } = started else { panic!("no fetch but {started:?}") };
    let moment = Moment::of_query(&record.query);
    let mut replies = Vec::new();
    for reply in &record.replies {
        let step = plugin.resume(&state, &reply.event, moment).await.unwrap().step;
        replies.push(json!({ "event": reply.event, "step": step }));
    }
    json!({
        "manifest": plugin.manifest(),
        "query": record.query,
        "request": request,
        "replies": replies,
    })
}

async fn still_runs(component: &str) {
    let text = std::fs::read_to_string(golden("record.json")).unwrap();
    let record: Record = serde_json::from_str(&text).unwrap();
    let (runtime, _dir) = runtime();
    let wasm = std::fs::read(golden(component)).unwrap();
    assert_eq!(runtime.admit(&wasm).await.unwrap().wit_version, "0.1.0");
    let plugin = runtime.load(&wasm).await.unwrap();
    let now = replay(&plugin, &record).await;
    assert_eq!(now["manifest"], record.manifest);
    assert_eq!(now["request"], record.request);
    assert!(record.replies.len() >= 5, "the record is cut short");
    for (reply, now) in record.replies.iter().zip(now["replies"].as_array().unwrap()) {
        assert_eq!(now["step"], reply.step, "after {:?}", reply.event);
    }
    let moment = Moment::of_query(&record.query);
    assert_eq!(plugin.health_check("{}", moment).await.unwrap(), None);
}

#[tokio::test]
async fn a_rust_component_of_the_first_release_runs() {
    still_runs("echo-rust.wasm").await;
}

#[tokio::test]
async fn a_javascript_component_of_the_first_release_runs() {
    still_runs("echo-js.wasm").await;
}
