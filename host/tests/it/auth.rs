//! Who may do what.

use crate::support::{Answer, Host};
use aiv::{api_key::ApiKey, store::api_keys::Role};
use chrono::TimeDelta;
use serde_json::{Value, json};

/// Asks who is calling, with these headers.
async fn whoami(host: &Host, headers: &[(&str, &str)]) -> Answer {
    let mut request = host.client.get("/v1/auth/whoami");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn a_key_says_who_it_is() {
    let host = Host::start().await;
    let me = host.get("/v1/auth/whoami").await.expect(200);
    assert_eq!((&me["kind"], &me["role"]), (&json!("api_key"), &json!("owner")));
    assert_eq!(me["workspace_id"], host.workspace.id.to_string());
    assert!(me["subject"].as_str().unwrap().starts_with("api_key:"));
    let may = me["permissions"].as_array().unwrap();
    assert!(may.contains(&json!("create_batch")) && !may.contains(&json!("create_workspace")));
}

#[tokio::test]
async fn a_key_works_in_either_header_and_both_must_agree() {
    let host = Host::start().await;
    let bearer = format!("Bearer {}", host.key());
    let lower = format!("bearer {}", host.key());
    let another = host.create_key(host.workspace.id, Role::Owner, &[]).await;
    let unknown = ApiKey::generate(&mut rand::rng());
    for (headers, status) in [
        (vec![("authorization", bearer.as_str())], 200),
        (vec![("authorization", lower.as_str())], 200),
        (vec![("x-api-key", host.key())], 200),
        (vec![("authorization", bearer.as_str()), ("x-api-key", host.key())], 200),
        (vec![("authorization", bearer.as_str()), ("x-api-key", "avk_live_wrong")], 401),
        (vec![("authorization", "Bearer nope"), ("x-api-key", host.key())], 401),
        (vec![("authorization", bearer.as_str()), ("x-api-key", another.as_str())], 401),
        (vec![("authorization", "Basic abc"), ("x-api-key", host.key())], 401),
        (vec![("authorization", "Bearer")], 401),
        (vec![("authorization", "Bearer ")], 401),
        (vec![("x-api-key", "")], 401),
        (vec![("x-api-key", unknown.reveal())], 401),
        (vec![], 401),
    ] {
        let answer = whoami(&host, &headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
}

#[tokio::test]
async fn a_key_ends() {
    let host = Host::start().await;
    let end = host.app.clock.now() + TimeDelta::hours(1);
    let body = json!({"name": "short", "role": "viewer", "expires_at": end});
    let issued = host.post("/v1/api-keys", body).await.expect(201);
    let short = host.with_key(issued["key"].as_str().unwrap());
    short.get("/v1/auth/whoami").await.expect(200);
    host.app.clock.advance(TimeDelta::hours(1));
    short.get("/v1/auth/whoami").await.expect(401);

    let past = json!({"name": "late", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"});
    let refused = host.post("/v1/api-keys", past).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/expires_at");
}

#[tokio::test]
async fn roles_and_scopes_limit_a_key() {
    let host = Host::start().await;
    let id = host.workspace.id;
    let cases: [(Role, &[&str], [u16; 4]); 6] = [
        (Role::Viewer, &[], [200, 403, 403, 403]),
        (Role::Member, &[], [200, 201, 403, 403]),
        (Role::Admin, &[], [200, 201, 200, 403]),
        (Role::Owner, &[], [200, 201, 200, 403]),
        (Role::Owner, &["read"], [200, 403, 403, 403]),
        (Role::Viewer, &["admin:*"], [200, 201, 200, 201]),
    ];
    for (index, (role, scopes, expected)) in cases.into_iter().enumerate() {
        let caller = host.with_key(host.create_key(id, role, scopes).await);
        let prompt = json!({"text": format!("best crm {index}?")});
        let found = [
            caller.get("/v1/prompts").await.status,
            caller.post("/v1/prompts", prompt).await.status,
            caller.get("/v1/api-keys").await.status,
            caller.post("/v1/workspaces", json!({"name": "New"})).await.status,
        ];
        assert_eq!(found, expected, "{role:?} {scopes:?}");
    }
}

#[tokio::test]
async fn a_workspace_is_chosen_by_platform_keys_only() {
    let host = Host::start().await;
    let other = host.other_workspace().await;
    let (ours, theirs) = (host.workspace.id.to_string(), other.workspace.id.to_string());
    let platform = host.create_key(host.workspace.id, Role::Owner, &["admin:*"]).await;
    for (key, workspace, status) in [
        (host.key(), ours.as_str(), 200),
        (host.key(), theirs.as_str(), 403),
        (host.key(), "not-an-id", 400),
        (platform.as_str(), theirs.as_str(), 200),
        (platform.as_str(), "019b0000-0000-7000-8000-000000000000", 404),
    ] {
        let answer = whoami(&host, &[("x-api-key", key), ("x-workspace-id", workspace)]).await;
        assert_eq!(answer.status, status, "{workspace}");
        if status == 200 {
            assert_eq!(answer.body["workspace_id"], workspace);
        }
    }
    let listed = |answer: Value| answer["data"].as_array().unwrap().len();
    assert_eq!(listed(host.get("/v1/workspaces").await.expect(200)), 1);
    let platform = host.with_key(platform);
    assert_eq!(listed(platform.get("/v1/workspaces").await.expect(200)), 2);
}
