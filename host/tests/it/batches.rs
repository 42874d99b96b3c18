//! Asking over the API: a batch, its runs, their answers and the numbers.

use crate::support::{Answer, Host};
use serde_json::json;

#[tokio::test]
async fn a_batch_is_planned_started_watched_and_counted() {
    let host = Host::start().await;
    host.seed_demo(4).await;

    let plan = host.post("/v1/batches", json!({"samples": 2, "dry_run": true})).await.expect(200);
    assert_eq!(plan["planned"], 4 * 3 * 2);
    assert!(plan["estimated_cost_micros"].as_i64().unwrap() > 0);
    assert_eq!(host.get("/v1/batches").await.expect(200)["data"], json!([]));

    let answer = host.post("/v1/batches", json!({"samples": 2, "slot": "monday"})).await;
    let path = answer.header("location").unwrap().to_owned();
    let batch = answer.expect(202);
    assert_eq!((&batch["planned"], &batch["slot"]), (&json!(24), &json!("monday")));
    let early = host.get(&path).await.expect(200);
    assert_eq!((&early["state"], &early["progress"]), (&json!("expanding"), &json!(0.0)));

    host.work().await;
    let done = host.get(&path).await.expect(200);
    assert_eq!((&done["state"], &done["progress"]), (&json!("completed"), &json!(1.0)));
    assert_eq!(done["runs"]["succeeded"], 24);
    assert!(done["cost_micros"].as_i64().unwrap() > 0);
    let cancelled = host.post(format!("{path}/cancel"), json!(null)).await;
    assert_eq!((cancelled.status, &cancelled.body["code"]), (409, &json!("conflict")));

    let id = batch["id"].as_str().unwrap();
    let runs = host.get(format!("/v1/runs?batch={id}&engine=perplexity&limit=5")).await.expect(200);
    assert_eq!((runs["data"].as_array().unwrap().len(), &runs["has_more"]), (5, &json!(true)));
    let run_id = runs["data"][0]["id"].as_str().unwrap().to_owned();
    let run = host.get(format!("/v1/runs/{run_id}")).await.expect(200);
    assert_eq!((&run["state"], &run["synthetic"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(run["attempts"].as_array().unwrap().len(), 1);
    assert!(run["provider_version"].is_string() && run["provider_digest"].is_string());

    let answer = host.get(format!("/v1/answers/{run_id}")).await.expect(200);
    assert_eq!(answer["id"], run_id.as_str());
    assert!(answer["passport"].is_object());
    let text = answer["text"].as_str().unwrap();
    for mention in answer["mentions"].as_array().unwrap() {
        let start = usize::try_from(mention["start"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(mention["length"].as_u64().unwrap()).unwrap();
        assert!(text.get(start..start + length).is_some(), "a span lies outside the text");
        assert!(mention["brand"].is_string());
    }

    let other = host.other_workspace().await;
    for path in [path, format!("/v1/runs/{run_id}"), format!("/v1/answers/{run_id}")] {
        assert_eq!(other.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(other.get("/v1/runs").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_batch_is_cancelled_before_it_spends() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    let answer = host.post("/v1/batches", json!({})).await;
    let path = answer.header("location").unwrap().to_owned();
    answer.expect(202);
    let cancelled = host.post(format!("{path}/cancel"), json!(null)).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    host.work().await;
    let after = host.get(&path).await.expect(200);
    assert_eq!((&after["state"], &after["cost_micros"]), (&json!("cancelled"), &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let host = Host::start().await;
    let none = host.post("/v1/batches", json!({})).await.expect(422);
    assert_eq!(none["errors"][0]["pointer"], "/engines");
    host.seed_demo(1).await;
    for (body, pointer) in [
        (json!({"samples": 0}), "/samples"),
        (json!({"samples": 21}), "/samples"),
        (json!({"engines": ["bing"]}), "/engines/0"),
        (json!({"engines": []}), "/engines"),
        (json!({"prompt_ids": ["019b0000-0000-7000-8000-000000000000"]}), "/prompt_ids/0"),
        (json!({"prompt_ids": ["x"]}), "/prompt_ids/0"),
    ] {
        let refused = host.post("/v1/batches", body.clone()).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_repeated_batch_is_paid_for_once() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let send = || async {
        let request = host
            .client
            .post("/v1/batches")
            .header("x-api-key", host.key())
            .header("idempotency-key", "b-1")
            .body_json(&json!({"samples": 1}));
        Answer::of(request.send().await).await
    };
    let (first, again) = (send().await.expect(202), send().await.expect(202));
    assert_eq!(first, again);
    assert_eq!(host.get("/v1/batches").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_spent_budget_starts_no_batch_and_skips_the_runs_that_wait() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    let workspace = format!("/v1/workspaces/{}", host.workspace.id);
    let waiting = host.post("/v1/batches", json!({"samples": 2})).await.expect(202);
    host.patch(&workspace, json!({"daily_budget_micros": 0})).await.expect(200);

    let refused = host.post("/v1/batches", json!({})).await;
    assert_eq!((refused.status, &refused.body["code"]), (402, &json!("budget_exceeded")));
    assert_eq!(host.get("/v1/batches").await.expect(200)["data"].as_array().unwrap().len(), 1);

    host.work().await;
    let id = waiting["id"].as_str().unwrap();
    let ended = host.get(format!("/v1/batches/{id}")).await.expect(200);
    assert_eq!((&ended["state"], &ended["runs"]["skipped"]), (&json!("completed"), &json!(12)));
    assert_eq!(ended["cost_micros"], 0);
}

#[tokio::test]
async fn a_plan_says_whether_it_can_be_paid() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    let plan = async |engines: serde_json::Value| {
        host.post("/v1/batches", json!({"engines": engines, "dry_run": true})).await
    };
    let free = plan(json!(["perplexity", "brave"])).await.expect(200);
    assert_eq!((&free["budget"]["fits"], free["budget"].get("left_micros")), (&json!(true), None));
    let sum: i64 = free["budget"]["engines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|engine| engine["estimated_cost_micros"].as_i64().unwrap())
        .sum();
    assert_eq!(free["estimated_cost_micros"], sum);

    let workspace = format!("/v1/workspaces/{}", host.workspace.id);
    host.patch(&workspace, json!({"daily_budget_micros": 1})).await.expect(200);
    let tight = plan(json!(["perplexity"])).await.expect(200);
    assert_eq!(
        (&tight["budget"]["fits"], &tight["budget"]["left_micros"]),
        (&json!(false), &json!(1))
    );
    host.patch(&workspace, json!({"daily_budget_micros": null})).await.expect(200);

    for engine in ["perplexity", "brave"] {
        let path = format!("/v1/engines/{engine}");
        let known = host.get(&path).await.expect(200);
        let body = json!({
            "enabled": true, "surface": known["surface"], "config": {}, "concurrency": 8,
            "daily_budget_micros": 0,
        });
        host.put(&path, body).await.expect(200);
    }
    // One engine that can be asked is enough to go on.
    let some = plan(json!(["perplexity", "aio"])).await.expect(200);
    assert_eq!(
        (&some["budget"]["fits"], &some["budget"]["engines"][0]["fits"]),
        (&json!(false), &json!(true))
    );
    let none = plan(json!(["perplexity", "brave"])).await;
    assert_eq!((none.status, &none.body["code"]), (402, &json!("budget_exceeded")));
    let none = host.post("/v1/batches", json!({"engines": ["perplexity", "brave"]})).await;
    assert_eq!(none.status, 402);
    assert_eq!(host.get("/v1/batches").await.expect(200)["data"], json!([]));
}
