//! A workspace's data, taken away and taken out.

use crate::support::{Answer, Host};
use aiv::store::{api_keys::Role, deletion_requests};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write as _, process::Command};

/// The files of an archive, as `tar` reads them.
fn unpack(archive: &[u8]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.tar.gz");
    std::fs::File::create(&file).unwrap().write_all(archive).unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let tar = Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(&out).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    let entries = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap());
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

async fn bytes(host: &Host, path: &str) -> (u16, Vec<u8>) {
    let request =
        host.client.get(path).header("x-api-key", host.key()).header("accept-encoding", "gzip");
    let response = request.send().await;
    let status = response.0.status().as_u16();
    assert!(response.0.headers().get("content-encoding").is_none());
    (status, response.0.into_body().into_vec().await.unwrap())
}

#[tokio::test]
async fn an_export_holds_every_row_and_no_secret() {
    let host = Host::start().await;
    host.seed_demo(4).await;
    host.start_batch(2, "monday").await;
    host.work().await;
    let other = host.other_workspace().await;
    other.seed_demo(2).await;
    other.start_batch(1, "monday").await;
    other.work().await;
    other.post("/v1/prompts", json!({"text": "somebody else's?"})).await.expect(201);

    let started = host.post("/v1/exports", json!({})).await;
    let path = started.header("location").unwrap().to_owned();
    assert_eq!(started.expect(202)["state"], "running");
    assert_eq!(host.post("/v1/exports", json!({})).await.status, 409);
    assert_eq!(host.get(format!("{path}/download")).await.status, 409);
    host.work().await;
    let export = host.get(&path).await.expect(200);
    assert_eq!(export["state"], "completed", "{export:#}");

    let (status, archive) = bytes(&host, &format!("{path}/download")).await;
    assert_eq!((status, json!(archive.len())), (200, export["size"].clone()));
    let files = unpack(&archive);
    assert_eq!(json!(files.len()), export["files"]);
    let rows = |name: &str| -> Vec<Value> {
        let lines = files[&format!("{name}-0001.ndjson")].lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!((rows("prompts").len(), rows("runs").len()), (4, 4 * 3 * 2));
    let all: usize = files.values().map(|content| content.lines().count()).sum();
    assert_eq!(json!(all), export["records"]);
    let answer = &rows("answers")[0];
    let stored = host.get(format!("/v1/answers/{}", answer["run_id"].as_str().unwrap())).await;
    let stored = stored.expect(200);
    assert_eq!((&stored["text"], &stored["raw_digest"]), (&answer["text"], &answer["raw_digest"]));
    assert!(!rows("mentions").is_empty() && !rows("citations").is_empty());
    let everything: String = files.values().cloned().collect();
    assert!(!everything.contains("somebody else's?"));
    assert!(!everything.contains("secret_hash"));
    let theirs = other.get("/v1/prompts").await.expect(200);
    let theirs = theirs["data"].as_array().unwrap().iter().filter_map(|row| row["id"].as_str());
    for id in theirs.map(str::to_owned).chain([other.workspace.id.to_string()]) {
        assert!(!everything.contains(&id), "a row of another workspace");
    }

    // As CSV, the same rows.
    let started = host.post("/v1/exports", json!({"format": "csv"})).await;
    let csv = started.header("location").unwrap().to_owned();
    host.work().await;
    let (_, archive) = bytes(&host, &format!("{csv}/download")).await;
    let files = unpack(&archive);
    assert!(files["runs-0001.csv"].starts_with("id,batch_id,prompt_id"));
    assert_eq!(files["prompts-0001.csv"].lines().count(), 5);

    assert_eq!(other.get(&path).await.status, 404);
    let member = host.with_key(host.create_key(host.workspace.id, Role::Admin, &[]).await);
    assert_eq!(member.get(&path).await.status, 403);
}

#[tokio::test]
async fn the_audit_log_and_what_engines_sent_are_there_when_they_are_asked_for() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let include = json!({"include": ["raw_payloads", "audit_log"]});
    let started = host.post("/v1/exports", include).await;
    let path = started.header("location").unwrap().to_owned();
    host.work().await;
    let export = host.get(&path).await.expect(200);
    assert_eq!(export["state"], "completed", "{export:#}");
    assert_eq!(export["include"], json!(["audit_log", "raw_payloads"]));
    let (_, archive) = bytes(&host, &format!("{path}/download")).await;
    let files = unpack(&archive);
    let rows = |name: &str| -> Vec<Value> {
        let lines = files[&format!("{name}-0001.ndjson")].lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let raw = rows("raw_payloads");
    for answer in rows("answers") {
        let payload = raw.iter().find(|raw| raw["digest"] == answer["raw_digest"]).unwrap();
        let run = answer["run_id"].as_str().unwrap();
        let stored = host.get(format!("/v1/answers/{run}/raw")).await.expect(200);
        assert_eq!(payload["document"]["exchanges"], stored["exchanges"], "word for word");
    }
    assert!(rows("audit_log").iter().any(|line| line["action"] == "export.create"));
    let refused = host.post("/v1/exports", json!({"include": ["secrets"]})).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn a_link_opens_an_export_once_and_not_for_long() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let started = host.post("/v1/exports", json!({})).await;
    let path = started.header("location").unwrap().to_owned();
    host.work().await;
    let link = host.post(format!("{path}/links"), json!(null)).await.expect(201);
    let url = link["url"].as_str().unwrap();
    let nobody = host.anonymous();
    let open = async |url: &str| {
        let response = nobody.client.get(url).send().await;
        let status = response.0.status().as_u16();
        (status, response.0.into_body().into_vec().await.unwrap())
    };
    assert_eq!(open("/downloads/AAAA").await.0, 404);
    let (status, archive) = open(url).await;
    assert_eq!(status, 200);
    assert!(unpack(&archive).contains_key("prompts-0001.ndjson"));
    assert_eq!(open(url).await.0, 404);

    let link = host.post(format!("{path}/links"), json!(null)).await.expect(201);
    host.app.clock.advance(chrono::TimeDelta::minutes(16));
    assert_eq!(open(link["url"].as_str().unwrap()).await.0, 404);
    host.app.clock.advance(chrono::TimeDelta::days(8));
    assert_eq!(host.get(&path).await.expect(200)["state"], "expired");
    assert_eq!(host.post(format!("{path}/links"), json!(null)).await.status, 409);
    let mut tx = host.app.store.begin().await.unwrap();
    let gone = aiv::store::exports::purge(&mut tx, host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(gone > 0);
}

#[tokio::test]
async fn a_workspace_is_gone_when_its_receipt_says_so() {
    let host = Host::start().await;
    host.seed_demo(3).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let other = host.other_workspace().await;
    other.seed_demo(2).await;
    host.post("/v1/exports", json!({})).await.expect(202);
    host.work().await;

    let wrong = json!({"reason": "we leave", "workspace_name": "Somebody"});
    let wrong = host.post("/v1/deletion-request", wrong).await.expect(422);
    assert_eq!(wrong["errors"][0]["pointer"], "/workspace_name");
    let wish = json!({"reason": "we leave", "workspace_name": "Acme"});
    let admin = host.with_key(host.create_key(host.workspace.id, Role::Admin, &[]).await);
    assert_eq!(admin.post("/v1/deletion-request", wish.clone()).await.status, 403);

    host.post("/v1/deletion-request", wish.clone()).await.expect(202);
    assert_eq!(host.post("/v1/deletion-request", wish.clone()).await.status, 409);
    assert_eq!(host.delete("/v1/deletion-request").await.status, 204);
    assert_eq!(host.get("/v1/deletion-request").await.expect(200)["state"], "cancelled");
    host.work().await;
    host.get("/v1/prompts").await.expect(200);

    host.post("/v1/deletion-request", wish).await.expect(202);
    let id = host.workspace.id;
    host.work().await;
    let mut conn = host.app.store.read().await.unwrap();
    let request = deletion_requests::newest(&mut conn, id).await.unwrap();
    assert_eq!(request.state, deletion_requests::DeletionState::Completed);
    let receipt = request.receipt.unwrap().0;
    for table in ["runs", "answers", "raw_payloads", "cost_ledger", "prompts", "workspaces"] {
        assert!(receipt.get(table).is_some_and(|rows| *rows > 0), "{table}: {receipt:?}");
    }
    for table in deletion_requests::tables(&mut conn).await.unwrap() {
        assert_eq!(deletion_requests::left(&mut conn, &table, id).await.unwrap(), 0, "{table}");
    }
    drop(conn);
    // The key went with it, and nothing of the neighbour did.
    assert_eq!(host.with_key(host.key()).get("/v1/prompts").await.status, 401);
    let prompts = other.get("/v1/prompts").await.expect(200);
    assert_eq!(prompts["data"].as_array().unwrap().len(), 2);
    let operator = other.create_key(other.workspace.id, Role::Viewer, &["admin:*"]).await;
    let list: Answer = other.with_key(operator).get("/v1/admin/deletion-requests").await;
    let list = list.expect(200);
    assert_eq!(
        (&list["data"][0]["state"], &list["data"][1]["state"]),
        (&json!("completed"), &json!("cancelled"))
    );
    assert!(list["data"][0]["receipt"].as_array().unwrap().len() > 10);
}
