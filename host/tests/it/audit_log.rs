//! Who did what, and that nobody can make it undone.

use crate::support::Host;
use aiv::store::api_keys::Role;
use serde_json::json;
use sqlx::Executor;

#[tokio::test]
async fn a_change_is_told_with_its_author() {
    let host = Host::start().await;
    let made = host.post("/v1/prompts", json!({"text": "Which CRM is best?"})).await;
    let request = made.header("x-request-id").unwrap().to_owned();
    let prompt = made.expect(201);
    let log = host.get("/v1/audit-log").await.expect(200);
    let entry = &log["data"][0];
    assert_eq!(entry["action"], "prompt.create");
    assert_eq!(entry["resource_type"], "prompt");
    assert_eq!(entry["resource_id"], prompt["id"]);
    assert_eq!(entry["request_id"], request);
    assert_eq!(entry["workspace_id"], host.workspace.id.to_string());
    assert!(entry["actor"].as_str().unwrap().starts_with("api_key:"));
}

#[tokio::test]
async fn what_is_refused_leaves_no_line() {
    let host = Host::start().await;
    host.post("/v1/prompts", json!({"text": " "})).await.expect(422);
    host.delete("/v1/engines/nobody").await.expect(404);
    let log = host.get("/v1/audit-log").await.expect(200);
    assert_eq!(log["data"], json!([]));
}

#[tokio::test]
async fn each_change_has_its_action_and_the_list_its_filters() {
    let host = Host::start().await;
    let brand = host.post("/v1/brands", json!({"name": "Acme", "kind": "own"})).await.expect(201);
    let brand = format!("/v1/brands/{}", brand["id"].as_str().unwrap());
    host.patch(&brand, json!({"name": "Acme Inc"})).await.expect(200);
    host.delete(&brand).await.expect(204);
    let key = host.post("/v1/api-keys", json!({"name": "ci", "role": "viewer"})).await.expect(201);
    let key = format!("/v1/api-keys/{}", key["api_key"]["id"].as_str().unwrap());
    host.delete(&key).await.expect(204);
    let workspace = format!("/v1/workspaces/{}", host.workspace.id);
    host.patch(&workspace, json!({"daily_budget_micros": 5})).await.expect(200);

    let actions = |log: serde_json::Value| -> Vec<String> {
        let rows = log["data"].as_array().unwrap().iter();
        rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
    };
    let all = actions(host.get("/v1/audit-log").await.expect(200));
    let expected = [
        "workspace.update",
        "api_key.revoke",
        "api_key.create",
        "brand.delete",
        "brand.update",
        "brand.create",
    ];
    assert_eq!(all, expected);
    let some = host.get("/v1/audit-log?action=brand.update").await.expect(200);
    assert_eq!(actions(some), ["brand.update"]);
    let none = host.get("/v1/audit-log?from=2030-01-01T00:00:00Z").await.expect(200);
    assert_eq!(none["data"], json!([]));

    let first = host.get("/v1/audit-log?limit=4").await.expect(200);
    let next = first["next_cursor"].as_str().unwrap().to_owned();
    let mut pages = actions(first);
    let second = host.get(format!("/v1/audit-log?limit=4&cursor={next}")).await.expect(200);
    assert_eq!(second["has_more"], false);
    pages.extend(actions(second));
    assert_eq!(pages, all);
}

#[tokio::test]
async fn a_workspace_sees_its_own_lines_and_operators_see_all() {
    let host = Host::start().await;
    host.post("/v1/prompts", json!({"text": "Which CRM is best?"})).await.expect(201);
    let other = host.other_workspace().await;
    assert_eq!(other.get("/v1/audit-log").await.expect(200)["data"], json!([]));
    other.get("/v1/admin/audit-log").await.expect(403);

    let member = host.create_key(host.workspace.id, Role::Member, &[]).await;
    host.with_key(member).get("/v1/audit-log").await.expect(403);

    let operator = host.create_key(other.workspace.id, Role::Viewer, &["admin:*"]).await;
    let log = host.with_key(operator).get("/v1/admin/audit-log").await.expect(200);
    assert_eq!(log["data"][0]["action"], "prompt.create");
    assert_eq!(log["data"][0]["workspace_id"], host.workspace.id.to_string());
}

#[tokio::test]
async fn the_database_keeps_every_line() {
    let host = Host::start().await;
    host.post("/v1/prompts", json!({"text": "Which CRM is best?"})).await.expect(201);
    for sql in ["UPDATE audit_logs SET actor = 'nobody'", "DELETE FROM audit_logs"] {
        let refused = match &host.app.store {
            aiv::store::Store::Postgres(pool) => pool.execute(sql).await.unwrap_err(),
            aiv::store::Store::Sqlite { writer, .. } => writer.execute(sql).await.unwrap_err(),
        };
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    let log = host.get("/v1/audit-log").await.expect(200);
    assert_eq!(log["data"].as_array().unwrap().len(), 1);
}
