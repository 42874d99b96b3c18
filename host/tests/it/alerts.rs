//! Alerts: opened by what happens, told once, and looked after.

use crate::support::Host;
use aiv::store::events::{self, EventType, NewEvent};
use chrono::TimeDelta;
use serde_json::{Value, json};

async fn rule(host: &Host) -> String {
    let condition = json!({"kind": "event", "event_type": "engine.needs_attention"});
    let body = json!({"name": "an engine is out", "severity": "high", "condition": condition});
    let made = host.post("/v1/alert-rules", body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// An engine breaks, and what waits to be published is.
async fn breaks(host: &Host, engine: &str) {
    let data = json!({"engine": engine, "reason": "auth: no"});
    let kind = EventType::EngineNeedsAttention;
    let event = NewEvent::new(host.workspace.id, kind, engine.to_owned(), data);
    let mut tx = host.app.store.begin().await.unwrap();
    events::insert(&mut tx, &[event], host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    host.publish().await;
}

async fn list(host: &Host, query: &str) -> Vec<Value> {
    let list = host.get(format!("/v1/alerts{query}")).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

/// How often each thing was told of alerts.
async fn told(host: &Host) -> Vec<&'static str> {
    let mut conn = host.app.store.read().await.unwrap();
    let all = events::list(&mut conn, host.workspace.id, 0, 100).await.unwrap();
    let names = all.iter().map(|event| event.kind.as_str());
    names.filter(|name| name.starts_with("alert.")).collect()
}

async fn act(host: &Host, alert: &Value, verb: &str, body: Value) -> Value {
    let id = alert["id"].as_str().unwrap();
    host.post(format!("/v1/alerts/{id}/{verb}"), body).await.expect(200)
}

#[tokio::test]
async fn the_same_alert_is_opened_once_and_counted() {
    let host = Host::start().await;
    let rule = rule(&host).await;
    breaks(&host, "perplexity").await;
    breaks(&host, "perplexity").await;
    breaks(&host, "brave").await;
    let alerts = list(&host, "").await;
    assert_eq!(alerts.len(), 2);
    assert_eq!((&alerts[1]["occurrences"], &alerts[1]["rule_id"]), (&json!(2), &json!(rule)));
    assert_eq!(alerts[1]["evidence"]["data"]["engine"], "perplexity");
    assert_eq!(
        (&alerts[0]["title"], &alerts[0]["severity"]),
        (&json!("an engine is out"), &json!("high"))
    );
    assert_eq!(told(&host).await, ["alert.triggered", "alert.triggered"]);
    assert_eq!(list(&host, "?state=resolved").await.len(), 0);
    assert_eq!(list(&host, &format!("?severity=high&rule_id={rule}")).await.len(), 2);
    assert_eq!(host.get("/v1/alerts?state=gone").await.status, 400);
    assert_eq!(list(&host.other_workspace().await, "").await.len(), 0);
}

#[tokio::test]
async fn an_alert_is_acknowledged_resolved_and_may_come_back() {
    let host = Host::start().await;
    rule(&host).await;
    breaks(&host, "brave").await;
    let alert = list(&host, "").await.remove(0);
    let taken = act(&host, &alert, "acknowledge", json!({"note": "on it"})).await;
    assert_eq!((&taken["state"], &taken["note"]), (&json!("acknowledged"), &json!("on it")));
    let id = alert["id"].as_str().unwrap();
    let twice = host.post(format!("/v1/alerts/{id}/acknowledge"), json!({})).await;
    assert_eq!((twice.status, &twice.body["code"]), (409, &json!("conflict")));
    breaks(&host, "brave").await;
    let over = act(&host, &alert, "resolve", json!({})).await;
    assert_eq!(
        (&over["state"], &over["occurrences"], &over["note"]),
        (&json!("resolved"), &json!(2), &json!("on it"))
    );
    for verb in ["resolve", "acknowledge"] {
        let refused = host.post(format!("/v1/alerts/{id}/{verb}"), json!({})).await;
        assert_eq!(refused.status, 409, "{verb}");
    }
    host.publish().await;
    let once = ["alert.triggered", "alert.acknowledged", "alert.resolved"];
    assert_eq!(told(&host).await, once);

    // Within the hour it is opened again, quietly.
    host.app.clock.advance(TimeDelta::minutes(10));
    breaks(&host, "brave").await;
    assert_eq!(list(&host, "?state=open").await.len(), 1);
    assert_eq!(told(&host).await, once);
    let again = list(&host, "?state=open").await.remove(0);
    act(&host, &again, "resolve", json!({})).await;
    host.app.clock.advance(TimeDelta::minutes(70));
    breaks(&host, "brave").await;
    host.publish().await;
    assert_eq!(told(&host).await.last(), Some(&"alert.triggered"));
    assert_eq!(list(&host, "").await.len(), 3);
}

#[tokio::test]
async fn a_snoozed_alert_is_told_again_when_the_time_is_over() {
    let host = Host::start().await;
    rule(&host).await;
    breaks(&host, "brave").await;
    let alert = list(&host, "").await.remove(0);
    let id = alert["id"].as_str().unwrap();
    for (until, why) in [("2020-01-01T00:00:00Z", "past"), ("x", "no time")] {
        let path = format!("/v1/alerts/{id}/snooze");
        let refused = host.post(path, json!({"until": until})).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/until", "{why}");
    }
    let until = json!({"until": "2026-01-01T02:00:00Z"});
    let quiet = act(&host, &alert, "snooze", until).await;
    assert_eq!(quiet["snoozed_until"], "2026-01-01T02:00:00Z");
    breaks(&host, "brave").await;
    host.publish().await;
    assert_eq!(told(&host).await, ["alert.triggered"]);
    host.app.clock.advance(TimeDelta::hours(3));
    breaks(&host, "brave").await;
    host.publish().await;
    assert_eq!(told(&host).await, ["alert.triggered", "alert.triggered"]);
    assert_eq!(list(&host, "").await[0].get("snoozed_until"), None);
}

#[tokio::test]
async fn in_a_mute_window_alerts_are_opened_and_not_told() {
    let host = Host::start().await;
    let rule = rule(&host).await;
    let window = json!({"reason": "the site moves", "ends_at": "2026-01-01T01:00:00Z",
                        "rule_id": rule});
    let made = host.post("/v1/mute-windows", window).await.expect(201);
    breaks(&host, "brave").await;
    host.publish().await;
    assert_eq!((list(&host, "").await.len(), told(&host).await.len()), (1, 0));
    host.app.clock.advance(TimeDelta::hours(1));
    breaks(&host, "perplexity").await;
    host.publish().await;
    assert_eq!(told(&host).await, ["alert.triggered"]);

    let id = made["id"].as_str().unwrap();
    host.delete(format!("/v1/mute-windows/{id}")).await.expect(204);
    assert_eq!(host.delete(format!("/v1/mute-windows/{id}")).await.status, 404);
    let nobody = "019b0000-0000-7000-8000-000000000000";
    for (field, value) in [
        ("ends_at", json!("2020-01-01T00:00:00Z")),
        ("ends_at", json!("2027-01-01T00:00:00Z")),
        ("rule_id", json!(nobody)),
        ("reason", json!("")),
    ] {
        let mut body = json!({"reason": "r", "ends_at": "2026-01-02T00:00:00Z"});
        body[field] = value;
        let refused = host.post("/v1/mute-windows", body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], format!("/{field}"));
    }
}

#[tokio::test]
async fn a_rule_that_is_off_or_gone_opens_nothing() {
    let host = Host::start().await;
    let rule = rule(&host).await;
    let path = format!("/v1/alert-rules/{rule}");
    host.patch(&path, json!({"enabled": false})).await.expect(200);
    breaks(&host, "brave").await;
    assert!(list(&host, "").await.is_empty());
    host.patch(&path, json!({"enabled": true})).await.expect(200);
    breaks(&host, "brave").await;
    host.delete(&path).await.expect(204);
    breaks(&host, "perplexity").await;
    assert_eq!(list(&host, "").await.len(), 1, "what was opened stays");
}
