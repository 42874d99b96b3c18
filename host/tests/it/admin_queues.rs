//! What operators see of queues, lanes, jobs and workers, and what they do to them.

use crate::support::Host;
use aiv::{
    ids::ProcessId,
    store::{
        Store,
        api_keys::Role,
        daily_counts,
        jobs::{self, NewJob, Priority},
        processes::{self, Process},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

const KNOWN: [&str; 9] = [
    "runPrompt",
    "runBatch",
    "dailyAggregations",
    "reanalyseAnswers",
    "exportWorkspace",
    "deleteWorkspace",
    "deliverWebhook",
    "buildReport",
    "copilotPlanner",
];

/// The same host, spoken to by an operator of the platform.
async fn operator(host: &Host) -> Host {
    host.with_key(host.create_key(host.workspace.id, Role::Viewer, &["admin:*"]).await)
}

async fn execute(host: &Host, sql: &str) -> u64 {
    let sql = AssertSqlSafe(sql.to_owned());
    match &host.app.store {
        Store::Postgres(pool) => pool.execute(sql).await.unwrap().rows_affected(),
        Store::Sqlite { writer, .. } => writer.execute(sql).await.unwrap().rows_affected(),
    }
}

/// Puts `count` jobs of a day's counting, due at `run_at`.
async fn put(host: &Host, count: usize, run_at: DateTime<Utc>) {
    let job = NewJob {
        queue: "dailyAggregations",
        lane: String::new(),
        workspace: Some(host.workspace.id),
        priority: Priority::Backfill.value(),
        unique_key: None,
        payload: json!({"workspace": host.workspace.id, "day": "2026-01-01"}),
        run_at,
        max_attempts: 5,
    };
    let mut tx = host.app.store.begin().await.unwrap();
    jobs::insert(&mut tx, &vec![job; count], host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn only_job(host: &Host, queue: &str) -> Value {
    let page = host.get(format!("/v1/admin/queues/{queue}/jobs")).await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page:#}");
    page["data"][0].clone()
}

async fn actions(host: &Host) -> Vec<String> {
    let log = host.get("/v1/admin/audit-log?limit=200").await.expect(200);
    // The components of the plugin folder were put in service before.
    let rows = log["data"].as_array().unwrap().iter();
    rows.filter(|row| row["resource_type"] != "provider")
        .map(|row| row["action"].as_str().unwrap().to_owned())
        .collect()
}

/// A host whose three runs failed for good: it asks vendors without their keys.
async fn with_dead_letters() -> (Host, Host) {
    let host = Host::start_live().await;
    host.seed_demo(1).await;
    host.start_batch(1, "2026-01-01T00").await;
    host.work().await;
    let admin = operator(&host).await;
    (host, admin)
}

#[tokio::test]
async fn the_paths_that_operators_ask_for_are_there() {
    let admin = operator(&Host::start().await).await;
    let system = admin.get("/v1/admin/system").await.expect(200)["system"].clone();
    for path in ["/database", "/queues", "/providers", "/rateLimits", "/budgets", "/memory"] {
        assert!(system.pointer(path).is_some_and(Value::is_object), "{path}: {system:#}");
    }
    assert!(system["uptime"].is_u64());
    assert!(system["memory"]["used"].as_str().unwrap().ends_with("MB"));
    assert_eq!(system["database"]["status"], "connected");
    assert!(
        system["database"]["maxConnections"].as_u64() >= system["database"]["connections"].as_u64()
    );
    for queue in KNOWN {
        for field in ["waiting", "active", "completed", "failed"] {
            assert_eq!(system["queues"][queue][field], 0, "{queue}.{field}");
        }
        assert_eq!(system["queues"][queue]["paused"], false);
    }
    for provider in ["perplexity", "aio", "brave"] {
        let provider = &system["providers"][provider];
        assert_eq!(provider["status"], "unknown", "nothing was asked yet");
        assert!(provider["plugin"]["digest"].as_str().unwrap().starts_with("sha256:"));
    }
    // What is not known is said to be so.
    assert_eq!(system["providers"]["brave"]["success_rate_1h"], Value::Null);
    assert!(system["unknown"]["providers.brave.success_rate_1h"].is_string());
    assert!(system["unknown"]["redis.latency_ms"].is_string());
}

#[tokio::test]
async fn providers_are_told_by_what_became_of_their_runs() {
    let (_, admin) = with_dead_letters().await;
    let system = admin.get("/v1/admin/system").await.expect(200)["system"].clone();
    assert_eq!(system["providers"]["brave"]["status"], "disabled");
    assert_eq!(system["providers"]["brave"]["success_rate_1h"], 0.0);
    assert!(system["providers"]["brave"]["rateLimit"].as_str().unwrap().contains('/'));
    assert_eq!(system["queues"]["runPrompt"]["failed"], 3);
}

#[tokio::test]
async fn a_queue_is_paused_once_and_resumed_once() {
    let admin = operator(&Host::start().await).await;
    let first = admin.post("/v1/admin/queues/runPrompt/pause", json!({})).await.expect(200);
    assert_eq!(first["paused"], true);
    assert!(first["paused_at"].is_string() && first["by"].is_string(), "{first:#}");
    admin.app.clock.advance(TimeDelta::hours(1));
    let again = admin.post("/v1/admin/queues/runPrompt/pause", json!({})).await.expect(200);
    assert_eq!(again, first, "it stays paused since then");
    let seen = admin.get("/v1/admin/queues/runPrompt").await.expect(200);
    assert_eq!(seen["queue"]["paused"], true);
    let system = admin.get("/v1/admin/system").await.expect(200);
    assert_eq!(system["system"]["queues"]["runPrompt"]["paused"], true);

    for _ in 0..2 {
        let resumed = admin.post("/v1/admin/queues/runPrompt/resume", json!({})).await.expect(200);
        assert_eq!(resumed["paused"], false);
        assert_eq!(resumed["paused_at"], Value::Null);
    }
    admin.post("/v1/admin/queues/runBatch/resume", json!({})).await.expect(200);
    assert_eq!(actions(&admin).await, ["queue.resume", "queue.pause"], "deeds, not requests");
}

#[tokio::test]
async fn an_unknown_queue_is_answered_with_those_there_are() {
    let admin = operator(&Host::start().await).await;
    let missing = admin.post("/v1/admin/queues/runPrompts/pause", json!({})).await.expect(404);
    for queue in KNOWN {
        assert!(missing["detail"].as_str().unwrap().contains(queue), "{missing:#}");
    }
    admin.get("/v1/admin/queues/runPrompt/lanes/nobody").await.expect(404);
    admin.post("/v1/admin/queues/runPrompt/lanes/nobody/pause", json!({})).await.expect(404);
    let nobody = uuid::Uuid::now_v7();
    admin.get(format!("/v1/admin/jobs/{nobody}")).await.expect(404);
    admin.post(format!("/v1/admin/jobs/{nobody}/retry"), json!({})).await.expect(404);
    admin.post(format!("/v1/admin/workers/{nobody}/drain"), json!({})).await.expect(404);
    assert!(actions(&admin).await.is_empty());
}

#[tokio::test]
async fn a_lane_is_limited_paused_and_unblocked() {
    let admin = operator(&Host::start_live().await).await;
    let lane = "/v1/admin/queues/runPrompt/lanes/brave";
    let before = admin.get(lane).await.expect(200);
    assert_eq!(before["paused"], false);
    assert!(before["stated_per_minute"].as_f64().unwrap() > 0.0);

    admin.put(lane, json!({"per_minute": 0})).await.expect(422);
    let limits = json!({"per_minute": 300, "burst": 10, "max_in_flight": 50});
    let limited = admin.put(lane, limits).await.expect(200);
    assert_eq!(limited["per_minute"], 300);
    assert_eq!(limited["max_in_flight"], 50);
    let cleared = admin.put(lane, json!({"per_minute": 600})).await.expect(200);
    assert_eq!((&cleared["per_minute"], &cleared["burst"]), (&json!(600), &Value::Null));

    let paused = admin.post(format!("{lane}/pause"), json!({})).await.expect(200);
    assert_eq!((&paused["lane"], &paused["paused"]), (&json!("brave"), &json!(true)));
    assert_eq!(admin.get(lane).await.expect(200)["paused"], true);
    admin.post(format!("{lane}/resume"), json!({})).await.expect(200);

    let sql = "UPDATE lane_control SET throttle = 250, blocked_until = '2026-01-01T01:00:00+00:00'";
    assert_eq!(execute(&admin, sql).await, 1);
    admin.post("/v1/admin/queues/runPrompt/lanes/aio/pause", json!({})).await.expect(200);
    let blocked = admin.get(lane).await.expect(200);
    assert_eq!(blocked["throttle"], 0.25);
    assert!(blocked["blocked_until"].is_string());
    let system = admin.get("/v1/admin/system").await.expect(200)["system"].clone();
    assert_eq!(system["providers"]["brave"]["circuit"], "open");
    assert_eq!(system["providers"]["brave"]["remaining"], 0);
    for _ in 0..2 {
        let open = admin.post(format!("{lane}/unblock"), json!({})).await.expect(200);
        assert_eq!((&open["throttle"], &open["blocked_until"]), (&json!(1.0), &Value::Null));
    }
    let expected =
        ["lane.unblock", "lane.pause", "lane.resume", "lane.pause", "lane.limit", "lane.limit"];
    assert_eq!(actions(&admin).await, expected);
}

#[tokio::test]
async fn counts_are_shared_for_a_while_and_taken_anew_after_a_deed() {
    let admin = operator(&Host::start().await).await;
    let waiting = async || {
        let queue = admin.get("/v1/admin/queues/dailyAggregations").await.expect(200);
        queue["queue"]["waiting"].as_i64().unwrap()
    };
    assert_eq!(waiting().await, 0);
    put(&admin, 3, admin.app.clock.now()).await;
    assert_eq!(waiting().await, 0, "nobody counts for each request");
    admin.post("/v1/admin/queues/runBatch/pause", json!({})).await.expect(200);
    assert_eq!(waiting().await, 3);
}

#[tokio::test]
async fn a_dead_letter_comes_back_with_its_run_and_its_counts() {
    let (host, admin) = with_dead_letters().await;
    let page = admin.get("/v1/admin/queues/runPrompt/jobs?state=failed").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
    let id = page["data"][0]["id"].as_str().unwrap();
    let seen = admin.get(format!("/v1/admin/jobs/{id}")).await.expect(200);
    assert_eq!(seen["job"]["state"], "failed");
    assert_eq!(seen["errors"].as_array().unwrap().len(), 1, "{seen:#}");
    let run = format!("/v1/runs/{}", seen["payload"]["run"].as_str().unwrap());
    assert_eq!(host.get(&run).await.expect(200)["state"], "failed");
    let failed = counted(&host).await;
    assert_eq!(failed, 3);

    let retried = admin.post(format!("/v1/admin/jobs/{id}/retry"), json!({})).await.expect(202);
    assert_eq!((&retried["state"], &retried["attempts"]), (&json!("waiting"), &json!(0)));
    assert!(retried["epoch"].as_i64() > seen["job"]["epoch"].as_i64());
    let again = host.get(&run).await.expect(200);
    assert_eq!(again["state"], "queued");
    assert_eq!(again["error_kind"], Value::Null);
    assert_eq!(counted(&host).await, 2, "it is no failure any more");
    let batches = host.get("/v1/batches").await.expect(200);
    assert_eq!(batches["data"][0]["state"], "running", "its batch is open again");
    admin.post(format!("/v1/admin/jobs/{id}/retry"), json!({})).await.expect(409);

    // By their rates, the lanes may start again.
    host.app.clock.advance(TimeDelta::minutes(1));
    host.work().await;
    assert_eq!(host.get(&run).await.expect(200)["state"], "failed");
    assert_eq!(counted(&host).await, 3, "counted once, not twice");
    let batches = host.get("/v1/batches").await.expect(200);
    assert_eq!(batches["data"][0]["state"], "completed");
    let seen = admin.get(format!("/v1/admin/jobs/{id}")).await.expect(200);
    assert_eq!(seen["errors"].as_array().unwrap().len(), 2, "both lives are told");
    assert_eq!(actions(&admin).await, ["job.retry"]);
}

/// Failures that the day counts; what was added must be what a rebuild finds.
async fn counted(host: &Host) -> i64 {
    let day = host.workspace.day(host.app.clock.now());
    let mut tx = host.app.store.begin().await.unwrap();
    let added = daily_counts::prompts(&mut tx, host.workspace.id, day, day).await.unwrap();
    daily_counts::rebuild(&mut tx, host.workspace.id, day).await.unwrap();
    let found = daily_counts::prompts(&mut tx, host.workspace.id, day, day).await.unwrap();
    let rows = |rows: &[daily_counts::PromptRow]| -> Vec<_> {
        rows.iter().map(|row| (row.engine.clone(), row.prompt_id, row.counts)).collect()
    };
    assert_eq!(rows(&added), rows(&found));
    added.iter().map(|row| row.counts.failed).sum()
}

#[tokio::test]
async fn dead_letters_come_back_together_or_are_purged() {
    let (host, admin) = with_dead_letters().await;
    let retry = "/v1/admin/queues/runPrompt/failed/retry";
    let some = admin.post(retry, json!({"lane": "brave"})).await.expect(200);
    assert_eq!(some["retried"], 1);
    let none = admin.post(retry, json!({"lane": "brave"})).await.expect(200);
    assert_eq!(none["retried"], 0);
    let one = admin.post(retry, json!({"limit": 1})).await.expect(200);
    assert_eq!(one["retried"], 1);
    assert_eq!(counted(&host).await, 1);
    admin.post(retry, json!({"limit": 0})).await.expect(422);

    let purge = "/v1/admin/queues/runPrompt/failed/purge";
    admin.post(purge, json!({})).await.expect(422);
    let young = admin.post(purge, json!({"older_than_s": 60})).await.expect(200);
    assert_eq!(young["removed"], 0);
    admin.app.clock.advance(TimeDelta::minutes(2));
    let old = admin.post(purge, json!({"older_than_s": 60})).await.expect(200);
    assert_eq!(old["removed"], 1);
    let page = admin.get("/v1/admin/queues/runPrompt/jobs?state=failed").await.expect(200);
    assert_eq!(page["data"], json!([]));
    let expected = ["queue.purge", "queue.retry_failed", "queue.retry_failed"];
    assert_eq!(actions(&admin).await, expected);
}

#[tokio::test]
async fn a_run_of_a_cancelled_batch_stays_dead() {
    let (host, admin) = with_dead_letters().await;
    execute(&host, "UPDATE batches SET state = 'cancelled'").await;
    let retry = "/v1/admin/queues/runPrompt/failed/retry";
    assert_eq!(admin.post(retry, json!({})).await.expect(200)["retried"], 0);
    let page = admin.get("/v1/admin/queues/runPrompt/jobs?state=failed").await.expect(200);
    let id = page["data"][0]["id"].as_str().unwrap();
    admin.post(format!("/v1/admin/jobs/{id}/retry"), json!({})).await.expect(409);
    assert_eq!(counted(&host).await, 3);
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_with_its_run_and_one_in_hand_is_not() {
    let (host, admin) = with_dead_letters().await;
    admin.post("/v1/admin/queues/runPrompt/failed/retry", json!({})).await.expect(200);
    let page = admin.get("/v1/admin/queues/runPrompt/jobs?state=waiting").await.expect(200);
    let ids: Vec<&str> =
        page["data"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();

    execute(&host, "UPDATE jobs SET state = 'running' WHERE lane = 'aio'").await;
    let held = admin.get("/v1/admin/queues/runPrompt/jobs?state=active").await.expect(200);
    let held = held["data"][0]["id"].as_str().unwrap();
    let refused = admin.post(format!("/v1/admin/jobs/{held}/cancel"), json!({})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("pause the lane"), "{refused:#}");
    execute(&host, "UPDATE jobs SET state = 'available' WHERE lane = 'aio'").await;

    for id in ids {
        let done = admin.post(format!("/v1/admin/jobs/{id}/cancel"), json!({})).await.expect(200);
        assert_eq!(done["state"], "cancelled");
        admin.post(format!("/v1/admin/jobs/{id}/cancel"), json!({})).await.expect(409);
    }
    let runs = host.get("/v1/runs?state=cancelled").await.expect(200);
    assert_eq!(runs["data"].as_array().unwrap().len(), 3);
    let batches = host.get("/v1/batches").await.expect(200);
    assert_eq!(batches["data"][0]["state"], "completed", "nothing of it is left to do");
}

#[tokio::test]
async fn a_tenant_calls_off_a_run_that_was_not_asked() {
    let (host, admin) = with_dead_letters().await;
    let runs = host.get("/v1/runs").await.expect(200);
    let ended = runs["data"][0]["id"].as_str().unwrap();
    host.post(format!("/v1/runs/{ended}/cancel"), json!({})).await.expect(409);
    admin.post("/v1/admin/queues/runPrompt/failed/retry", json!({})).await.expect(200);

    let path = format!("/v1/runs/{ended}/cancel");
    host.other_workspace().await.post(&path, json!({})).await.expect(404);
    let viewer = host.create_key(host.workspace.id, Role::Viewer, &[]).await;
    host.with_key(viewer).post(&path, json!({})).await.expect(403);
    let run = host.post(&path, json!({})).await.expect(200);
    assert_eq!(run["state"], "cancelled");
    host.post(&path, json!({})).await.expect(409);
    let log = host.get("/v1/audit-log?action=run.cancel").await.expect(200);
    assert_eq!(log["data"][0]["resource_id"], ended);

    // Its job finds it so, and asks nobody.
    host.app.clock.advance(TimeDelta::minutes(1));
    host.work().await;
    assert_eq!(host.get(format!("/v1/runs/{ended}")).await.expect(200)["state"], "cancelled");
}

#[tokio::test]
async fn a_delayed_job_is_brought_forward() {
    let admin = operator(&Host::start().await).await;
    put(&admin, 1, admin.app.clock.now() + TimeDelta::hours(1)).await;
    let job = only_job(&admin, "dailyAggregations").await;
    assert_eq!(job["state"], "delayed");
    let path = format!("/v1/admin/jobs/{}/promote", job["id"].as_str().unwrap());
    let due = admin.post(&path, json!({})).await.expect(200);
    assert_eq!((&due["state"], &due["epoch"]), (&json!("waiting"), &json!(1)));
    admin.post(&path, json!({})).await.expect(409);
    assert_eq!(actions(&admin).await, ["job.promote"]);
}

#[tokio::test]
async fn a_worker_is_asked_to_drain() {
    let admin = operator(&Host::start().await).await;
    let now = admin.app.clock.now();
    let process = Process {
        id: ProcessId::generate(),
        role: "worker".into(),
        host: "h1".into(),
        pid: 7,
        version: "0.1.0".into(),
        concurrency: 8,
        in_flight: 1,
        draining: false,
        started_at: now,
        seen_at: now,
        provider_generation: 0,
    };
    let mut tx = admin.app.store.begin().await.unwrap();
    processes::beat(&mut tx, &process).await.unwrap();
    tx.commit().await.unwrap();
    let seen = admin.get("/v1/admin/workers").await.expect(200);
    assert_eq!(
        (&seen["data"][0]["alive"], &seen["data"][0]["draining"]),
        (&json!(true), &json!(false))
    );
    let path = format!("/v1/admin/workers/{}/drain", process.id);
    assert_eq!(admin.post(path, json!({})).await.expect(200)["draining"], true);

    // What it says of itself next does not undo it.
    let mut tx = admin.app.store.begin().await.unwrap();
    processes::beat(&mut tx, &process).await.unwrap();
    assert!(processes::is_draining(&mut tx, process.id).await.unwrap());
    tx.commit().await.unwrap();
    admin.app.clock.advance(TimeDelta::minutes(1));
    let seen = admin.get("/v1/admin/workers").await.expect(200);
    assert_eq!(seen["data"][0]["alive"], false);
}

#[tokio::test]
async fn work_that_nobody_does_shows() {
    let host = Host::start().await;
    put(&host, 1, host.app.clock.now() - TimeDelta::minutes(6)).await;
    let ready = host.anonymous().get("/readyz").await.expect(200);
    assert_eq!((&ready["status"], &ready["queues"]), (&json!("ready"), &json!("degraded")));

    // What an operator holds back is not late.
    let admin = operator(&host).await;
    admin.post("/v1/admin/queues/dailyAggregations/pause", json!({})).await.expect(200);
    let ready = host.with_key("").anonymous().get("/readyz").await.expect(200);
    assert_eq!(ready["queues"], "healthy");
}

#[tokio::test]
async fn tenants_see_nothing_of_the_platform() {
    let host = Host::start().await;
    let id = uuid::Uuid::now_v7().to_string();
    let document = aiv::api::openapi();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/admin/") {
            continue;
        }
        let path = path.replace("{queue}", "runPrompt").replace("{lane}", "brave");
        let path = path.replace("{job}", &id).replace("{worker}", &id);
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = host.send(method.clone(), &path, Some(json!({}))).await;
            assert_eq!(answer.status, 403, "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked >= 20, "{asked}");
    assert!(actions(&operator(&host).await).await.is_empty());
}
