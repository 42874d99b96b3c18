//! Credentials that workspaces bring themselves: sealed, used, and never shown.

use crate::support::{
    Host,
    process::{aiv, json as output},
};
use aiv::{
    config::Config,
    providers::{
        Providers, Registry, Transport,
        credentials::FixedCredential,
        replay::ReplayTransport,
        transport::{Incoming, Outgoing, TransportFailure},
    },
    store::{connections, costs, credentials, webhooks},
    vault::{Place, Vault},
};
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret;
use serde_json::json;
use std::sync::{Arc, Mutex};

const OLD: &str = "a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const NEW: &str = "b:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
const CANARY: &str = "pplx-canary-0123456789";
const PATH: &str = "/v1/engines/perplexity/credential";

/// Answers from recordings and remembers what it was sent.
#[derive(Default)]
struct Spy(Mutex<Vec<String>>);

impl Transport for Spy {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        // A header that holds a credential does not print itself.
        let headers = request.headers.values().map(|v| String::from_utf8_lossy(v.as_bytes()));
        let sent = format!("{} {}", request.url, headers.collect::<Vec<_>>().join(" "));
        self.0.lock().unwrap().push(sent);
        Box::pin(async move { ReplayTransport.send(request).await })
    }

    fn is_synthetic(&self) -> bool {
        true
    }
}

impl Spy {
    /// What was sent since the last look.
    fn seen(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join("\n")
    }
}

async fn start() -> (Arc<Spy>, Host) {
    let mut host =
        Host::start_with(|config| config.auth.master_keys = Some(OLD.to_owned().into())).await;
    let spy = Arc::<Spy>::default();
    let credential = Arc::new(FixedCredential::new("of-the-installation"));
    let providers = Providers::with(spy.clone(), credential, host.app.clock.clone());
    let app = &mut host.app;
    app.registry = Registry::new(
        app.store.clone(),
        Arc::clone(&app.runtime),
        providers.clone(),
        app.clock.clone(),
        &app.config.providers,
    );
    app.registry.refresh().await.unwrap();
    app.providers = providers;
    let host = host.with_key(host.key());
    host.put("/v1/engines/perplexity", json!({})).await.expect(200);
    (spy, host)
}

#[tokio::test]
async fn without_a_master_key_nothing_is_stored() {
    let host = Host::start().await;
    let mut settings = Config::defaults().unwrap();
    settings.database.url = "postgres://elsewhere/aiv".into();
    host.app.vault.replace(&Vault::open(&settings.auth, &settings.database).unwrap());
    host.put("/v1/engines/perplexity", json!({})).await.expect(200);
    let refused = host.put(PATH, json!({"value": CANARY})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("AIV_MASTER_KEYS"));
    let refused = host.post("/v1/webhooks", json!({"url": "https://acme.com/hook"})).await;
    assert!(refused.expect(409)["detail"].as_str().unwrap().contains("AIV_MASTER_KEYS"));
}

#[tokio::test]
async fn an_embedded_database_needs_no_master_key() {
    let host = Host::start_with(|config| config.auth.master_keys = None).await;
    host.put("/v1/engines/perplexity", json!({})).await.expect(200);
    let stored = host.put(PATH, json!({"value": CANARY})).await.status;
    let embedded = host.app.config.database.url.expose_secret().starts_with("sqlite");
    assert_eq!(stored, if embedded { 204 } else { 409 });
}

#[tokio::test]
async fn a_credential_is_used_and_never_shown() {
    let (spy, host) = start().await;
    let source = async |host: &Host| {
        let engine = host.get("/v1/engines/perplexity").await.expect(200);
        engine["credentials"][0]["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(source(&host).await, "installation");
    let before = host.get("/v1/engines/perplexity").await;
    assert_eq!(host.put(PATH, json!({"value": CANARY})).await.status, 204);
    assert_eq!(source(&host).await, "workspace");
    let after = host.get("/v1/engines/perplexity").await;
    assert_ne!(before.header("etag"), after.header("etag"), "what is shown has changed");

    let test = async |host: &Host| {
        host.post("/v1/engines/perplexity/test", json!({"query": "best crm?"})).await.expect(200)
    };
    let other = host.other_workspace().await;
    other.put("/v1/engines/perplexity", json!({})).await.expect(200);
    assert_eq!(test(&other).await["status"], "ok");
    let seen = spy.seen();
    assert!(seen.contains("of-the-installation") && !seen.contains(CANARY), "{seen}");
    let tested = test(&host).await;
    assert!(tested["answer"].is_string() && !tested.to_string().contains(CANARY));
    assert!(spy.seen().contains(CANARY));

    // A run of a batch is asked with it as well.
    host.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
    host.post("/v1/batches", json!({"engines": ["perplexity"]})).await.expect(202);
    host.work().await;
    let seen = spy.seen();
    assert!(seen.contains(CANARY) && !seen.contains("of-the-installation"), "{seen}");

    // Nowhere to be read.
    for path in ["/v1/engines", "/v1/engines/perplexity", "/v1/providers", "/v1/audit-log"] {
        assert!(!host.get(path).await.body.to_string().contains(CANARY), "{path}");
    }
    assert_eq!(host.get(PATH).await.status, 405);
    let mut conn = host.app.store.read().await.unwrap();
    let rows = credentials::list(&mut conn, host.workspace.id).await.unwrap();
    drop(conn);
    let clear = rows[0].sealed.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    assert!(rows.len() == 1 && !clear);

    assert_eq!(host.delete(PATH).await.status, 204);
    assert_eq!(host.delete(PATH).await.status, 404);
    assert_eq!(source(&host).await, "installation");
    test(&host).await;
    assert!(spy.seen().contains("of-the-installation"));
}

#[tokio::test]
async fn a_row_that_was_moved_opens_for_nobody() {
    let (spy, host) = start().await;
    host.put(PATH, json!({"value": CANARY})).await;
    let other = host.other_workspace().await;
    other.put("/v1/engines/perplexity", json!({})).await.expect(200);
    let mut tx = host.app.store.begin().await.unwrap();
    let mut row = credentials::list(&mut tx, host.workspace.id).await.unwrap().remove(0);
    row.workspace_id = other.workspace.id;
    credentials::save(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    let test = other.post("/v1/engines/perplexity/test", json!({"query": "best crm?"})).await;
    assert_eq!(test.status, 503, "{:#}", test.body);
    assert_eq!(spy.seen(), "", "and nobody else's is taken in its place");
}

#[tokio::test]
async fn only_what_the_provider_wants_can_be_set() {
    let (_, host) = start().await;
    for (body, status) in [
        (json!({"value": ""}), 422),
        (json!({"value": "a\nb"}), 422),
        (json!({"value": "x", "name": "other"}), 422),
        (json!({"value": "x", "read": true}), 422),
        (json!({}), 422),
    ] {
        assert_eq!(host.put(PATH, body.clone()).await.status, status, "{body}");
    }
    let unknown = "/v1/engines/brave/credential";
    assert_eq!(host.put(unknown, json!({"value": "x"})).await.status, 404, "not configured");
}

#[tokio::test]
async fn a_test_is_paid_from_the_budgets() {
    let (spy, host) = start().await;
    let test =
        async || host.post("/v1/engines/perplexity/test", json!({"query": "best crm?"})).await;
    let cost = test().await.expect(200)["cost_micros"].as_i64().unwrap();
    assert!(cost > 0);
    let mut conn = host.app.store.read().await.unwrap();
    let day = host.workspace.day(host.app.clock.now());
    let spent = costs::spent_on(&mut conn, host.workspace.id, day).await.unwrap();
    drop(conn);
    assert_eq!(spent, cost);
    spy.seen();
    host.put("/v1/engines/perplexity", json!({"daily_budget_micros": 0})).await.expect(200);
    let refused = test().await.expect(402);
    assert_eq!(refused["code"], "budget_exceeded");
    assert_eq!(spy.seen(), "");
    // The free check costs nothing, and nothing was measured.
    let checked = host.post("/v1/engines/perplexity/test", json!({})).await.expect(200);
    assert_eq!(checked["cost_micros"], 0);
    assert_eq!(host.get("/v1/runs").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_master_key_is_rotated() {
    let (spy, host) = start().await;
    host.put(PATH, json!({"value": CANARY})).await;
    let hook = json!({"url": "https://acme.com/hook"});
    let webhook = host.post("/v1/webhooks", hook).await.expect(201);
    let rotate = format!("/v1/webhooks/{}/rotate", webhook["webhook"]["id"].as_str().unwrap());
    host.post(rotate, json!({"overlap_hours": 1})).await.expect(200);
    let connection =
        json!({"name": "ops", "kind": "webhook", "url": "https://acme.com", "secret": CANARY});
    host.post("/v1/connections", connection).await.expect(201);
    let files = tempfile::tempdir().unwrap();
    let rotate = |keys: &str| {
        let mut command = aiv(files.path());
        command
            .args(["key", "rotate", "--json"])
            .env("DATABASE_URL", host.app.config.database.url.expose_secret())
            .env("AIV_MASTER_KEYS", keys);
        command
    };
    let failed = rotate(NEW).output().unwrap();
    assert!(!failed.status.success(), "the old key is needed to open");
    let both = format!("{NEW},{OLD}");
    for count in [1, 0] {
        let told = json!({
            "key_id": "b", "credentials": count, "webhooks": count, "connections": count,
        });
        assert_eq!(output(&mut rotate(&both)), told);
    }
    let mut settings = host.app.config.as_ref().clone();
    settings.auth.master_keys = Some(NEW.into());
    let vault = Vault::open(&settings.auth, &settings.database).unwrap();
    let mut conn = host.app.store.read().await.unwrap();
    let credential = credentials::of_all(&mut conn, None, 10).await.unwrap().remove(0);
    let webhook = webhooks::of_all(&mut conn, None, 10).await.unwrap().remove(0);
    let connection = connections::of_all(&mut conn, None, 10).await.unwrap().remove(0);
    drop((conn, spy));
    let workspace = host.workspace.id;
    let place = Place::of_engine(workspace, "perplexity", &credential.name);
    let opened = vault.unseal(place, &credential.sealed).unwrap();
    assert_eq!(opened, CANARY.as_bytes());
    let place = Place::of_webhook(workspace, webhook.id);
    let key = vault.unseal(place, &webhook.signing_key).unwrap();
    assert_ne!(key, vault.unseal(place, &webhook.previous_key.unwrap()).unwrap());
    let place = Place::of_connection(workspace, connection.id);
    vault.unseal(place, &connection.secret.unwrap()).unwrap();
}
