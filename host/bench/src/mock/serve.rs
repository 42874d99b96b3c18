//! One call: who is asked what, what befalls it, what is answered.

use super::{
    Control, Fault, FaultKind, House, Vendor,
    control::Fate,
    dice::Dice,
    question::{Question, Shape},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, sync::PoisonError, time::Duration};

/// Ends the connection, as was ordered.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
pub(super) struct Broken;

type Body = UnsyncBoxBody<Bytes, Broken>;
type Answer = Result<Response<Body>, Broken>;

const JSON: &str = "application/json";

pub(super) async fn answer(house: Arc<House>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let path = head.uri.path();
    if path.starts_with("/__") {
        return Ok(operate(&house, &head.method, path, head.uri.query(), &body));
    }
    let (ordered, path) = prefixes(path);
    let Some(question) = Question::read(&head.method, path, &head.uri, &body) else {
        return Ok(document(404, &json!({ "error": format!("no vendor has {path}") })));
    };
    if !question.shape.is_asked() {
        let (kind, body) = house.bodies.find(&question, false);
        return Ok(response(200, kind, body));
    }
    reply(&house, question, ordered).await
}

async fn reply(house: &House, question: Question, ordered: Ordered) -> Answer {
    let vendor = question.vendor;
    let second = question.shape == Shape::Overview;
    let open = house.counters.open(vendor, question.prompt.clone(), second);
    let (fate, token_rate) = {
        let mut orders = house.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let fate = orders.fate(vendor, open.prompt(), open.number);
        (fate, orders.control.page_token_rate)
    };
    let Fate { latency, fault } = fate;
    let latency = ordered.latency.unwrap_or(latency);
    let fault = ordered.fault.map(Fault::new).or(fault);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let by_token = question.shape == Shape::Search
        && Dice::new(&[b"token", question.prompt.as_bytes()]).chance(token_rate);
    let (kind, body) = house.bodies.find(&question, by_token);
    let Some(fault) = fault else {
        open.answered(body.len());
        return Ok(response(200, kind, body));
    };
    if fault.kind == FaultKind::Hang {
        // Whoever asked gives up first; the call is dropped with its connection.
        std::future::pending::<()>().await;
    }
    open.faulted(fault.kind);
    go_wrong(vendor, &fault, kind, &body)
}

fn go_wrong(vendor: Vendor, fault: &Fault, kind: &'static str, body: &Bytes) -> Answer {
    let error = |status: u16, code: &str| {
        let message = format!("ordered fault: {code}");
        let error = match vendor {
            Vendor::Perplexity => json!({ "error": { "type": code, "message": message } }),
            Vendor::Serpapi => json!({ "error": message }),
            Vendor::Brave => json!({ "error": { "code": code, "detail": message } }),
        };
        document(status, &error)
    };
    let half = body.slice(..body.len() / 2);
    Ok(match fault.kind {
        FaultKind::TooMany => {
            let code = match vendor {
                Vendor::Perplexity => "request_rate_limit_exceeded",
                Vendor::Serpapi => "too many requests",
                Vendor::Brave => "RATE_LIMITED",
            };
            let mut response = error(429, code);
            response.headers_mut().insert(header::RETRY_AFTER, fault.retry_after.into());
            response
        }
        FaultKind::Broken => error(500, "server_error"),
        FaultKind::Overloaded => error(503, "overloaded"),
        FaultKind::Hang | FaultKind::Reset => return Err(Broken),
        FaultKind::Malformed => response(200, kind, half),
        FaultKind::Truncate => {
            let frames = [Ok(Frame::data(half)), Err(Broken)];
            let mut cut = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
            cut.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            cut.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
            cut
        }
    })
}

/// What the path orders for this call.
#[derive(Default)]
struct Ordered {
    latency: Option<Duration>,
    fault: Option<FaultKind>,
}

fn prefixes(mut path: &str) -> (Ordered, &str) {
    let mut ordered = Ordered::default();
    loop {
        let parts: Vec<&str> = path.splitn(4, '/').collect();
        match parts[..] {
            ["", "l", value, rest] => {
                ordered.latency = value.parse().ok().map(Duration::from_millis);
                path = &path[path.len() - rest.len() - 1..];
            }
            ["", "fault", value, rest] => {
                ordered.fault = FaultKind::named(value);
                path = &path[path.len() - rest.len() - 1..];
            }
            _ => return (ordered, path),
        }
    }
}

fn operate(
    house: &House,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Response<Body> {
    match (method, path) {
        (&Method::GET, "/__stats") => document(200, &json!(house.counters.stats())),
        (&Method::GET, "/__calls") => {
            let mut calls = house.counters.calls();
            if query == Some("again") {
                calls.retain(|calls| calls.calls > 1);
            }
            document(200, &json!(calls))
        }
        (&Method::GET, "/__control") => document(200, &json!(house.ordered())),
        (&Method::POST, "/__control") => match serde_json::from_slice::<Control>(body) {
            Ok(control) => document(200, &json!(house.order(control))),
            Err(err) => document(400, &json!({ "error": err.to_string() })),
        },
        (&Method::POST, "/__reset") => {
            house.counters.reset();
            document(200, &json!({ "reset": true }))
        }
        _ => document(404, &json!({ "error": format!("{path} is not there") })),
    }
}

fn document(status: u16, value: &Value) -> Response<Body> {
    response(status, JSON, value.to_string().into())
}

fn response(status: u16, kind: &'static str, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
