//! One call: counted, bounded, resumable, and silent about credentials.

use aiv::{
    Clock,
    providers::{
        Begin, CallEnd, CallFailure, CallReport, CallRequest, CredentialSource, ExchangeResult,
        FailureClass, Grant, Health, Providers, Route, Transport,
        credentials::FixedCredential,
        transport::{Incoming, Outgoing, TransportFailure},
    },
};
use aiv_runtime::{
    Blame, Compiler, Plugin, Runtime, RuntimeConfig,
    types::{Body, CostBasis, ErrorKind, Outcome, Query, TransportError},
};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

const SECRET: &str = "pplx-canary/+secret=42";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
    // Python's components are large, and all tests compile at once.
    let compiler = Compiler::Child {
        program: env!("CARGO_BIN_EXE_aiv").into(),
        args: vec!["plugin".into(), "compile".into()],
        timeout: Duration::from_mins(10),
    };
    Runtime::new(RuntimeConfig { compiler, ..RuntimeConfig::new(cache) }).unwrap()
});

/// A first-party component, as `make plugins` left it.
pub(crate) async fn component(name: &str) -> Arc<Plugin> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../plugins/dist/{name}.wasm"));
    let wasm = std::fs::read(&file)
        .unwrap_or_else(|err| panic!("{}: {err}: run `make plugins`", file.display()));
    RUNTIME.load(&wasm).await.unwrap()
}

/// A component that `make plugins sdk` built with another language's tool. None where that tool is
/// missing; the reason is told.
pub(crate) async fn built(file: &str) -> Option<Arc<Plugin>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if let Ok(wasm) = std::fs::read(&file) {
        return Some(RUNTIME.load(&wasm).await.unwrap());
    }
    let mut reason = file.clone().into_os_string();
    reason.push(".skipped");
    let reason = std::fs::read_to_string(&reason)
        .unwrap_or_else(|err| panic!("{}: {err}: run `make plugins sdk`", file.display()));
    skipped(&file.display().to_string(), reason.trim());
    None
}

/// Says what was not tested and why, past the capture of a test that passes.
#[expect(clippy::explicit_write, reason = "the harness hides what the macro prints")]
pub(crate) fn skipped(what: &str, reason: &str) {
    writeln!(std::io::stderr(), "skipped: {what}: {reason}").unwrap();
}

/// A question for the first surface of `route`.
pub(crate) fn query(route: &Route, prompt: &str) -> Query {
    Query {
        id: "run-1".into(),
        prompt: prompt.into(),
        surface: route.default_surface().unwrap().id.clone(),
        model: None,
        language: Some("en".into()),
        country: Some("US".into()),
        location: None,
        device: None,
        config: "{}".into(),
        now_unix: 0.0,
        seed: 7,
        extra: Vec::new(),
    }
}

/// Replies in turn; the last one again and again.
struct Script {
    replies: Vec<Reply>,
    asked: Mutex<Vec<String>>,
}

enum Reply {
    Json(u16, Value),
    Bytes(&'static str, &'static [u8]),
    Failure(TransportError, &'static str),
    Silence,
}

impl Script {
    fn new(replies: Vec<Reply>) -> Arc<Self> {
        Arc::new(Self { replies, asked: Mutex::default() })
    }
}

impl Transport for Script {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        Box::pin(async move {
            let turn = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(format!("{} {}", request.method, request.url));
                asked.len() - 1
            };
            let headers = |kind: &str| vec![("Content-Type".to_owned(), kind.to_owned())];
            match &self.replies[turn.min(self.replies.len() - 1)] {
                Reply::Json(status, body) => Ok(Incoming {
                    status: *status,
                    headers: [
                        headers("application/json"),
                        vec![
                            ("X-Echo".into(), format!("{:?}", request.url.query())),
                            ("Set-Cookie".into(), "session=1".into()),
                        ],
                    ]
                    .concat(),
                    body: body.to_string().into_bytes(),
                }),
                Reply::Bytes(kind, body) => {
                    Ok(Incoming { status: 200, headers: headers(kind), body: body.to_vec() })
                }
                Reply::Failure(error, reason) => Err(TransportFailure::new(*error, *reason)),
                Reply::Silence => std::future::pending().await,
            }
        })
    }
}

struct NoCredentials;

impl CredentialSource for NoCredentials {
    fn find(&self, _: &str, _: &str, _: &str) -> Option<SecretString> {
        None
    }
}

async fn route(change: impl FnOnce(&mut Grant)) -> Route {
    let plugin = component("perplexity").await;
    let mut grant = Grant::as_requested(plugin.manifest());
    change(&mut grant);
    Route::new(&plugin, grant)
}

fn providers(script: &Arc<Script>) -> Providers {
    let credential = Arc::new(FixedCredential::new(SECRET));
    Providers::with(Arc::clone(script) as _, credential, Clock::default())
}

async fn call(script: &Arc<Script>, route: &Route) -> CallReport {
    let begin = Begin::Query(Box::new(query(route, "best tool?")));
    providers(script).call(route, CallRequest { begin, attempt: 1 }).await
}

fn failure(report: &CallReport) -> &CallFailure {
    match &report.end {
        CallEnd::Failed(failure) => failure,
        end => panic!("no failure but {end:?}"),
    }
}

fn answer(text: &str) -> Value {
    json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "perplexity/sonar",
        "output": [{
            "type": "message", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }],
        "usage": {
            "input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
            "cost": { "currency": "USD", "total_cost": 0.00125 },
        },
    })
}

fn queued() -> Value {
    json!({
        "id": "resp_1", "object": "response", "status": "queued", "model": "perplexity/sonar",
        "output": [], "background": true,
    })
}

#[tokio::test]
async fn an_echoed_credential_is_nowhere_in_the_report() {
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let body = answer(&format!("Your key is {SECRET} and {encoded}."));
    let script = Script::new(vec![Reply::Json(200, body)]);
    let route = route(|_| {}).await;
    let report = call(&script, &route).await;
    let CallEnd::Done(Outcome::Answered(answer)) = &report.end else {
        panic!("{:?}", report.end);
    };
    assert_eq!(answer.text, "Your key is [redacted] and [redacted].");
    let stored = serde_json::to_string(&report.exchanges).unwrap();
    for text in [stored.as_str(), &format!("{report:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(stored.contains("Bearer [api"), "{stored}");
    assert!(!stored.contains("set-cookie"), "{stored}");
    assert!(stored.contains("\"content-type\""), "header names are lower-case: {stored}");
}

#[tokio::test]
async fn a_missing_credential_names_its_variable() {
    let script = Script::new(vec![Reply::Silence]);
    let route = route(|_| {}).await;
    let providers =
        Providers::with(Arc::clone(&script) as _, Arc::new(NoCredentials), Clock::default());
    assert_eq!(providers.missing_credentials(&route), ["PERPLEXITY_API_KEY"]);
    let begin = Begin::Query(Box::new(query(&route, "x")));
    let report = providers.call(&route, CallRequest { begin, attempt: 1 }).await;
    let failure = failure(&report);
    assert_eq!((failure.kind, failure.class), (ErrorKind::Auth, FailureClass::Credential));
    assert!(failure.message.contains("PERPLEXITY_API_KEY"), "{}", failure.message);
    assert!(script.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_paused_call_goes_on_in_another_process() {
    let script = Script::new(vec![Reply::Json(200, queued()), Reply::Json(200, answer("Done."))]);
    let first = route(|_| {}).await;
    let report = call(&script, &first).await;
    let CallEnd::Paused { checkpoint, delay } = report.end else { panic!("{:?}", report.end) };
    assert!(delay >= Duration::from_millis(100));
    assert_eq!((checkpoint.fetches, checkpoint.answered), (1, 1));

    let stored = serde_json::to_string(&checkpoint).unwrap();
    let restored = serde_json::from_str(&stored).unwrap();
    assert_eq!(checkpoint, restored);
    let other = route(|_| {}).await;
    let request = CallRequest { begin: Begin::Resume(restored), attempt: 1 };
    let report = providers(&script).call(&other, request).await;
    assert!(matches!(report.end, CallEnd::Done(Outcome::Answered(_))), "{:?}", report.end);
    assert_eq!((report.fetches, report.exchanges.len()), (2, 1));
}

#[tokio::test]
async fn a_call_is_resumed_only_by_the_component_that_paused_it() {
    let script = Script::new(vec![Reply::Json(200, queued())]);
    let report = call(&script, &route(|_| {}).await).await;
    let CallEnd::Paused { mut checkpoint, .. } = report.end else { panic!("{:?}", report.end) };
    checkpoint.digest = [7; 32].into();
    let request = CallRequest { begin: Begin::Resume(checkpoint), attempt: 1 };
    let report = providers(&script).call(&route(|_| {}).await, request).await;
    assert_eq!(failure(&report).class, FailureClass::Policy);
}

#[tokio::test]
async fn fetches_are_counted_across_pauses() {
    let script = Script::new(vec![Reply::Json(200, queued())]);
    let route = route(|grant| grant.max_fetches = Some(1)).await;
    let report = call(&script, &route).await;
    let CallEnd::Paused { checkpoint, .. } = report.end else { panic!("{:?}", report.end) };
    let request = CallRequest { begin: Begin::Resume(checkpoint), attempt: 1 };
    let report = providers(&script).call(&route, request).await;
    let failure = failure(&report);
    assert_eq!((failure.blame, failure.class), (Blame::Guest, FailureClass::Policy));
    assert!(failure.message.contains("more than 1 fetches"), "{}", failure.message);
    // The vendor answered once and may charge for it.
    assert_eq!(failure.spent.unwrap().basis, CostBasis::Estimated);
    assert_eq!(script.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_silent_vendor_ends_at_the_deadline() {
    let script = Script::new(vec![Reply::Silence]);
    let route = route(|grant| grant.max_deadline_ms = 300).await;
    let begun = tokio::time::Instant::now();
    let report = call(&script, &route).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let failure = failure(&report);
    assert_eq!((failure.kind, failure.blame), (ErrorKind::Timeout, Blame::Vendor));
    assert_eq!(failure.spent, None);
}

#[tokio::test]
async fn a_pause_that_outlasts_the_deadline_fails_at_once() {
    let script = Script::new(vec![Reply::Json(200, queued())]);
    let route = route(|grant| grant.max_deadline_ms = 50).await;
    let report = call(&script, &route).await;
    assert_eq!(failure(&report).class, FailureClass::Deadline);
}

#[tokio::test]
async fn the_operator_reads_why_nothing_came_back() {
    let script = Script::new(vec![Reply::Failure(
        TransportError::Dns,
        "api.perplexity.ai does not resolve",
    )]);
    let report = call(&script, &route(|_| {}).await).await;
    let message = &failure(&report).message;
    assert!(message.contains("does not resolve"), "{message}");
    let [exchange] = &report.exchanges[..] else { panic!("{:?}", report.exchanges) };
    assert!(matches!(
        &exchange.result,
        ExchangeResult::TransportError { error: TransportError::Dns, .. }
    ));
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_not_asked() {
    let script = Script::new(vec![Reply::Silence]);
    let report = call(&script, &route(|grant| grant.hosts.clear()).await).await;
    let failure = failure(&report);
    assert_eq!(failure.class, FailureClass::Policy);
    assert!(failure.message.contains("is not granted by the operator"), "{}", failure.message);
    assert!(script.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn bytes_become_text_only_when_they_are_text() {
    for (kind, body, is_text) in [
        ("text/plain", &b"caf\xc3\xa9"[..], true),
        ("text/plain; charset=UTF-8", b"caf\xe9", true),
        ("text/plain; charset=latin1", b"caf\xe9", false),
        ("application/octet-stream", b"\xff\xfe", false),
    ] {
        let script = Script::new(vec![Reply::Bytes(kind, body)]);
        let report = call(&script, &route(|_| {}).await).await;
        let ExchangeResult::Response { body, .. } = &report.exchanges[0].result else {
            panic!("{:?}", report.exchanges);
        };
        assert_eq!(matches!(body, Body::Text(_)), is_text, "{kind}");
        assert_eq!(failure(&report).kind, ErrorKind::MalformedResponse);
    }
}

#[tokio::test]
async fn the_catalogue_is_swapped_as_a_whole() {
    let script = Script::new(vec![Reply::Json(200, answer("Hello."))]);
    let providers = providers(&script);
    assert!(providers.find("perplexity").is_none());
    providers.replace([route(|_| {}).await]);
    let held = providers.find("perplexity").unwrap();
    assert_eq!(providers.list().len(), 1);
    assert!(providers.find_digest(held.digest).is_some());
    providers.replace([]);
    assert!(providers.find("perplexity").is_none());
    let begin = Begin::Query(Box::new(query(&held, "x")));
    let report = providers.call(&held, CallRequest { begin, attempt: 1 }).await;
    assert!(matches!(report.end, CallEnd::Done(_)), "a call keeps its route");
}

#[tokio::test]
async fn a_health_check_tells_a_bad_key_from_a_bad_day() {
    let route = route(|_| {}).await;
    for (reply, expected) in [
        (Reply::Json(200, json!({})), Health::Healthy),
        (
            Reply::Json(401, json!({})),
            Health::CredentialRefused("the vendor answers with status 401".into()),
        ),
        (
            Reply::Json(503, json!({})),
            Health::Unhealthy("the vendor answers with status 503".into()),
        ),
        (
            Reply::Failure(TransportError::Dns, "no such host"),
            Health::Unhealthy("no such host".into()),
        ),
    ] {
        let script = Script::new(vec![reply]);
        assert_eq!(providers(&script).check_health(&route, "{}").await, expected);
    }
}
