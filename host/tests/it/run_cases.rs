//! A run as a case: a report of what went wrong becomes a test.

use crate::{
    driver::{component, query},
    support::{
        Host,
        process::{self, aiv, text},
        vendor::Vendor,
    },
};
use aiv::{
    Clock,
    providers::{
        Begin, CallRequest, Grant, Providers, Route, Transport,
        cases::{self, Asked, Recording},
        credentials::FixedCredential,
        transport::{Incoming, Outgoing, TransportFailure},
    },
};
use aiv_runtime::types::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::DateTime;
use futures_util::future::{BoxFuture, ready};
use poem::{Request, Response, endpoint::make_sync};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};

/// What a mocked host proves itself with.
const MOCK_KEY: &str = "a mock needs no credential";
const CANARY: &str = "pplx-canary/+secret=42";

/// Answers with what it was sent, and with all that says who asked.
fn echo(request: &Request) -> Response {
    let key = request.header("authorization").unwrap_or_default().to_owned();
    Response::builder()
        .content_type("application/json")
        .header("x-echo", &key)
        .header("set-cookie", "session=canary-session")
        .header("openai-organization", "canary-organization")
        .header("cf-ray", "canary-ray")
        .header("x-request-id", "req-1")
        .body(json!({"id": 7, "seen": key, "again": STANDARD.encode(key.as_bytes())}).to_string())
}

/// Writes a case as the host described it.
fn write(found: &Value, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("case.json"), found["case"].to_string()).unwrap();
    for file in found["files"].as_array().unwrap() {
        let name = folder.join(file["name"].as_str().unwrap());
        fs::write(name, file["text"].as_str().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_failed_run_becomes_a_case_that_fails_in_the_same_way() {
    let vendor = Vendor::start(make_sync(|request| echo(&request)));
    let host = Host::start_mocked(vendor.url()).await.operator().await;
    host.put("/v1/engines/perplexity", json!({"country": "DK"})).await.expect(200);
    host.post("/v1/prompts", json!({"text": "Which lock is safe?"})).await.expect(201);
    let batch = host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get(format!("/v1/runs?batch={batch}")).await.expect(200);
    let run = &runs["data"][0];
    assert_eq!(
        (&run["state"], &run["error_kind"]),
        (&json!("failed"), &json!("malformed-response"))
    );
    let id = run["id"].as_str().unwrap();

    let found = host.get(format!("/v1/admin/runs/{id}/case")).await.expect(200);
    let case = &found["case"];
    assert_eq!(
        (&case["prompt"], &case["location"]["country"]),
        (&json!("Which lock is safe?"), &json!("DK"))
    );
    assert_eq!(case["expect"]["error"]["kind"], "malformed-response");
    assert_eq!(case["steps"][0]["request"]["headers"]["authorization"], "Bearer <key>");
    let headers = &case["steps"][0]["response"]["headers"];
    assert_eq!(headers["x-request-id"], "req-1");
    assert!(headers["x-echo"].as_str().unwrap().contains("[redacted]"), "{headers}");
    let all = found.to_string();
    let encoded = STANDARD.encode(format!("Bearer {MOCK_KEY}"));
    for secret in [MOCK_KEY, &encoded[12..28], "canary"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }

    let plugin = component("perplexity").await;
    let folder = tempfile::tempdir().unwrap();
    write(&found, folder.path());
    let case = cases::load(folder.path()).unwrap().remove(0);
    assert_eq!(cases::run(&plugin, &case).await.unwrap().difference, None);
    // It is the answer that the component cannot read, and not the case.
    let file = folder.path().join(found["files"][0]["name"].as_str().unwrap());
    fs::write(file, "{\"status\": \"failed\", \"error\": {\"code\": \"server_error\"}}").unwrap();
    assert!(cases::run(&plugin, &case).await.unwrap().difference.is_some());

    host.get(format!("/v1/admin/runs/{}/case", uuid::Uuid::now_v7())).await.expect(404);
}

#[tokio::test]
async fn a_run_that_nobody_answered_is_no_case() {
    // It has no key of the vendor's.
    let host = Host::start_live().await.operator().await;
    host.put("/v1/engines/perplexity", json!({})).await.expect(200);
    host.post("/v1/prompts", json!({"text": "Which lock is safe?"})).await.expect(201);
    let batch = host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get(format!("/v1/runs?batch={batch}")).await.expect(200);
    assert_eq!(runs["data"][0]["error_kind"], "auth");
    let id = runs["data"][0]["id"].as_str().unwrap();
    let refused = host.get(format!("/v1/admin/runs/{id}/case")).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("nothing to make a case of"));
}

#[tokio::test]
async fn an_answered_run_is_written_by_a_command_and_passes() {
    let files = tempfile::tempdir().unwrap();
    let host = Host::start().await;
    host.seed_demo(1).await;
    let batch = host.start_batch(1, "monday").await;
    host.work().await;
    let runs = host.get(format!("/v1/runs?batch={batch}&engine=brave")).await.expect(200);
    let id = runs["data"][0]["id"].as_str().unwrap();
    let mut command = aiv(files.path());
    let database = host.app.config.database.url.expose_secret();
    command.args(["--json", "provider", "case", id]).env("DATABASE_URL", database);
    let written = process::json(&mut command);
    assert_eq!(written["case"], format!("cases/run-{id}"));
    assert_eq!(written["expect"]["outcome"], "answer");
    let again = command.output().unwrap();
    assert!(text(&again).contains("is there already"), "{}", text(&again));

    let brave = crate::support::plugin_dir().join("brave.wasm");
    let test = |folder: &str| {
        let mut command = aiv(files.path());
        command.args(["plugin", "test"]).arg(&brave).args(["--cases", folder]).output().unwrap()
    };
    let tested = test("cases");
    assert!(text(&tested).contains("1 passed, 0 failed"), "{}", text(&tested));
}

/// Echoes a credential in every way that a vendor could.
struct Echo;

impl Transport for Echo {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        let key = request.headers["authorization"].to_str().unwrap().to_owned();
        let spelt: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
        let body = json!({"a": key, "b": spelt, "c": STANDARD.encode(&key), "d": [CANARY]});
        Box::pin(ready(Ok(Incoming {
            status: 401,
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("x-request-id".into(), format!("for {CANARY}")),
                ("set-cookie".into(), "session=1".into()),
                ("date".into(), "Mon, 01 Jan 2026 00:00:00 GMT".into()),
            ],
            body: body.to_string().into_bytes(),
        })))
    }
}

#[tokio::test]
async fn no_credential_is_in_a_recording() {
    let plugin = component("perplexity").await;
    let manifest = plugin.manifest();
    let route = Route::new(&plugin, Grant::as_requested(manifest));
    let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    let credential = Arc::new(FixedCredential::new(CANARY));
    let providers = Providers::with(Arc::new(Echo), credential, Clock::fixed(at));
    let query = query(&route, "Which lock is safe?");
    let request = CallRequest { begin: Begin::Query(Box::new(query.clone())), attempt: 1 };
    let report = providers.call_to_end(&route, request).await;
    let expect = Recording::expectation(&report.end, &report.exchanges);
    assert_eq!(expect["error"]["kind"], "auth");
    let digest = plugin.digest().to_string();
    let asked = Asked { manifest, query: &query, at, digest };
    let recording = Recording::new("echo", &asked, &report.exchanges, &expect);

    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("echo");
    recording.write(&case).unwrap();
    assert!(recording.write(&case).is_err(), "a case was written over");
    let mut all = recording.case.to_string();
    for body in recording.bodies.values() {
        let Body::Text(text) = body else { panic!("a text became bytes") };
        all.push_str(text);
    }
    assert!(all.contains("[redacted]") && all.contains("Bearer <key>"), "{all}");
    let encoded = STANDARD.encode(format!("Bearer {CANARY}"));
    for part in
        ["canary", "secret=42", "secret%3D42", &encoded[12..28], "session=1", "00:00:00 GMT"]
    {
        assert!(!all.contains(part), "{part} is in {all}");
    }
    let case = cases::load(&case).unwrap().remove(0);
    assert_eq!(cases::run(&plugin, &case).await.unwrap().difference, None);
}
