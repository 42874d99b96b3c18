use crate::support::{Answer, Host};
use aiv::{
    providers::Route,
    store::engines::{self, NewEngine},
};
use poem::http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

async fn send(host: &Host, method: Method, path: &str, tag: &str, body: Value) -> Answer {
    let header = if method == Method::GET { "if-none-match" } else { "if-match" };
    let mut request = host.client.request(method, path).header("x-api-key", host.key());
    request = request.header(header, tag);
    if !body.is_null() {
        request = request.body_json(&body);
    }
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn providers_tell_what_they_need() {
    let host = Host::start().await;
    let listed = host.get("/v1/providers").await.expect(200);
    let keys: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|p| p["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["aio", "brave", "perplexity"]);
    for provider in listed["data"].as_array().unwrap() {
        assert_eq!(provider["digest"].as_str().unwrap().len(), 64);
        assert!(!provider["surfaces"].as_array().unwrap().is_empty());
        assert!(provider["config_schema"].is_object());
        for credential in provider["credentials"].as_array().unwrap() {
            assert!(credential["variable"].is_string() && credential["present"].is_boolean());
        }
    }
}

#[tokio::test]
async fn an_engine_is_saved_read_and_deleted() {
    let host = Host::start().await;
    let path = "/v1/engines/perplexity";
    assert_eq!(host.get(path).await.status, 404);
    let saved = host.put(path, json!({"country": "DK", "device": "mobile"})).await;
    assert_eq!(saved.header("etag"), Some("\"1\""));
    let saved = saved.expect(200);
    assert_eq!((&saved["enabled"], &saved["concurrency"]), (&json!(true), &json!(32)));
    assert!(saved["surface"].is_string() && saved["device"] == "mobile");
    assert_eq!(host.get(path).await.expect(200), saved);
    assert_eq!(send(&host, Method::GET, path, "\"1\"", Value::Null).await.status, 304);

    let off = json!({"enabled": false});
    let stale = send(&host, Method::PUT, path, "\"7\"", off.clone()).await;
    assert_eq!((stale.status, &stale.body["code"]), (412, &json!("changed")));
    let changed = send(&host, Method::PUT, path, "\"1\"", off.clone()).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    // Saving replaces: what is left out takes its default again.
    assert!(changed.body.get("country").is_none());
    assert_eq!(send(&host, Method::PUT, "/v1/engines/brave", "\"1\"", off).await.status, 412);

    assert_eq!(host.get("/v1/engines").await.expect(200)["data"].as_array().unwrap().len(), 1);
    assert_eq!(send(&host, Method::DELETE, path, "\"1\"", Value::Null).await.status, 412);
    assert_eq!(send(&host, Method::DELETE, path, "\"2\"", Value::Null).await.status, 204);
    assert_eq!(host.delete(path).await.status, 404);
}

#[tokio::test]
async fn what_a_provider_does_not_know_is_refused_with_what_it_does() {
    let host = Host::start().await;
    let unknown = host.put("/v1/engines/bing", json!({})).await.expect(422);
    let detail = unknown["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("aio, brave, perplexity"), "{detail}");
    for (body, pointer) in [
        (json!({"surface": "nope"}), "/surface"),
        (json!({"model": "nope"}), "/model"),
        (json!({"country": "XX"}), "/country"),
        (json!({"language": "english language"}), "/language"),
        (json!({"concurrency": 0}), "/concurrency"),
        (json!({"device": "watch"}), "/device"),
        (json!({"config": []}), "/config"),
        (json!({"config": {"max_results": 51}}), "/config/max_results"),
        (json!({"daily_budget_micros": -1}), "/daily_budget_micros"),
    ] {
        let refused = host.put("/v1/engines/perplexity", body.clone()).await.expect(422);
        let errors = refused["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["pointer"] == pointer), "{body}: {errors:?}");
    }
}

#[tokio::test]
async fn research_wants_a_word_and_a_budget() {
    let host = Host::start().await;
    let route = host.app.providers.find("brave").unwrap();
    let mut manifest = route.manifest.clone();
    manifest.extra.push(("research".into(), "brave-research".into()));
    let route = Route {
        plugin: Arc::clone(&route.plugin),
        digest: route.digest,
        manifest,
        grant: route.grant.clone(),
    };
    host.app.providers.replace([route]);
    let path = "/v1/engines/brave";
    let refused = host.put(path, json!({"surface": "brave-research"})).await.expect(422);
    let errors = refused["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|error| &error["pointer"]).collect();
    assert_eq!(json!(pointers), json!(["/allow_research", "/daily_budget_micros"]));
    let allowed = json!({
        "surface": "brave-research", "allow_research": true, "daily_budget_micros": 5_000_000,
    });
    assert_eq!(host.put(path, allowed).await.expect(200)["allow_research"], true);

    // Who takes the word back some other way is not asked for either.
    let mut tx = host.app.store.begin().await.unwrap();
    let new = NewEngine::with_defaults("brave", "brave-research");
    let now = host.app.clock.now();
    engines::save(&mut tx, host.workspace.id, None, new, now).await.unwrap();
    tx.commit().await.unwrap();
    host.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
    host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get("/v1/runs").await.expect(200);
    assert_eq!(runs["data"][0]["state"], "skipped");
    assert!(runs["data"][0]["reason"].as_str().unwrap().contains("allow_research"), "{runs:#}");
    let refused = host.post(format!("{path}/test"), json!({"query": "best crm?"})).await;
    assert_eq!(refused.status, 409);
    // The usual surface needs neither.
    host.put(path, json!({"surface": "brave-answers"})).await.expect(200);
}
