//! Schedules over the API.

use crate::support::{Answer, Host};
use aiv::{
    ids::ProcessId,
    jobs::{retention, schedules::Scheduler},
    store::api_keys::Role,
};
use chrono::TimeDelta;
use poem::http::Method;
use serde_json::{Value, json};

fn morning() -> Value {
    json!({"name": "every morning", "cron": "30 6 * * *", "timezone": "Europe/Copenhagen"})
}

async fn create(host: &Host, body: Value) -> (String, Value) {
    let answer = host.post("/v1/schedules", body).await;
    let path = answer.header("location").unwrap_or_default().to_owned();
    (path, answer.expect(201))
}

#[tokio::test]
async fn a_schedule_is_made_changed_fired_and_deleted() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let (path, made) = create(&host, morning()).await;
    assert_eq!((&made["kind"], &made["catch_up"]), (&json!("run_batch"), &json!("one")));
    assert_eq!(
        made["next"],
        json!({
            "slot": "2026-01-01T05:30:00Z",
            "local_time": "2026-01-01T06:30",
            "starts_at": "2026-01-01T05:30:00Z",
        })
    );
    let found = host.get(&path).await;
    assert_eq!(found.header("etag"), Some("\"1\""));
    assert_eq!(found.expect(200), made);

    let hourly = json!({"cron": "@hourly", "timezone": "UTC", "jitter_seconds": 600});
    let changed = host.patch(&path, hourly).await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let changed = changed.expect(200);
    assert_eq!(changed["next"]["slot"], "2026-01-01T01:00:00Z");
    assert_ne!(changed["next"]["starts_at"], changed["next"]["slot"]);

    host.app.clock.advance(TimeDelta::minutes(70));
    let mut scheduler = Scheduler::new(host.app.clone(), ProcessId::generate());
    scheduler.pass().await.unwrap();
    let fires = host.get(format!("{path}/fires")).await.expect(200);
    let fire = &fires["data"][0];
    assert_eq!(fires["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&fire["slot"], &fire["outcome"]),
        (&json!("2026-01-01T01:00:00Z"), &json!("started"))
    );
    let batch = host.get(format!("/v1/batches/{}", fire["batch_id"].as_str().unwrap())).await;
    assert_eq!(batch.expect(200)["slot"], fire["slot"]);
    host.work().await;

    let off = host.patch(&path, json!({"enabled": false})).await.expect(200);
    assert!(off.get("next").is_none(), "{off:#}");
    host.delete(&path).await.expect(204);
    assert_eq!(host.get(&path).await.status, 404);
    assert_eq!(host.get(format!("{path}/fires")).await.status, 404);

    let log = host.get("/v1/audit-log").await.expect(200);
    let rows = log["data"].as_array().unwrap().iter();
    let told: Vec<_> = rows.map(|row| row["action"].as_str().unwrap()).collect();
    let update = "schedule.update";
    assert_eq!(told, ["schedule.delete", update, update, "schedule.create"]);
}

#[tokio::test]
async fn a_bad_schedule_is_refused_with_what_is_wrong() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let nobody = "019b0000-0000-7000-8000-000000000000";
    for (field, value, pointer, part) in [
        ("cron", json!("0 0 9 * * *"), "/cron", "seconds"),
        ("cron", json!("61 * * * *"), "/cron", "cannot be read"),
        ("cron", json!("*/2 * * * *"), "/cron", "shortest"),
        ("cron", json!("0 0 31 2 *"), "/cron", "never fire"),
        ("timezone", json!("Mars/Olympus"), "/timezone", "IANA"),
        ("name", json!(" "), "/name", "visible"),
        ("name", json!("Daily Aggregations"), "/name", "every workspace"),
        ("jitter_seconds", json!(3601), "/jitter_seconds", ""),
        ("catch_up", json!("some"), "/catch_up", ""),
        ("batch", json!({"samples": 0}), "/batch/samples", ""),
        ("batch", json!({"engines": ["bing"]}), "/batch/engines/0", "no enabled engine"),
        ("batch", json!({"prompt_ids": [nobody]}), "/batch/prompt_ids/0", "no active prompt"),
        ("batch", json!({"slot": "x"}), "/batch/slot", ""),
    ] {
        let mut body = morning();
        body[field] = value;
        let refused = host.post("/v1/schedules", body.clone()).await.expect(422);
        let error = &refused["errors"][0];
        assert_eq!(error["pointer"], pointer, "{body}: {refused:#}");
        assert!(error["detail"].as_str().unwrap().contains(part), "{refused:#}");
    }
    assert_eq!(host.get("/v1/schedules").await.expect(200)["data"], json!([]));

    let (path, made) = create(&host, morning()).await;
    let twice = host.post("/v1/schedules", morning()).await;
    assert_eq!((twice.status, &twice.body["code"]), (409, &json!("exists")));
    let refused = host.patch(&path, json!({"cron": "nonsense"})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/cron");
    create(&host, json!({"name": "other", "cron": "@daily"})).await;
    let taken = host.patch(&path, json!({"name": "other"})).await;
    assert_eq!((taken.status, &taken.body["code"]), (409, &json!("exists")));
    assert_eq!(host.get(&path).await.expect(200), made);
}

#[tokio::test]
async fn a_schedule_may_wait_for_something_to_ask() {
    let host = Host::start().await;
    let (_, made) = create(&host, json!({"name": "early", "cron": "@weekly"})).await;
    assert_eq!(
        (&made["timezone"], &made["batch"]),
        (&json!("UTC"), &json!({"tags": [], "samples": 1}))
    );
}

#[tokio::test]
async fn a_repeated_creation_makes_one() {
    let host = Host::start().await;
    let send = || async {
        let request = host
            .client
            .post("/v1/schedules")
            .header("x-api-key", host.key())
            .header("idempotency-key", "s-1")
            .body_json(&morning());
        Answer::of(request.send().await).await
    };
    let (first, again) = (send().await.expect(201), send().await.expect(201));
    assert_eq!(first, again);
    assert_eq!(host.get("/v1/schedules").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_schedule_changes_only_from_the_version_that_was_read() {
    let host = Host::start().await;
    let (path, _) = create(&host, morning()).await;
    host.patch(&path, json!({"enabled": false})).await.expect(200);
    for method in [Method::PATCH, Method::DELETE] {
        let mut request = host.client.request(method.clone(), &path);
        request = request.header("x-api-key", host.key()).header("if-match", "\"1\"");
        if method == Method::PATCH {
            request = request.body_json(&json!({"enabled": true}));
        }
        let stale = Answer::of(request.send().await).await;
        assert_eq!((stale.status, &stale.body["code"]), (412, &json!("changed")), "{method}");
    }
    assert_eq!(host.get(&path).await.expect(200)["enabled"], false);
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let host = Host::start().await;
    let (path, _) = create(&host, morning()).await;
    let viewer = host.with_key(host.create_key(host.workspace.id, Role::Viewer, &[]).await);
    viewer.get(&path).await.expect(200);
    viewer.get(format!("{path}/fires")).await.expect(200);
    viewer.post("/v1/schedules/preview", json!({"cron": "@daily"})).await.expect(200);
    assert_eq!(viewer.post("/v1/schedules", morning()).await.status, 403);
    assert_eq!(viewer.patch(&path, json!({"enabled": false})).await.status, 403);
    assert_eq!(viewer.delete(&path).await.status, 403);

    let other = host.other_workspace().await;
    assert_eq!(other.get("/v1/schedules").await.expect(200)["data"], json!([]));
    assert_eq!(other.get(&path).await.status, 404);
    assert_eq!(other.delete(&path).await.status, 404);
    host.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_preview_tells_the_slots_where_clocks_change() {
    let host = Host::start().await;
    let preview = json!({
        "cron": "30 2 * * *",
        "timezone": "Europe/Copenhagen",
        "after": "2026-03-28T00:00:00Z",
        "count": 3,
    });
    let slots = host.post("/v1/schedules/preview", preview).await.expect(200);
    assert_eq!(
        slots["data"],
        json!([
            {"slot": "2026-03-28T01:30:00Z", "local_time": "2026-03-28T02:30"},
            {"slot": "2026-03-29T01:00:00Z", "local_time": "2026-03-29T02:30"},
            {"slot": "2026-03-30T00:30:00Z", "local_time": "2026-03-30T02:30"},
        ])
    );
    let refused = host.post("/v1/schedules/preview", json!({"cron": "x"})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/cron");
}

#[tokio::test]
async fn a_workspace_has_so_many_schedules() {
    let host = Host::start().await;
    for number in 0..200 {
        create(&host, json!({"name": format!("schedule {number}"), "cron": "@daily"})).await;
    }
    let one_more = json!({"name": "one more", "cron": "@daily"});
    let refused = host.post("/v1/schedules", one_more.clone()).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("200"), "{refused:#}");
    create(&host.other_workspace().await, one_more).await;
}

#[tokio::test]
async fn old_fires_are_forgotten() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let (path, _) = create(&host, morning()).await;
    let mut scheduler = Scheduler::new(host.app.clone(), ProcessId::generate());
    host.app.clock.advance(TimeDelta::hours(6));
    scheduler.pass().await.unwrap();
    let fires = async || {
        let fires = host.get(format!("{path}/fires")).await.expect(200);
        fires["data"].as_array().unwrap().len()
    };
    assert_eq!(fires().await, 1);
    for (days, left) in [(89, 1), (2, 0)] {
        host.app.clock.advance(TimeDelta::days(days));
        retention::sweep(&host.app, ProcessId::generate()).await.unwrap();
        assert_eq!(fires().await, left, "{days} days later");
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let host = Host::start().await;
    for name in ["a", "b", "c"] {
        create(&host, json!({"name": name, "cron": "@daily"})).await;
    }
    let first = host.get("/v1/schedules?limit=2").await.expect(200);
    assert_eq!((first["data"].as_array().unwrap().len(), &first["has_more"]), (2, &json!(true)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = host.get(format!("/v1/schedules?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((&rest["data"][0]["name"], &rest["has_more"]), (&json!("c"), &json!(false)));
}
