//! Alert rules: what they may look at.

use crate::support::{Answer, Host};
use aiv::{
    jobs::{DailyAggregations, Job},
    store::{
        api_keys::Role,
        brands,
        citations::DomainNumbers,
        daily_counts::{self, Additions, BrandDay, Cell, PromptDay},
        events::{self, EventType},
        prompts,
    },
};
use chrono::{Days, NaiveDate, TimeDelta};
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

/// The last complete day at the time of the test.
fn yesterday(host: &Host) -> NaiveDate {
    host.workspace.day(host.app.clock.now()).pred_opt().unwrap()
}

/// Thirty prompts, asked twice a day at one engine: on how many of 30 an answer names the brand, in
/// the week up to two days ago and in the one before.
async fn measured(host: &Host, brand: &Value, before: usize, after: usize) {
    let mut tx = host.app.store.begin().await.unwrap();
    let all = brands::tracked(&mut tx, host.workspace.id).await.unwrap();
    let number = all.iter().find(|found| json!(found.id) == *brand).unwrap().number;
    let active = prompts::active(&mut tx, host.workspace.id).await.unwrap();
    let mut additions = Additions::default();
    for back in 1..14 {
        let day = yesterday(host) - Days::new(back);
        let named = if back < 7 { after } else { before };
        for (index, prompt) in active.iter().enumerate() {
            let cell = Cell { workspace: host.workspace.id, day, engine: "perplexity".into() };
            let counts = PromptDay { answered: 2, ..PromptDay::default() };
            additions.prompts.insert((cell.clone(), prompt.id), counts);
            // Not the same ones each day, so that there is noise as there always is.
            let hits = (index + usize::try_from(back).unwrap()) % 30 < named;
            let counts = BrandDay { named: i64::from(hits), ..BrandDay::default() };
            additions.brands.insert((cell, prompt.id, number), counts);
        }
    }
    daily_counts::add(&mut tx, &additions, &DomainNumbers::new()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count_day(host: &Host, day: NaiveDate) {
    let job = DailyAggregations { workspace: host.workspace.id, day };
    let now = host.app.clock.now();
    let mut tx = host.app.store.begin().await.unwrap();
    host.app.queue.enqueue(&mut tx, &[job.queued(&host.app).unwrap()], now).await.unwrap();
    tx.commit().await.unwrap();
    host.work_until_idle().await;
    host.publish().await;
}

async fn alerts(host: &Host) -> Vec<(String, i64)> {
    let list = host.get("/v1/alerts").await.expect(200);
    let mut titles: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| {
            let title = alert["title"].as_str().unwrap().to_owned();
            (title, alert["occurrences"].as_i64().unwrap())
        })
        .collect();
    titles.sort();
    titles
}

async fn told(host: &Host) -> usize {
    let mut conn = host.app.store.read().await.unwrap();
    let all = events::list(&mut conn, host.workspace.id, 0, 100).await.unwrap();
    all.iter().filter(|event| event.kind == EventType::AlertTriggered).count()
}

/// A host with thirty prompts, and its brand.
async fn with_prompts() -> (Host, Value) {
    let host = Host::start().await;
    for number in 0..30 {
        let text = json!({"text": format!("Which tool is best for task {number}?")});
        host.post("/v1/prompts", text).await.expect(201);
    }
    host.put("/v1/engines/perplexity", json!({})).await.expect(200);
    let brand = host.post("/v1/brands", json!({"name": "Acme", "kind": "own"})).await;
    let brand = brand.expect(201)["id"].clone();
    (host, brand)
}

async fn rule(host: &Host, brand: &Value, name: &str, comparison: &str, threshold: f64) -> Value {
    let mut body = metric(&json!({
        "metric": "mention_rate", "brand_id": brand, "comparison": comparison,
        "threshold": threshold,
    }));
    body["name"] = json!(name);
    host.post("/v1/alert-rules", body).await.expect(201)["id"].clone()
}

#[tokio::test]
async fn a_number_that_moved_beyond_chance_raises_an_alert_once() {
    let (host, brand) = with_prompts().await;
    // Of the answers, 40 % named it and 10 % do.
    measured(&host, &brand, 24, 6).await;
    rule(&host, &brand, "fell", "drops_by", 0.2).await;
    rule(&host, &brand, "fell by more", "drops_by", 0.35).await;
    rule(&host, &brand, "rose", "rises_by", 0.1).await;
    rule(&host, &brand, "low", "below", 0.3).await;
    rule(&host, &brand, "not that low", "below", 0.1).await;
    let muted = rule(&host, &brand, "muted", "below", 0.3).await;
    let day = yesterday(&host);
    let window = json!({
        "rule_id": muted, "reason": "we know", "starts_at": "2025-12-31T00:00:00Z",
        "ends_at": "2026-02-01T00:00:00Z",
    });
    host.post("/v1/mute-windows", window).await.expect(201);

    // What is counted too late is history.
    count_day(&host, day.pred_opt().unwrap() - Days::new(20)).await;
    assert_eq!(alerts(&host).await, []);
    let open = ["fell", "low", "muted"].map(|name| (name.to_owned(), 1));
    for _ in 0..2 {
        count_day(&host, day).await;
        assert_eq!(alerts(&host).await, open, "once for a day, however often it is counted");
        assert_eq!(told(&host).await, 2, "a muted rule is not told");
    }
    let list = host.get("/v1/alerts").await.expect(200);
    let fell = list["data"].as_array().unwrap().iter().find(|a| a["title"] == "fell").unwrap();
    let change = &fell["evidence"]["change"];
    assert!(change["high"].as_f64().unwrap() < -0.2, "{fell:#}");
    assert_eq!(fell["evidence"]["window"]["to"], json!(day));

    host.app.clock.advance(TimeDelta::days(1));
    count_day(&host, yesterday(&host)).await;
    let again: Vec<i64> = alerts(&host).await.into_iter().map(|(_, times)| times).collect();
    assert_eq!(again, [2, 2, 2], "the next day counts on the same alerts");
    assert_eq!(told(&host).await, 2);
}

#[tokio::test]
async fn what_chance_explains_raises_none() {
    let (host, brand) = with_prompts().await;
    // Half a point apart, and about a half of what is asked for.
    measured(&host, &brand, 16, 15).await;
    rule(&host, &brand, "fell", "drops_by", 0.01).await;
    rule(&host, &brand, "low", "below", 0.26).await;
    count_day(&host, yesterday(&host)).await;
    assert_eq!(alerts(&host).await, []);
    // A change needs three days to be told from a day's news.
    let body = metric(&json!({
        "metric": "mention_rate", "brand_id": brand, "comparison": "drops_by", "days": 2,
        "threshold": 0.1,
    }));
    let refused = host.post("/v1/alert-rules", body).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/condition/days");
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let host = Host::start().await;
    host.post("/v1/alert-rules", event_rule()).await.expect(201);
    let viewer = host.with_key(host.create_key(host.workspace.id, Role::Viewer, &[]).await);
    viewer.get("/v1/alert-rules").await.expect(200);
    assert_eq!(viewer.post("/v1/alert-rules", event_rule()).await.status, 403);
}
