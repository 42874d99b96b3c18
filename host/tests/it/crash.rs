//! `kill -9` in the middle of the work.

use crate::support::{
    database_url,
    process::{Server, client},
};
use aiv::{
    app::open_store,
    config::Config,
    ids::{BatchId, WorkspaceId},
    store::{
        batches::{self, BatchState},
        budget_audit, costs,
        runs::{self, RunFilter},
    },
};
use serde_json::{Value, json};
use std::{path::Path, process::Command, time::Duration};

/// An owner's key with the platform scope, made by the command line.
fn key(folder: &Path, database: &str) -> String {
    let mut command: Command = crate::support::process::aiv(folder);
    command.args(["key", "create", "--admin", "--json"]);
    command.env("DATABASE_URL", database).env("AUTO_MIGRATE", "true");
    // Where everything is a recording, recordings count.
    command.env("PROVIDER_MODE", "replay");
    let made = crate::support::process::json(&mut command);
    made["key"].as_str().unwrap().to_owned()
}

async fn call(method: &str, url: String, key: &str, body: Option<Value>) -> Value {
    let mut request = client()
        .request(method.parse().unwrap(), &url)
        .header("authorization", format!("Bearer {key}"));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert!(status.is_success(), "{method} {url}: {status} {body:#}");
    body
}

#[tokio::test]
async fn every_run_ends_exactly_once_when_the_process_is_killed() {
    let files = tempfile::tempdir().unwrap();
    let database = database_url(files.path()).await;
    let key = key(files.path(), &database);
    let server = Server::start(files.path(), &database).await;
    let base = server.base.clone();

    for (name, kind) in [("Lumetask", "own"), ("Kanvoro", "competitor")] {
        let brand = json!({"name": name, "kind": kind});
        call("POST", format!("{base}/v1/brands"), &key, Some(brand)).await;
    }
    for number in 0..50 {
        let prompt = json!({"text": format!("Which planning tool suits team {number}?")});
        call("POST", format!("{base}/v1/prompts"), &key, Some(prompt)).await;
    }
    let providers = call("GET", format!("{base}/v1/providers"), &key, None).await;
    for provider in providers["data"].as_array().unwrap() {
        let engine = json!({"enabled": true, "surface": provider["surfaces"][0]["id"]});
        let url = format!("{base}/v1/engines/{}", provider["key"].as_str().unwrap());
        call("PUT", url, &key, Some(engine)).await;
    }
    let batch = json!({"samples": 2});
    let batch = call("POST", format!("{base}/v1/batches"), &key, Some(batch)).await;
    assert_eq!(batch["planned"], 300);
    let id = batch["id"].as_str().unwrap().to_owned();

    // Kill it three times, each time with some runs done and some in flight.
    let mut server = Some(server);
    for done in [20, 90, 160] {
        let base = server.as_ref().unwrap().base.clone();
        loop {
            let batch = call("GET", format!("{base}/v1/batches/{id}"), &key, None).await;
            let ended = |state: &str| batch["runs"][state].as_i64().unwrap();
            if ended("succeeded") + ended("failed") >= done {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.take().unwrap().kill();
        expire_leases(&database).await;
        server = Some(Server::start(files.path(), &database).await);
    }
    let base = server.as_ref().unwrap().base.clone();
    let mut left = 1200;
    loop {
        let batch = call("GET", format!("{base}/v1/batches/{id}"), &key, None).await;
        if batch["state"] == "completed" {
            break;
        }
        left -= 1;
        assert!(left > 0, "the batch did not end: {batch:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(server);
    check_ledger(&database, id.parse().unwrap()).await;
}

/// Makes the leases of the killed process as old as they would be in half a minute.
async fn expire_leases(database: &str) {
    const SQL: &str = "UPDATE jobs SET lease_until = $1 WHERE state = 'running'";
    let store = store(database).await;
    let past = chrono::DateTime::from_timestamp(0, 0).unwrap();
    match &store {
        aiv::store::Store::Postgres(pool) => {
            sqlx::query(SQL).bind(past).execute(pool).await.map(drop).unwrap();
        }
        aiv::store::Store::Sqlite { writer, .. } => {
            sqlx::query(SQL).bind(past).execute(writer).await.map(drop).unwrap();
        }
    }
    store.close().await;
}

async fn store(database: &str) -> aiv::store::Store {
    let mut config = Config::defaults().unwrap();
    config.database.url = database.to_owned().into();
    open_store(&config).await.unwrap()
}

/// Every run ended, every paid attempt is in the ledger once, and nothing else is.
async fn check_ledger(database: &str, batch: BatchId) {
    let store = store(database).await;
    let mut conn = store.read().await.unwrap();
    let workspace: WorkspaceId =
        aiv::store::workspaces::list(&mut conn, None, 1).await.unwrap()[0].id;
    let found = batches::find(&mut conn, workspace, batch).await.unwrap();
    assert_eq!(found.state, BatchState::Completed);
    let progress = batches::progress(&mut conn, workspace, batch).await.unwrap();
    assert_eq!((progress.total(), progress.succeeded), (300, 300), "{progress:?}");

    let (mut attempts, mut cost, mut before) = (0, 0, None);
    loop {
        let filter = RunFilter { batch: Some(batch), ..RunFilter::default() };
        let page = runs::list(&mut conn, workspace, &filter, before, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for run in &page {
            let made = runs::attempts(&mut conn, workspace, run.number).await.unwrap();
            let paid: i64 = made.iter().map(|attempt| attempt.cost_micros).sum();
            assert_eq!(paid, run.cost_micros, "{made:#?}");
            let succeeded = made.iter().filter(|attempt| attempt.state == "succeeded").count();
            assert_eq!(succeeded, 1, "{made:#?}");
            attempts += made.len();
            cost += paid;
        }
    }
    assert!(attempts >= 300);
    let (from, to) = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
    let ledger = costs::by_day_and_engine(&mut conn, workspace, from, to).await.unwrap();
    assert_eq!(ledger.iter().map(|sum| sum.micros).sum::<i64>(), cost);
    for day in ledger.iter().filter_map(|sum| sum.day) {
        assert_eq!(budget_audit::audit(&mut conn, day).await.unwrap(), []);
    }
    drop(conn);
    store.close().await;
}
