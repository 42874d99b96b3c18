//! Stored answers read again.

use crate::support::Host;
use aiv::store::{Store, api_keys::Role, daily_counts};
use serde_json::{Value, json};
use sqlx::Row;

/// Every count of the workspace, as text.
async fn counts(host: &Host) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["daily_prompt_counts", "daily_brand_counts", "daily_domain_counts"] {
        // Both engines write a row as JSON, if not alike: it is compared with itself.
        all.extend(match &host.app.store {
            Store::Postgres(pool) => {
                let sql = format!("SELECT row_to_json(t)::text FROM {table} t ORDER BY 1");
                let sql = sqlx::AssertSqlSafe(sql);
                let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
            }
            Store::Sqlite { readers, .. } => {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns: Vec<(String,)> =
                    sqlx::query_as(sqlx::AssertSqlSafe(columns)).fetch_all(readers).await.unwrap();
                let columns: Vec<String> =
                    columns.iter().map(|(name,)| format!("quote(\"{name}\")")).collect();
                let sql = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(" || ',' || "));
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(readers).await.unwrap();
                rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
            }
        });
    }
    all
}

async fn analyse(host: &Host, body: Value) -> Value {
    let answer = host.post("/v1/analyses", body).await;
    let path = answer.header("location").unwrap().to_owned();
    answer.expect(202);
    host.work().await;
    host.get(path).await.expect(200)
}

#[tokio::test]
async fn a_new_competitor_is_found_in_old_answers_without_asking_anybody() {
    let host = Host::start().await;
    host.seed_demo(6).await;
    host.start_batch(2, "monday").await;
    host.work().await;
    let spent = host.get("/v1/costs").await.expect(200)["total_micros"].clone();
    let first = counts(&host).await;

    // Everything is up to date: there is nothing to read.
    let idle = analyse(&host, json!({"period": "7d"})).await;
    assert_eq!((&idle["state"], &idle["planned"]), (&json!("completed"), &json!(0)));
    // Read again all the same, it says the same, and so do the counts.
    let same = analyse(&host, json!({"period": "7d", "everything": true})).await;
    assert!(same["analysed"].as_i64().unwrap() > 10 && same["changed"] == 0, "{same:#}");
    assert_eq!((&same["unreadable"], &same["progress"]), (&json!(0), &json!(1.0)));
    assert_eq!(same["mentions"]["before"], same["mentions"]["after"]);
    assert_eq!(counts(&host).await, first);

    // A brand is tracked no more, and then again: its mentions go and come.
    let brands = host.get("/v1/brands").await.expect(200);
    let gone = brands["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|brand| brand["kind"] == "competitor")
        .unwrap()
        .clone();
    host.delete(format!("/v1/brands/{}", gone["id"].as_str().unwrap())).await;
    let less = analyse(&host, json!({"period": "7d"})).await;
    assert!(less["changed"].as_i64().unwrap() > 0, "{less:#}");
    let (before, after) = (&less["mentions"]["before"], &less["mentions"]["after"]);
    assert!(after.as_i64() < before.as_i64(), "{less:#}");
    let body = json!({
        "name": gone["name"], "kind": "competitor", "aliases": gone["aliases"],
        "domains": gone["domains"],
    });
    host.post("/v1/brands", body).await.expect(201);
    let more = analyse(&host, json!({"period": "7d"})).await;
    assert_eq!(more["mentions"]["after"], less["mentions"]["before"]);

    // Counted as it went and counted anew are the same.
    let now = counts(&host).await;
    let mut tx = host.app.store.begin().await.unwrap();
    let day = host.workspace.day(host.app.clock.now());
    daily_counts::rebuild(&mut tx, host.workspace.id, day).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counts(&host).await, now);
    assert_eq!(host.get("/v1/costs").await.expect(200)["total_micros"], spent);
    let list = host.get("/v1/analyses").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn one_answer_is_read_again_and_an_analysis_can_be_cancelled() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get("/v1/runs").await.expect(200);
    let run = runs["data"].as_array().unwrap().iter().find(|run| run["outcome"] == "answer");
    let id = run.unwrap()["id"].as_str().unwrap();
    let before = host.get(format!("/v1/answers/{id}")).await.expect(200);
    let started = host.post(format!("/v1/answers/{id}/reanalyse"), json!(null)).await;
    let path = started.header("location").unwrap().to_owned();
    assert_eq!(started.expect(202)["answer_id"], id);
    // One at a time.
    let second = host.post("/v1/analyses", json!({})).await;
    assert_eq!((second.status, &second.body["code"]), (409, &json!("conflict")));
    host.work().await;
    let done = host.get(&path).await.expect(200);
    assert_eq!((&done["state"], &done["analysed"]), (&json!("completed"), &json!(1)));
    assert_eq!(host.get(format!("/v1/answers/{id}")).await.expect(200), before);
    let mentions = host.get(format!("/v1/answers/{id}/mentions")).await.expect(200);
    assert_eq!(mentions["data"], before["mentions"]);
    let citations = host.get(format!("/v1/answers/{id}/citations")).await.expect(200);
    assert_eq!(citations["data"], before["citations"]);

    let started = host.post("/v1/analyses", json!({"everything": true})).await;
    let path = started.header("location").unwrap().to_owned();
    let cancelled = host.post(format!("{path}/cancel"), json!(null)).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    host.work().await;
    assert_eq!(host.get(&path).await.expect(200)["analysed"], 0);
    assert_eq!(host.post(format!("{path}/cancel"), json!(null)).await.status, 409);
    let backwards = json!({"from": "2026-01-02", "to": "2026-01-01"});
    let refused = host.post("/v1/analyses", backwards).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/from");
}

#[tokio::test]
async fn the_raw_payload_is_for_admins_and_shows_no_credential() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get("/v1/runs?engine=perplexity").await.expect(200);
    let id = runs["data"][0]["id"].as_str().unwrap();
    let raw = host.get(format!("/v1/answers/{id}/raw")).await.expect(200);
    let answer = host.get(format!("/v1/answers/{id}")).await.expect(200);
    assert_eq!(raw["digest"], answer["raw_digest"]);
    let headers = &raw["exchanges"][0]["request_headers"];
    let shown = headers
        .as_array()
        .unwrap()
        .iter()
        .any(|pair| pair[0] == "authorization" && pair[1].as_str().unwrap().contains('['));
    assert!(shown, "{headers}");
    assert!(raw["outcome"].is_object());

    let member = host.create_key(host.workspace.id, Role::Member, &[]).await;
    assert_eq!(host.with_key(member).get(format!("/v1/answers/{id}/raw")).await.status, 403);
}
