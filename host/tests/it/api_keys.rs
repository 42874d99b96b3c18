use crate::support::Host;
use aiv::store::api_keys::Role;
use serde_json::json;

#[tokio::test]
async fn a_key_is_shown_once_and_can_be_revoked() {
    let host = Host::start().await;
    let body = json!({"name": "export", "role": "viewer", "scopes": ["read"]});
    let answer = host.post("/v1/api-keys", body).await;
    let location = answer.header("location").unwrap().to_owned();
    let issued = answer.expect(201);
    let key = issued["key"].as_str().unwrap();
    assert!(key.starts_with("avk_live_") && key.len() == 37);
    assert_eq!(location, format!("/v1/api-keys/{}", issued["api_key"]["id"].as_str().unwrap()));

    let listed = host.get("/v1/api-keys").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(key));

    // The same endpoint, so that the cache of keys is the one that must forget.
    let request = |path: &str| host.client.get(path).header("x-api-key", key);
    request("/v1/prompts").send().await.assert_status_is_ok();
    assert_eq!(host.delete(&location).await.status, 204);
    assert_eq!(request("/v1/prompts").send().await.0.status(), 401);
    assert_eq!(host.delete(&location).await.status, 204);
    let gone = host.get("/v1/api-keys").await.expect(200);
    assert!(gone["data"].as_array().unwrap().iter().any(|key| key["revoked_at"].is_string()));
    assert_eq!(host.other_workspace().await.delete(&location).await.status, 404);
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_do_more_than_theirs() {
    let host = Host::start().await;
    let id = host.workspace.id;
    let admin = host.with_key(host.create_key(id, Role::Admin, &[]).await);
    let narrow = host.with_key(host.create_key(id, Role::Owner, &["keys", "read"]).await);
    for (caller, role, scopes, status) in [
        (&admin, "owner", json!([]), 403),
        (&admin, "admin", json!([]), 201),
        (&admin, "member", json!(["write"]), 201),
        (&narrow, "viewer", json!([]), 403),
        (&narrow, "viewer", json!(["read"]), 201),
        (&narrow, "viewer", json!(["write"]), 403),
        (&host, "owner", json!(["admin:*"]), 422),
        (&host, "owner", json!(["everything"]), 422),
        (&host, "king", json!([]), 422),
    ] {
        let body = json!({"name": "new", "role": role, "scopes": scopes});
        assert_eq!(caller.post("/v1/api-keys", body.clone()).await.status, status, "{body}");
    }
    let owners = host.get("/v1/api-keys").await.expect(200)["data"][0]["id"].clone();
    let path = format!("/v1/api-keys/{}", owners.as_str().unwrap());
    assert_eq!(admin.delete(path).await.status, 403);
}

#[tokio::test]
async fn a_repeated_request_does_not_show_the_key_again() {
    let host = Host::start().await;
    let send = || async {
        let request = host
            .client
            .post("/v1/api-keys")
            .header("x-api-key", host.key())
            .header("idempotency-key", "k1")
            .body_json(&json!({"name": "once", "role": "viewer"}));
        crate::support::Answer::of(request.send().await).await
    };
    let first = send().await.expect(201);
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again = again.expect(201);
    assert_eq!(again["api_key"], first["api_key"]);
    assert!(first["key"].is_string() && again.get("key").is_none());
}
