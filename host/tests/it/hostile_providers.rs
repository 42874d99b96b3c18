//! What no component should do, done by one that is in service beside honest ones.

use crate::support::{Host, guest::guest};
use serde_json::{Value, json};

const HOSTILE: &str = "/v1/admin/providers/hostile";

/// What it is told to do, and how the failure must be classed.
const DEEDS: [(&str, &str); 9] = [
    ("loop", "timeout"),
    ("memory", "out_of_memory"),
    ("recursion", "trap"),
    ("panic", "trap"),
    ("enormous-answer", "out_of_memory"),
    ("huge-answer", "policy"),
    ("foreign-host", "policy"),
    ("header-smuggling", "policy"),
    ("misdirected-credential", "policy"),
];

#[tokio::test]
async fn each_deed_is_a_typed_failure_and_the_others_go_on() {
    let host = Host::start().await.operator().await;
    host.seed_demo(2).await;
    let installed = host.upload(HOSTILE, guest("hostile")).await.expect(201);
    let grant = json!({
        "hosts": ["api.example.com", "cdn.example.com"], "credentials": ["api-key"],
        "credential_hosts": {"api-key": ["api.example.com"]},
    });
    host.put(format!("{HOSTILE}/grant"), grant).await.expect(200);
    let activate = json!({"digest": installed["digest"]});
    host.post(format!("{HOSTILE}/activate"), activate).await.expect(200);
    host.put("/v1/engines/hostile", json!({})).await.expect(200);
    let mut prompts = Vec::new();
    for deed in DEEDS.map(|(deed, _)| deed).into_iter().chain(["log-flood"]) {
        prompts.push(host.post("/v1/prompts", json!({"text": deed})).await.expect(201));
    }
    host.start_batch(1, "2026-01-01T00:00:00Z").await;
    host.work().await;

    let runs = host.get("/v1/runs?limit=200").await.expect(200);
    let runs = runs["data"].as_array().unwrap();
    let (hostile, honest): (Vec<&Value>, Vec<&Value>) =
        runs.iter().partition(|run| run["engine"] == "hostile");
    assert!(honest.len() >= 6 && honest.iter().all(|run| run["state"] == "succeeded"));
    for (prompt, (deed, class)) in prompts.iter().zip(DEEDS) {
        let run = hostile.iter().find(|run| run["prompt_id"] == prompt["id"]).unwrap();
        assert_eq!(run["state"], "failed", "{deed}: {run:#}");
        let path = format!("{HOSTILE}/logs?run={}", run["id"].as_str().unwrap());
        let logs = host.get(path).await.expect(200);
        let told = logs["data"].as_array().unwrap();
        // What it may not do, it may not do the second time either.
        let tries = if class == "policy" { 1 } else { 2 };
        assert_eq!(told.len(), tries, "{deed}");
        for entry in told {
            assert_eq!(
                (&entry["blame"], &entry["class"]),
                (&json!("guest"), &json!(class)),
                "{deed}"
            );
        }
    }
    let flood = hostile.iter().find(|run| run["prompt_id"] == prompts[DEEDS.len()]["id"]).unwrap();
    assert_eq!(flood["state"], "succeeded");
    let path = format!("{HOSTILE}/logs?run={}", flood["id"].as_str().unwrap());
    let logs = host.get(path).await.expect(200);
    let lines = logs["data"][0]["lines"].as_array().unwrap();
    assert!((1..=200).contains(&lines.len()), "{} lines are kept", lines.len());
    // There is nothing to go back to: it stays, and its operator sees how it fares.
    let found = host.get(HOSTILE).await.expect(200);
    assert_eq!(found["slots"].as_array().unwrap().len(), 1);
    assert!(found["components"][0]["calls"]["guest_failures"].as_i64() == Some(5 * 2 + 4));
}
