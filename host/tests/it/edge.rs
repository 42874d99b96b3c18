//! What every request meets before and after its handler.

use crate::support::{Answer, Host};
use poem::http::Method;
use serde_json::{Value, json};

/// A problem with this status and code, complete as RFC 9457 wants it.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{:#}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.body["type"], format!("urn:aiv:problem:{code}"));
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string());
    assert_eq!(answer.body["request_id"].as_str(), answer.header("x-request-id"));
}

fn pointers(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_broken_rule_is_told_with_its_pointer() {
    let host = Host::start().await;
    let body = json!({"text": "a", "tags": ["x", 1], "country": "Denmark", "colour": "red"});
    let answer = host.post("/v1/prompts", body).await;
    assert_problem(&answer, 422, "invalid");
    let mut pointers = pointers(&answer);
    pointers.sort_unstable();
    assert_eq!(pointers, ["/colour", "/country", "/tags/1", "/text"]);
    assert!(!answer.body.to_string().contains("Denmark"), "what was sent is not repeated");
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let answer = Host::start().await.post("/v1/prompts", json!({})).await;
    assert_problem(&answer, 422, "invalid");
    assert_eq!(pointers(&answer), ["/text"]);
}

#[tokio::test]
async fn an_empty_prompt_is_refused() {
    let host = Host::start().await;
    for text in ["", "     ", " a "] {
        let answer = host.post("/v1/prompts", json!({"text": text})).await;
        assert_problem(&answer, 422, "invalid");
        assert_eq!(pointers(&answer), ["/text"], "{text:?}");
    }
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let host = Host::start().await;
    for (body, kind, status, code) in [
        ("{bad", "application/json", 400, "malformed"),
        ("", "application/json", 400, "malformed"),
        ("text=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("{}", "text/plain", 415, "unsupported_media_type"),
    ] {
        let request = host
            .client
            .post("/v1/prompts")
            .header("authorization", format!("Bearer {}", host.key()))
            .content_type(kind)
            .body(body);
        assert_problem(&Answer::of(request.send().await).await, status, code);
    }
    let deep = "[".repeat(20_000);
    let request = host
        .client
        .post("/v1/prompts")
        .header("authorization", format!("Bearer {}", host.key()))
        .content_type("application/json")
        .body(deep);
    assert_problem(&Answer::of(request.send().await).await, 400, "malformed");
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_not() {
    let host = Host::start().await;
    let text = "x".repeat(2 * 1024 * 1024);
    let answer = host.post("/v1/prompts", json!({"text": text})).await;
    assert_problem(&answer, 413, "body_too_large");
    let announced = host
        .client
        .post("/v1/prompts")
        .header("authorization", format!("Bearer {}", host.key()))
        .header("content-length", "2000000")
        .content_type("application/json")
        .body("{}");
    assert_problem(&Answer::of(announced.send().await).await, 413, "body_too_large");
}

#[tokio::test]
async fn a_packed_body_is_refused() {
    let host = Host::start().await;
    let request = host
        .client
        .post("/v1/prompts")
        .header("authorization", format!("Bearer {}", host.key()))
        .header("content-encoding", "gzip")
        .content_type("application/json")
        .body("{}");
    assert_problem(&Answer::of(request.send().await).await, 415, "unsupported_media_type");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused() {
    let host = Host::start().await;
    let answer = host.get("/v1/prompts?tags=x").await;
    assert_problem(&answer, 400, "malformed");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("`tags`") && detail.contains("tag, intent"), "{detail}");
    assert_problem(&host.get("/v1/prompts?limit=0").await, 400, "malformed");
    assert_problem(&host.get("/v1/prompts?limit=201").await, 400, "malformed");
}

#[tokio::test]
async fn a_path_parameter_that_cannot_be_read_is_named() {
    let answer = Host::start().await.get("/v1/prompts/42").await;
    assert_problem(&answer, 400, "malformed");
    assert!(answer.body["detail"].as_str().unwrap().contains("`prompt`"), "{:#}", answer.body);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let host = Host::start().await;
    assert_problem(&host.get("/v1/nope").await, 404, "not_found");
    assert_problem(&host.get("/v1").await, 404, "not_found");
    let answer = host.delete("/v1/prompts").await;
    assert_problem(&answer, 405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    assert_problem(&host.post("/", Value::Null).await, 405, "method_not_allowed");
}

#[tokio::test]
async fn another_workspaces_object_is_not_there() {
    let (host, id) = {
        let host = Host::start().await;
        let prompt = host.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
        (host, prompt["id"].as_str().unwrap().to_owned())
    };
    let other = host.other_workspace().await;
    let path = format!("/v1/prompts/{id}");
    assert_problem(&other.get(&path).await, 404, "not_found");
    assert_problem(&other.patch(&path, json!({"active": false})).await, 404, "not_found");
    assert_problem(&other.delete(&path).await, 404, "not_found");
    let workspace = format!("/v1/workspaces/{}", host.workspace.id);
    assert_problem(&other.get(&workspace).await, 404, "not_found");
    host.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_request_keeps_its_harmless_id() {
    let host = Host::start().await;
    for (given, kept) in [("abc-1.2_3", true), ("a b", false), ("<script>", false), ("", false)] {
        let request = host.client.get("/healthz").header("x-request-id", given);
        let answer = Answer::of(request.send().await).await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty());
    }
}

#[tokio::test]
async fn answers_carry_the_headers_that_guard_browsers() {
    let host = Host::start().await;
    for path in ["/v1/prompts", "/v1/nope", "/healthz", "/", "/docs", "/docs/swagger"] {
        let answer = host.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src 'unsafe-inline'"), "{path}: {policy}");
    }
    let answer = host.get("/v1/prompts").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=600;w=60"));
    assert_eq!(answer.header("ratelimit"), Some("\"default\";r=197;t=0"));
}

#[tokio::test]
async fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let host = Host::start().await.anonymous();
    let mut last = host.get("/v1/auth/whoami").await;
    for _ in 0..250 {
        if last.status == 429 {
            break;
        }
        assert_eq!(last.status, 401);
        last = host.get("/v1/auth/whoami").await;
    }
    assert_problem(&last, 429, "rate_limited");
    let seconds: u32 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds));
    // Health is asked by machines that must not be turned away.
    host.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn large_texts_are_packed_for_those_who_ask() {
    let host = Host::start().await;
    for (accept, coding) in [
        ("gzip", Some("gzip")),
        ("br;q=0.5, gzip", Some("gzip")),
        ("gzip, br, zstd", Some("br")),
        ("zstd", Some("zstd")),
        ("gzip;q=0", None),
        ("identity", None),
    ] {
        let request = host.client.get("/openapi.json").header("accept-encoding", accept);
        let answer = Answer::of(request.send().await).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accept}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"), "{accept}");
    }
    let request = host.client.get("/healthz").header("accept-encoding", "gzip");
    assert_eq!(Answer::of(request.send().await).await.header("content-encoding"), None);
}

#[tokio::test]
async fn health_tells_living_from_ready() {
    let nobody = Host::start().await.anonymous();
    let alive = nobody.get("/healthz").await.expect(200);
    assert_eq!(
        (&alive["status"], &alive["timestamp"]),
        (&json!("ok"), &json!("2026-01-01T00:00:00.000Z"))
    );
    assert!(alive["uptime"].is_u64() && alive["version"].is_string());
    assert_eq!(nobody.send(Method::HEAD, "/healthz", None).await.status, 200);
    assert_eq!(
        nobody.get("/readyz").await.expect(200),
        json!({
            "status": "ready",
            "database": "connected",
            "redis": "absent",
            "queues": "healthy",
            "migrations": "current",
            "plugins": "loaded",
        })
    );
}

#[tokio::test]
async fn without_components_or_database_the_host_is_not_ready() {
    let host = Host::start().await;
    host.app.providers.replace(vec![]);
    let answer = host.get("/readyz").await.expect(503);
    assert_eq!((&answer["status"], &answer["plugins"]), (&json!("not_ready"), &json!("none")));
    assert_eq!(answer["database"], "connected");

    let host = Host::start().await;
    host.app.store.close().await;
    let answer = host.get("/readyz").await.expect(503);
    assert_eq!(answer["database"], "disconnected");
    let failed: Vec<_> = answer["checks"].as_array().unwrap().iter().collect();
    assert!(failed.iter().any(|check| check["name"] == "database" && check["ok"] == false));
    host.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn metrics_are_not_for_everybody() {
    let host = Host::start().await;
    // A caller without a socket cannot be this machine.
    assert_problem(&host.get("/metrics").await, 403, "forbidden");
}

#[tokio::test]
async fn the_docs_come_in_files_of_this_host() {
    let nobody = Host::start().await.anonymous();
    for (path, kind, part) in [
        ("/docs", "text/html", "/docs/scalar.js"),
        ("/docs/swagger", "text/html", "/docs/swagger-ui.js"),
        ("/docs/swagger-ui.css", "text/css", ".swagger-ui"),
        ("/docs/swagger-start.js", "text/javascript", "/openapi.json"),
        ("/docs/swagger-ui.js", "text/javascript", "SwaggerUIBundle"),
        ("/docs/scalar.js", "text/javascript", "scalar"),
    ] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}");
        let body = answer.body.as_str().unwrap();
        assert!(body.contains(part), "{path}");
        assert!(kind != "text/html" || !body.contains("<script>"), "{path} has inline scripts");
        assert!(!body.trim_start().starts_with('<') || kind == "text/html", "{path}");
    }
}

#[tokio::test]
async fn every_unknown_page_is_the_dashboard_and_no_unknown_file_is() {
    let nobody = Host::start().await.anonymous();
    for path in ["/", "/prompts/42"] {
        let answer = nobody.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{path}");
    }
    assert_eq!(nobody.get("/assets/gone.js").await.status, 404);
}

/// What a browser would ask before it lets a page send a request.
async fn preflight(host: &Host, origin: &str) -> Answer {
    let request = host
        .client
        .request(Method::OPTIONS, "/v1/prompts")
        .header("origin", origin)
        .header("access-control-request-method", "POST");
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn pages_of_named_origins_may_ask_and_no_others() {
    let host = Host::start_with(|config| {
        config.server.cors_allowed_origins = vec!["https://app.acme.com".into()];
        config.server.hsts_seconds = 600;
    })
    .await;
    let allowed = preflight(&host, "https://app.acme.com").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.acme.com"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert_eq!(allowed.header("strict-transport-security"), Some("max-age=600"));
    for foreign in [
        "https://evil.example",
        "https://app.acme.com.evil.example",
        "http://app.acme.com",
        "https://app.acme.com:8443",
        "null",
    ] {
        let refused = preflight(&host, foreign).await;
        assert_eq!(refused.header("access-control-allow-origin"), None, "{foreign}");
        assert_ne!(refused.status, 204, "{foreign}");
    }
    // A refusal is shown to the page as well, else nobody could find out why.
    let request = host.client.get("/v1/prompts").header("origin", "https://app.acme.com");
    let answer = Answer::of(request.send().await).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.acme.com"));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("ratelimit"));
    let varies = answer.headers.get_all("vary").iter();
    assert!(varies.map(|value| value.to_str().unwrap()).any(|value| value.contains("origin")));
}

#[tokio::test]
async fn no_page_may_ask_by_default_and_none_for_everybody() {
    let host = Host::start().await;
    let refused = preflight(&host, "https://app.acme.com").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (405, None));
    for (origins, credentials, starts) in [
        (vec!["*"], false, true),
        (vec!["*"], true, false),
        (vec!["https://a.example"], true, true),
        (vec!["a.example"], false, false),
        (vec!["https://a.example/path"], false, false),
        (vec!["ftp://a.example"], false, false),
    ] {
        let mut app = host.app.clone();
        let mut config = (*app.config).clone();
        config.server.cors_allowed_origins = origins.iter().map(ToString::to_string).collect();
        config.server.cors_allow_credentials = credentials;
        app.config = std::sync::Arc::new(config);
        assert_eq!(aiv::api::in_process(app).is_ok(), starts, "{origins:?} {credentials}");
    }
}

#[tokio::test]
async fn who_gets_credentials_wrong_is_slowed_down() {
    let host = Host::start().await;
    let guess = async || {
        let request = host.client.get("/v1/auth/whoami").header("x-api-key", "avk_live_guess");
        Answer::of(request.send().await).await
    };
    let mut guesses = 0;
    while guess().await.status == 401 {
        guesses += 1;
        assert!(guesses <= 60, "nobody stops the guessing");
    }
    assert_problem(&guess().await, 429, "rate_limited");
    assert!(guesses >= 60);
    // Who has a good one is not bothered.
    host.get("/v1/auth/whoami").await.expect(200);
}

#[tokio::test]
async fn settings_are_read_anew_while_the_host_serves() {
    let host = Host::start_with(|config| {
        config.server.cors_allowed_origins = vec!["https://app.acme.com".into()];
    })
    .await;
    assert_eq!(preflight(&host, "https://app.acme.com").await.status, 204);
    let key = host.create_key(host.workspace.id, aiv::store::api_keys::Role::Owner, &["admin:*"]);
    let reload = host.client.post("/v1/admin/config/reload").header("x-api-key", key.await);
    let reloaded = Answer::of(reload.send().await).await.expect(200);
    assert!(reloaded["settings"].as_array().unwrap().contains(&json!("CORS_ALLOWED_ORIGINS")));
    // What this process's environment and file say: nothing.
    assert_eq!(preflight(&host, "https://app.acme.com").await.status, 405);
    host.post("/v1/admin/config/reload", Value::Null).await.expect(403);
}
