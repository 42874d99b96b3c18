//! Components on their way in, into service and out of it, as operators see it.

use crate::support::{
    Answer, Host,
    addresses::{inward, nasty},
    guest::{adjustable, guest},
    vendor::Vendor,
};
use aiv::providers::egress::{Egress, Reach, StandIns};
use poem::{Request, Response, endpoint::make_sync, http::StatusCode};
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::net::TcpListener;

/// An operator's host with version 1.0.0 of the adjustable provider in service, and its digest.
pub(crate) async fn with_adjustable(settings: &[(&str, &str)]) -> (Host, String) {
    let host = Host::start().await.operator().await;
    let (component, digest) = adjustable(settings);
    host.upload(ADJUSTABLE, component).await.expect(201);
    host.put(&format!("{ADJUSTABLE}/grant"), grant(&["api.example.com"])).await.expect(200);
    host.post(&format!("{ADJUSTABLE}/activate"), json!({"digest": digest})).await.expect(200);
    host.put("/v1/engines/adjustable", json!({})).await.expect(200);
    (host, digest)
}

pub(crate) const ADJUSTABLE: &str = "/v1/admin/providers/adjustable";

pub(crate) fn grant(hosts: &[&str]) -> Value {
    json!({"hosts": hosts, "credentials": ["key"]})
}

/// Installs another version, without activating it.
pub(crate) async fn install(host: &Host, settings: &[(&str, &str)]) -> String {
    let (component, digest) = adjustable(settings);
    host.upload(ADJUSTABLE, component).await.expect(201);
    digest
}

/// Asks `prompts` questions and returns the runs once all have ended.
pub(crate) async fn ask(host: &Host, prompts: usize, slot: &str) -> Vec<Value> {
    for number in 0..prompts {
        let text = format!("Which tool suits team {slot} {number}?");
        host.post("/v1/prompts", json!({"text": text})).await.expect(201);
    }
    let batch = host.start_batch(1, slot).await;
    host.work().await;
    runs(host, &batch.to_string()).await
}

pub(crate) async fn runs(host: &Host, batch: &str) -> Vec<Value> {
    let listed = host.get(format!("/v1/runs?batch={batch}&limit=200")).await.expect(200);
    listed["data"].as_array().unwrap().clone()
}

/// What operators and the platform did, newest first.
pub(crate) async fn actions(host: &Host) -> Vec<String> {
    let log = host.get("/v1/admin/audit-log?limit=200").await.expect(200);
    let of_ours =
        |row: &&Value| row["resource_type"] == "provider" && row["resource_id"] == "adjustable";
    let rows = log["data"].as_array().unwrap().iter().filter(of_ours);
    rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_component_is_installed_granted_activated_and_asked() {
    let host = Host::start().await.operator().await;
    let (component, digest) = adjustable(&[]);
    let installed = host.upload(&format!("{ADJUSTABLE}?sha256={digest}"), component.clone()).await;
    assert_eq!(installed.header("location"), Some(ADJUSTABLE));
    let installed = installed.expect(201);
    assert_eq!((&installed["digest"], &installed["version"]), (&json!(digest), &json!("1.0.0")));
    assert_eq!(installed["manifest"]["key"], "adjustable");
    assert_eq!(
        installed["missing"],
        json!({"hosts": ["api.example.com"], "credentials": {"key": ["api.example.com"]}})
    );
    host.put("/v1/engines/adjustable", json!({})).await.expect(422);

    let activate = format!("{ADJUSTABLE}/activate");
    let refused = host.post(&activate, json!({"digest": digest})).await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("host api.example.com"), "{detail}");
    assert!(detail.contains("credential key for api.example.com"), "{detail}");

    host.put(&format!("{ADJUSTABLE}/grant"), grant(&["api.example.com"])).await.expect(200);
    let active = host.post(&activate, json!({"digest": digest, "reason": "new"})).await;
    let active = active.expect(200);
    assert_eq!((&active["state"], &active["slot"]), (&json!("active"), &json!("main")));
    host.put("/v1/engines/adjustable", json!({})).await.expect(200);
    let runs = ask(&host, 3, "2026-01-01T00:00:00Z").await;
    assert_eq!(runs.len(), 3);
    for run in &runs {
        assert_eq!((&run["state"], &run["provider_digest"]), (&json!("succeeded"), &json!(digest)));
    }
    let told = actions(&host).await;
    let expected = ["provider.commit", "provider.activate", "provider.grant", "provider.install"];
    assert_eq!(told, expected);

    // The same bytes again are the same component.
    host.upload(ADJUSTABLE, component).await.expect(201);
    assert_eq!(actions(&host).await, expected);
    let found = host.get(ADJUSTABLE).await.expect(200);
    assert_eq!(found["components"].as_array().unwrap().len(), 1);
    assert_eq!(found["components"][0]["calls"]["succeeded"], 3);
    assert_eq!(found["components"][0]["calls"]["success_rate"], 1.0);
    assert!(found["components"][0]["calls"]["p95_ms"].is_number());
    let listed = host.get("/v1/admin/providers").await.expect(200);
    let keys = listed["data"].as_array().unwrap().iter();
    let keys: Vec<_> = keys.map(|row| row["provider"].as_str().unwrap()).collect();
    assert_eq!(keys, ["adjustable", "aio", "brave", "perplexity"]);
}

#[tokio::test]
async fn what_is_no_provider_is_refused_with_a_reason() {
    let host = Host::start().await.operator().await;
    let (component, digest) = adjustable(&[]);
    let refused = async |path: &str, bytes: Vec<u8>, status: u16, says: &str| {
        let answer = host.upload(path, bytes).await.expect(status);
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    };
    let wrong = format!("{ADJUSTABLE}?sha256={}", digest.replace(char::is_numeric, "f"));
    refused(&wrong, component.clone(), 422, "altered").await;
    refused("/v1/admin/providers/other", component.clone(), 422, "for the provider").await;
    refused(ADJUSTABLE, b"(component)".to_vec(), 422, "text").await;
    refused(ADJUSTABLE, component[..component.len() / 2].to_vec(), 422, "not a valid").await;
    refused(ADJUSTABLE, adjustable(&[("behave", "mute")]).0, 422, "panicked").await;
    refused(ADJUSTABLE, guest("sockets"), 422, "fetch").await;
    refused(ADJUSTABLE, guest("bad_manifest"), 422, "key").await;
    refused(ADJUSTABLE, guest("wrong_shape"), 422, "refused").await;
    refused(ADJUSTABLE, vec![0; 33 << 20], 413, "bytes").await;
    host.put(ADJUSTABLE, json!({})).await.expect(422);
    let request = host.client.put(ADJUSTABLE).content_type("text/plain").body("component");
    let request = request.header("authorization", format!("Bearer {}", host.key()));
    let text = Answer::of(request.send().await).await.expect(415);
    assert!(text["detail"].as_str().unwrap().contains("application/wasm"));
    host.get(ADJUSTABLE).await.expect(404);
    assert!(actions(&host).await.is_empty());
}

#[tokio::test]
async fn only_operators_of_the_platform_may() {
    let (host, digest) = with_adjustable(&[]).await;
    let tenant = host.other_workspace().await;
    for path in ["/v1/admin/providers", ADJUSTABLE, "/v1/admin/publisher-keys"] {
        tenant.get(path).await.expect(403);
    }
    tenant.upload(ADJUSTABLE, adjustable(&[]).0).await.expect(403);
    tenant.post(&format!("{ADJUSTABLE}/activate"), json!({"digest": digest})).await.expect(403);
}

#[tokio::test]
async fn a_wider_manifest_waits_for_its_grant_and_an_older_version_for_force() {
    let (host, first) = with_adjustable(&[("version", "1.1.0")]).await;
    let activate = format!("{ADJUSTABLE}/activate");
    let wider = [("version", "1.2.0"), ("hosts", "api.example.com,cdn.example.com")];
    let wider = install(&host, &wider).await;
    let refused = host.post(&activate, json!({"digest": wider})).await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("host cdn.example.com"), "{detail}");
    assert!(detail.contains("credential key for cdn.example.com"), "{detail}");
    assert!(!detail.contains("host api.example.com"), "{detail}");
    let hosts = ["api.example.com", "cdn.example.com"];
    // A host alone does not make the credential go there.
    let bound = json!({
        "hosts": hosts, "credentials": ["key"], "credential_hosts": {"key": ["api.example.com"]},
    });
    host.put(&format!("{ADJUSTABLE}/grant"), bound).await.expect(200);
    let refused = host.post(&activate, json!({"digest": wider})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("key for cdn.example.com"));
    host.put(&format!("{ADJUSTABLE}/grant"), grant(&hosts)).await.expect(200);
    host.post(&activate, json!({"digest": wider})).await.expect(200);

    let older = install(&host, &[("version", "1.0.0")]).await;
    let refused = host.post(&activate, json!({"digest": older})).await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("older than 1.2.0"), "{detail}");
    // One that was in service before may come back by its name as well.
    host.post(&activate, json!({"digest": first})).await.expect(200);
    host.post(&activate, json!({"digest": older, "force": true})).await.expect(200);
    let nonsense = json!({
        "hosts": [], "credentials": [], "credential_hosts": {"key": ["api.example.com"]},
    });
    host.put(&format!("{ADJUSTABLE}/grant"), nonsense).await.expect(422);
}

#[tokio::test]
async fn a_provider_is_disabled_reloaded_and_its_unused_components_are_deleted() {
    let (host, first) = with_adjustable(&[]).await;
    let second = install(&host, &[("version", "1.1.0")]).await;
    let third = install(&host, &[("version", "1.2.0")]).await;
    let activate = format!("{ADJUSTABLE}/activate");
    host.post(&activate, json!({"digest": second})).await.expect(200);
    let components = format!("{ADJUSTABLE}/components");
    let kept = host.delete(format!("{components}?digest={second}")).await.expect(409);
    assert!(kept["detail"].as_str().unwrap().contains("in service"));
    host.delete(format!("{components}?digest={first}")).await.expect(409);
    let deleted = host.delete(&components).await.expect(200);
    assert_eq!(deleted["digests"], json!([third]));
    let gone = host.post(&activate, json!({"digest": third})).await.expect(409);
    assert!(gone["detail"].as_str().unwrap().contains("upload it again"));
    install(&host, &[("version", "1.2.0")]).await;
    host.post(&activate, json!({"digest": third})).await.expect(200);

    let before = host.get("/v1/admin/providers").await.expect(200)["generation"].clone();
    let after = host.post(&format!("{ADJUSTABLE}/reload"), json!({})).await.expect(200);
    assert!(after["generation"].as_i64() > before.as_i64());
    let disable = format!("{ADJUSTABLE}/disable");
    let emptied = host.post(&disable, json!({"reason": "it is ill"})).await.expect(200);
    assert_eq!(emptied["data"].as_array().unwrap().len(), 1);
    let again = host.post(&disable, json!({"reason": "it is ill"})).await.expect(200);
    assert_eq!(again["data"], json!([]));
    let runs = ask(&host, 1, "2026-01-02T00:00:00Z").await;
    assert_eq!(runs[0]["state"], "skipped");
    assert!(runs[0]["reason"].as_str().unwrap().contains("in service"));
    let back = host.post(&format!("{ADJUSTABLE}/rollback"), json!({})).await.expect(200);
    assert_eq!(back["digest"], third);
    host.post("/v1/admin/providers/nobody/disable", json!({})).await.expect(404);
}

/// A server that has a component, and an address that leads elsewhere.
fn downloads(component: Vec<u8>) -> Vendor {
    Vendor::start(make_sync(move |request: Request| match request.uri().path() {
        "/adjustable.wasm" => Response::builder().body(component.clone()),
        _ => StatusCode::FOUND.into(),
    }))
}

#[tokio::test]
async fn a_component_is_fetched_from_where_it_was_published() {
    let (component, digest) = adjustable(&[]);
    let server = downloads(component);
    let mut host = Host::start().await.operator().await;
    let at = |file: &str, sha256: &str| json!({"url": format!("https://dl.example.com/{file}"), "sha256": sha256});

    let names = HashMap::from([("dl.example.com".to_owned(), server.address)]);
    let stand_ins = StandIns::Named(names);
    host.app.egress = Egress::with(Reach { stand_ins, ..Reach::default() }).unwrap();
    let host = host.with_key(host.key());
    let altered = host.put(ADJUSTABLE, at("adjustable.wasm", &"0".repeat(64))).await.expect(422);
    assert!(altered["errors"][0]["detail"].as_str().unwrap().contains("altered"), "{altered}");
    host.put(ADJUSTABLE, at("adjustable.wasm", "abc")).await.expect(422);
    let moved = host.put(ADJUSTABLE, at("moved", &digest)).await.expect(422);
    assert!(moved["errors"][0]["detail"].as_str().unwrap().contains("302"), "{moved}");
    let installed = host.put(ADJUSTABLE, at("adjustable.wasm", &digest)).await.expect(201);
    assert_eq!(installed["digest"], digest);
}

#[tokio::test]
async fn a_component_is_not_fetched_from_inside() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let many = 100_000.try_into().unwrap();
    let host = Host::start_set(|config| config.server.rate_limit_burst = many).await;
    let mut host = host.operator().await;
    let reach = Reach { extra_ports: vec![port], ..Reach::default() };
    host.app.egress = Egress::with(reach).unwrap();
    let host = host.with_key(host.key());
    // Where a name of somebody else leads is theirs to say.
    let all = inward().into_iter().chain(nasty(port)).filter(|url| !url.contains("example"));
    for url in all {
        let body = json!({"url": url, "sha256": "0".repeat(64)});
        let refused = host.put(ADJUSTABLE, body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/url", "{url}: {refused}");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(50), canary.accept());
    assert!(quiet.await.is_err(), "somebody connected");
}
