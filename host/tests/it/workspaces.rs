use crate::support::{Answer, Host};
use aiv::store::api_keys::Role;
use poem::http::Method;
use serde_json::{Value, json};

/// Sends with one more header.
async fn send(
    host: &Host,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Value,
) -> Answer {
    let mut request = host.client.request(method, path).header("x-api-key", host.key());
    request = request.header(header.0, header.1);
    if !body.is_null() {
        request = request.body_json(&body);
    }
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn a_platform_key_makes_a_workspace_with_its_owner() {
    let host = Host::start().await;
    let key = host.create_key(host.workspace.id, Role::Viewer, &["admin:*"]).await;
    let platform = host.with_key(key);
    let body = json!({"name": " New ", "timezone": "Europe/Copenhagen", "daily_budget_micros": 0});
    let created = platform.post("/v1/workspaces", body).await.expect(201);
    assert_eq!(created["workspace"]["name"], "New");
    assert_eq!(created["workspace"]["daily_budget_micros"], 0);
    let owner = host.with_key(created["owner"]["key"].as_str().unwrap());
    let me = owner.get("/v1/auth/whoami").await.expect(200);
    assert_eq!((&me["workspace_id"], &me["role"]), (&created["workspace"]["id"], &json!("owner")));

    let wrong = json!({"name": "x", "timezone": "Mars/Olympus"});
    let refused = platform.post("/v1/workspaces", wrong).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/timezone");
}

#[tokio::test]
async fn settings_change_only_from_the_version_that_was_read() {
    let host = Host::start().await;
    let path = format!("/v1/workspaces/{}", host.workspace.id);
    let read = host.get(&path).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.body["created_at"], "2026-01-01T00:00:00Z");

    let known = send(&host, Method::GET, &path, ("if-none-match", "\"1\""), Value::Null).await;
    assert_eq!((known.status, known.body), (304, Value::Null));

    let budget = json!({"daily_budget_micros": 5_000_000});
    let changed = send(&host, Method::PATCH, &path, ("if-match", "\"1\""), budget).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    assert_eq!(changed.body["daily_budget_micros"], 5_000_000);

    for stale in ["\"1\"", "\"nonsense\""] {
        let answer =
            send(&host, Method::PATCH, &path, ("if-match", stale), json!({"name": "No"})).await;
        assert_eq!((answer.status, &answer.body["code"]), (412, &json!("changed")), "{stale}");
    }
    let moved = send(&host, Method::GET, &path, ("if-none-match", "\"1\""), Value::Null).await;
    assert_eq!(moved.status, 200);

    let emptied = host.patch(&path, json!({"daily_budget_micros": null})).await.expect(200);
    assert_eq!(emptied["name"], "Acme");
    assert!(emptied.get("daily_budget_micros").is_none());
}
