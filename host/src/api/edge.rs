//! The one layer around everything: who calls, what it may do and how often, how long it may
//! take, what failure looks like, and what is written down about it.
//!
//! One layer and not ten, because each of these needs to know the operation, and an error that
//! passes through layers loses it.
//! **Invariant:** every answer leaves through [`finish`], whatever happened.

use super::{
    Problem,
    access::{self, Scope},
    addresses::ClientAddress,
    auth::{self, Caches, Principal, Proof},
    compress::{self, Coding},
    edge_settings::EdgeSettings,
    idempotency::{self, BodyDigest},
    limit::{Allowance, Payer},
    routes::{Found, Operation, Routes},
    stream_tickets,
};
use crate::{
    App, Error,
    ids::WorkspaceId,
    store,
    telemetry::metrics::{self, RequestInFlight},
};
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use poem::{
    Endpoint, Request, Response,
    error::ReadBodyError,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
};
use sha2::{Digest, Sha256};
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument;

/// Longer than this nobody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Compiling a large component takes half a minute on a slow machine.
const PATIENCE_WITH_COMPONENTS: Duration = Duration::from_mins(2);
/// Largest component; the runtime's own limit says more about it.
const COMPONENT_BYTES: usize = (32 << 20) + 1;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) struct Edge<E> {
    pub(super) inner: E,
    pub(super) app: App,
    pub(super) routes: Routes,
    pub(super) caches: Arc<Caches>,
    pub(super) settings: Arc<ArcSwap<EdgeSettings>>,
    /// Serves more than the pages that say how the process is.
    pub(super) whole: bool,
}

/// What stands behind it in a path is a secret: no answer repeats it.
const DOWNLOADS: &str = "/downloads/";

/// What the way out needs to know of a request.
struct Trace {
    id: String,
    path: String,
    method: &'static str,
    route: &'static str,
    coding: Option<Coding>,
    /// The web page that asks, if one does.
    origin: Option<HeaderValue>,
    started: Instant,
}

impl<E: Endpoint<Output = Response>> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let _in_flight = RequestInFlight::begin();
        let path = request.uri().path().to_owned();
        let found = self.routes.find(request.method(), &path);
        let trace = Trace {
            id: request_id(request.headers()),
            method: method_label(request.method()),
            route: match &found {
                Found::Operation(operation) => operation.path,
                Found::OtherMethods(template, _) => template,
                Found::Nothing => page_label(&path),
            },
            coding: Coding::wanted(request.headers()),
            origin: request.headers().get(header::ORIGIN).cloned(),
            path: if path.starts_with(DOWNLOADS) { DOWNLOADS.to_owned() } else { path },
            started: Instant::now(),
        };
        let span = tracing::info_span!(
            "request",
            request.id = trace.id,
            workspace.id = tracing::field::Empty,
            principal = tracing::field::Empty
        );
        let settings = self.settings.load_full();
        let patience = match &found {
            Found::Operation(operation) if operation.takes_component => PATIENCE_WITH_COMPONENTS,
            _ => PATIENCE,
        };
        async {
            let mut allowance = None;
            let answered = self.answer(request, &settings, &trace.id, found, &mut allowance);
            let answered = AssertUnwindSafe(answered).catch_unwind();
            let outcome = match tokio::time::timeout(patience, answered).await {
                Ok(Ok(outcome)) => outcome,
                // The hook has logged it.
                Ok(Err(_)) => Err(Problem::internal("a handler panicked")),
                Err(_) => {
                    let detail = "the answer took too long: try again, or ask for less";
                    Err(Problem::unavailable(detail, Duration::from_secs(5)))
                }
            };
            Ok(finish(outcome, &settings, trace, allowance).await)
        }
        .instrument(span)
        .await
    }
}

impl<E: Endpoint<Output = Response>> Edge<E> {
    async fn answer(
        &self,
        mut request: Request,
        settings: &EdgeSettings,
        request_id: &str,
        found: Found<'_>,
        allowance: &mut Option<Allowance>,
    ) -> Result<Response, Problem> {
        let mut path_names: &[String] = &[];
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        request.set_data(ClientAddress(settings.proxies.client(peer, request.headers())));
        if !self.whole && !HEALTH.contains(&request.uri().path()) {
            return Err(Problem::not_found());
        }
        if is_api(request.uri().path()) {
            if let Some(answer) = settings.cors.preflight(request.method(), request.headers()) {
                return Ok(answer);
            }
            self.admit(&mut request, settings, request_id, allowance).await?;
            let operation = match found {
                Found::Operation(operation) => operation,
                Found::OtherMethods(_, allow) => return Err(Problem::method_not_allowed(&allow)),
                Found::Nothing => return Err(Problem::not_found()),
            };
            authorise(&request, operation)?;
            let limit = if operation.takes_component {
                COMPONENT_BYTES
            } else {
                self.app.config.server.max_body_bytes
            };
            read_body(&mut request, limit).await?;
            path_names = &operation.path_names;
            if let Some(workspace) = confined(&request, operation) {
                let answered = store::as_tenant(workspace, self.inner.call(request));
                return answered.await.map_err(|error| Problem::of(error, path_names));
            }
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed("GET, HEAD"));
        }
        self.inner.call(request).await.map_err(|error| Problem::of(error, path_names))
    }

    /// Finds out who calls and takes the call out of the caller's allowance.
    async fn admit(
        &self,
        request: &mut Request,
        settings: &EdgeSettings,
        request_id: &str,
        allowance: &mut Option<Allowance>,
    ) -> Result<(), Problem> {
        let address = request.data::<ClientAddress>().and_then(|address| address.0);
        let (app, headers) = (&self.app, request.headers());
        let mut proof = auth::authenticate(app, &self.caches, headers, address, request_id).await;
        if let Ok(None) = proof {
            let caller = stream_tickets::redeem(app, request, request_id).await?;
            proof = Ok(caller.map(|caller| Proof { person: None, caller: Ok(caller) }));
        }
        let payer = match &proof {
            Ok(Some(Proof { person: Some(person), .. })) => {
                Payer::Person(Arc::clone(&person.issuer), Arc::clone(&person.subject))
            }
            Ok(Some(Proof { caller: Ok(caller), .. })) => match caller.principal {
                Principal::Key(id) => Payer::Key(id),
                Principal::User(_) => Payer::Address(address),
            },
            Err(problem) if problem.status.is_client_error() => Payer::Guesser(address),
            Ok(_) | Err(_) => Payer::Address(address),
        };
        let (state, taken) = settings.limiter.take(payer).await;
        *allowance = Some(state);
        taken?;
        let Some(Proof { person, caller }) = proof? else { return Ok(()) };
        if let Some(person) = person {
            request.set_data(person);
        }
        match caller {
            Ok(caller) => {
                let span = tracing::Span::current();
                span.record("workspace.id", tracing::field::display(caller.workspace));
                span.record("principal", caller.label());
                request.set_data(caller);
            }
            Err(problem) => {
                request.set_data(Unplaced(problem));
            }
        }
        Ok(())
    }
}

/// Reads the body within its limit, whatever its length was said to be.
async fn read_body(request: &mut Request, limit: usize) -> Result<(), Problem> {
    let headers = request.headers();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        // A small body that unpacks to a huge one would pass the limit.
        return Err(Problem::unsupported("send the body without `Content-Encoding`"));
    }
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Problem::too_large(limit));
    }
    let has_key = idempotency::HEADERS.iter().any(|name| headers.contains_key(*name));
    let body = request.take_body().into_bytes_limit(limit).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => Problem::too_large(limit),
        error => Problem::of(error.into(), &[]),
    })?;
    if has_key {
        request.set_data(BodyDigest(Sha256::digest(&body).into()));
    }
    request.set_body(body);
    Ok(())
}

async fn finish(
    outcome: Result<Response, Problem>,
    settings: &EdgeSettings,
    trace: Trace,
    allowance: Option<Allowance>,
) -> Response {
    let mut response = match outcome {
        Ok(response) => response,
        Err(problem) => problem.into_response(&trace.id, &trace.path),
    };
    if let Some(allowance) = allowance {
        allowance.write(response.headers_mut());
    }
    secure(response.headers_mut(), is_api(&trace.path));
    if let Some(hsts) = &settings.hsts {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    if is_api(&trace.path) {
        settings.cors.write(trace.origin.as_ref(), response.headers_mut());
    }
    if let Ok(id) = HeaderValue::from_str(&trace.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let response = compress::compress(response, trace.coding).await;
    let status = response.status().as_u16();
    metrics::http_request(trace.method, trace.route, status, trace.started);
    response
}

/// Why somebody who proved to be calling works in no workspace yet.
#[derive(Clone)]
struct Unplaced(Problem);

/// Whether the caller may do this, in the words the operation knows.
fn authorise(request: &Request, operation: &Operation) -> Result<(), Problem> {
    if let Some(caller) = request.data::<auth::Caller>() {
        operation.rule.check(caller)?;
    } else if let Some(unplaced) = request.data::<Unplaced>() {
        if operation.rule.scope != Scope::Account {
            return Err(unplaced.0.clone());
        }
        if request.data::<auth::Person>().is_none() {
            return Err(access::people_only());
        }
    } else {
        return Err(nobody());
    }
    if request.uri().path_and_query().is_some_and(|target| target.as_str().contains("%00")) {
        let detail = "neither path nor query may hold U+0000 (`%00`)".into();
        return Err(Error::Malformed(detail).into());
    }
    if let Some(name) = operation.unknown_parameter(request.uri().query().unwrap_or_default()) {
        let known = operation.known_parameters();
        let detail = format!("there is no query parameter `{name}` here; known: {known}");
        return Err(Error::Malformed(detail).into());
    }
    Ok(())
}

fn nobody() -> Problem {
    Problem::unauthenticated("send an API key or a token as `Authorization: Bearer …`")
}

/// The workspace outside of which the handler has no business: of all callers but operators, and
/// of people who are not at work in one.
fn confined(request: &Request, operation: &Operation) -> Option<WorkspaceId> {
    let caller = request.data::<auth::Caller>()?;
    let within = !matches!(operation.rule.scope, Scope::Account | Scope::Platform);
    (within && !caller.is_platform()).then_some(caller.workspace)
}

/// Our own id, or the caller's when it cannot break a log line.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
        let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=64).contains(&id.len()) && id.bytes().all(harmless)
    });
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// How the process is, for those who watch over it.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

fn is_api(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

fn secure(headers: &mut HeaderMap, api: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    if api {
        // What a key may see, a shared cache may not.
        default(header::CACHE_CONTROL, "no-store");
    }
}

/// Methods as a closed set: a caller can invent names.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// What the metrics call a path that is no operation.
fn page_label(path: &str) -> &'static str {
    const PAGES: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/openapi.yaml"];
    match PAGES.into_iter().find(|page| *page == path) {
        Some(page) => page,
        None if path == "/docs" || path.starts_with("/docs/") => "/docs",
        None if is_api(path) => "<unmatched>",
        None => "<dashboard>",
    }
}
