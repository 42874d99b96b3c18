//! Alert rules: what they may look at.

use crate::support::{Answer, Host};
use aiv::store::api_keys::Role;
use serde_json::{Value, json};

fn event_rule() -> Value {
    json!({"name": "money", "condition": {"kind": "event", "event_type": "budget.exceeded"}})
}

fn metric(extra: &Value) -> Value {
    let mut condition = json!({
        "kind": "metric",
        "metric": "answer_rate",
        "comparison": "below",
        "threshold": 0.5,
    });
    for (name, value) in extra.as_object().unwrap() {
        condition[name] = value.clone();
    }
    condition.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({"name": "x", "condition": condition})
}

#[tokio::test]
async fn a_rule_is_made_changed_and_deleted() {
    let host = Host::start().await;
    let made = host.post("/v1/alert-rules", event_rule()).await;
    let location = made.header("location").unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!((&made["severity"], &made["cooldown_minutes"]), (&json!("medium"), &json!(60)));
    let found = host.get(&location).await;
    assert_eq!(found.header("etag"), Some("\"1\""));
    assert_eq!(found.expect(200), made);
    let patch = json!({"severity": "critical", "condition": metric(&json!({}))["condition"]});
    let changed = host.patch(&location, patch).await.expect(200);
    assert_eq!(changed["condition"]["days"], 7);
    assert_eq!(changed["condition"].get("event_type"), None);
    let stale = host
        .client
        .patch(&location)
        .header("x-api-key", host.key())
        .header("if-match", "\"1\"")
        .body_json(&json!({"enabled": false}));
    assert_eq!(Answer::of(stale.send().await).await.status, 412);
    let twice = host.post("/v1/alert-rules", event_rule()).await;
    assert_eq!((twice.status, &twice.body["code"]), (409, &json!("exists")));
    host.delete(&location).await.expect(204);
    assert_eq!(host.get("/v1/alert-rules").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_rule_names_what_there_is() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let brand = host.get("/v1/brands").await.expect(200)["data"][0]["id"].clone();
    let nobody = "019b0000-0000-7000-8000-000000000000";
    for (extra, field) in [
        (json!({"metric": "vibes"}), "metric"),
        (json!({"metric": null}), "metric"),
        (json!({"comparison": null}), "comparison"),
        (json!({"threshold": null}), "threshold"),
        (json!({"threshold": 1.5}), "threshold"),
        (json!({"threshold": -0.1}), "threshold"),
        (json!({"comparison": "drops_by", "threshold": 0}), "threshold"),
        (json!({"metric": "visibility_score", "threshold": 101}), "threshold"),
        (json!({"metric": "mention_rate"}), "brand_id"),
        (json!({"metric": "mention_rate", "brand_id": nobody}), "brand_id"),
        (json!({"brand_id": brand}), "brand_id"),
        (json!({"engine": "bing"}), "engine"),
        (json!({"metric": "engine_coverage", "engine": "perplexity"}), "engine"),
        (json!({"days": 0}), "days"),
        (json!({"event_type": "batch.completed"}), "event_type"),
        (json!({"kind": "event"}), "metric"),
    ] {
        let refused = host.post("/v1/alert-rules", metric(&extra)).await.expect(422);
        let pointer = format!("/condition/{field}");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{extra}: {refused:#}");
    }
    for event_type in ["alert.triggered", "webhook.test"] {
        let body = json!({"name": "x", "condition": {"kind": "event", "event_type": event_type}});
        let refused = host.post("/v1/alert-rules", body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/condition/event_type");
    }
    let fine = [
        json!({}),
        json!({"engine": "perplexity", "days": 30}),
        json!({"metric": "visibility_score", "threshold": 40}),
        json!({"metric": "share_of_voice", "brand_id": brand, "comparison": "drops_by",
               "threshold": 0.1}),
        json!({"metric": "net_sentiment", "brand_id": brand, "threshold": -0.5}),
        json!({"metric": "average_position", "brand_id": brand, "comparison": "above",
               "threshold": 4}),
    ];
    for (index, extra) in fine.into_iter().enumerate() {
        let mut body = metric(&extra);
        body["name"] = json!(format!("rule {index}"));
        host.post("/v1/alert-rules", body).await.expect(201);
    }
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let host = Host::start().await;
    host.post("/v1/alert-rules", event_rule()).await.expect(201);
    let viewer = host.with_key(host.create_key(host.workspace.id, Role::Viewer, &[]).await);
    viewer.get("/v1/alert-rules").await.expect(200);
    assert_eq!(viewer.post("/v1/alert-rules", event_rule()).await.status, 403);
}
