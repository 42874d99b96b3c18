//! A server on this machine that plays a vendor: it answers one case, step by step.

use super::{
    case::{Case, ExpectedRequest},
    difference::Difference,
    loopback,
};
use crate::providers::transport::Outgoing;
use aiv_runtime::types::TransportError;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinSet};

/// The running server; it stops when the last clone is gone.
#[derive(Clone)]
pub(super) struct Vendor {
    script: Arc<Script>,
    address: SocketAddr,
    _tasks: Arc<Mutex<JoinSet<()>>>,
}

struct Script {
    steps: Vec<Step>,
    credential: String,
    chunk_bytes: Option<usize>,
    progress: Mutex<Progress>,
}

struct Step {
    request: Option<ExpectedRequest>,
    reply: Reply,
}

enum Reply {
    Response { status: StatusCode, headers: HeaderMap, body: Bytes },
    Broken(TransportError),
}

#[derive(Default)]
struct Progress {
    /// Steps that have been asked for.
    used: usize,
    differences: Vec<Difference>,
}

/// A request as it arrived.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    query: Vec<(String, String)>,
    headers: &'a HeaderMap,
}

impl Vendor {
    pub(super) async fn start(case: &Case, credential: &str) -> anyhow::Result<Self> {
        let mut steps = Vec::new();
        for step in &case.steps {
            let reply = match (&step.response, step.transport()?) {
                (Some(response), _) => Reply::Response {
                    status: StatusCode::from_u16(response.status)?,
                    headers: headers(&response.headers)?,
                    body: case.body(response)?.into(),
                },
                (None, error) => Reply::Broken(error.unwrap_or(TransportError::Reset)),
            };
            steps.push(Step { request: step.request.clone(), reply });
        }
        let script = Arc::new(Script {
            steps,
            credential: credential.to_owned(),
            chunk_bytes: case.deliver.chunk_bytes.filter(|size| *size > 0),
            progress: Mutex::default(),
        });
        let listener = TcpListener::bind(loopback()).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&script)));
        Ok(Self { script, address, _tasks: Arc::new(Mutex::new(tasks)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.script.progress().used >= self.script.steps.len()
    }

    /// The error of the step that is due, when it has no response. The step is then used.
    pub(super) fn breaks(&self, request: &Outgoing) -> Option<TransportError> {
        let due = self.script.progress().used;
        let Reply::Broken(error) = self.script.steps.get(due)?.reply else { return None };
        self.script.ask(&Asked {
            method: request.method.as_str(),
            path: request.url.path(),
            query: request.url.query_pairs().into_owned().collect(),
            headers: &request.headers,
        });
        Some(error)
    }

    /// What was asked otherwise than expected, too often or not at all.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let mut progress = self.script.progress();
        let (used, steps) = (progress.used, self.script.steps.len());
        let mut differences = std::mem::take(&mut progress.differences);
        if used != steps {
            differences.push(Difference::new("requests", steps.to_string(), used.to_string()));
        }
        differences
    }
}

impl Script {
    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request and returns the reply that is due.
    fn ask(&self, asked: &Asked<'_>) -> Option<&Reply> {
        let mut progress = self.progress();
        let due = progress.used;
        progress.used += 1;
        let step = self.steps.get(due)?;
        if let Some(expected) = &step.request {
            let differences = self.differences(due + 1, expected, asked);
            progress.differences.extend(differences);
        }
        Some(&step.reply)
    }

    fn differences(
        &self,
        number: usize,
        expected: &ExpectedRequest,
        asked: &Asked<'_>,
    ) -> Vec<Difference> {
        let field = |name: &str| format!("request {number} {name}");
        let hidden = |text: &str| text.replace(&self.credential, "<key>");
        let mut pairs =
            vec![(field("method"), expected.method.clone(), Some(asked.method.to_owned()))];
        pairs.push((field("path"), expected.path.clone(), Some(asked.path.to_owned())));
        for (name, value) in &expected.query {
            let seen = asked.query.iter().find(|(asked, _)| asked == name);
            let seen = seen.map(|(_, value)| hidden(value));
            pairs.push((field(&format!("query {name}")), value.clone(), seen));
        }
        for (name, value) in &expected.headers {
            let seen = asked.headers.get(name.as_str());
            let seen = seen.map(|value| hidden(&String::from_utf8_lossy(value.as_bytes())));
            pairs.push((field(&format!("header {name}")), value.clone(), seen));
        }
        pairs
            .into_iter()
            .filter(|(_, expected, seen)| seen.as_ref() != Some(expected))
            .map(|(field, expected, seen)| {
                Difference::new(field, expected, seen.unwrap_or_else(|| "nothing".into()))
            })
            .collect()
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Otherwise the kernel would put the pieces of a body together again.
        let _ = stream.set_nodelay(true);
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                ready(Ok::<_, Infallible>(reply(&script, &request)))
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Pieces = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn reply(script: &Script, request: &Request<Incoming>) -> Response<Pieces> {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    let asked = Asked {
        method: request.method().as_str(),
        path: uri.path(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: request.headers(),
    };
    let (status, headers, body) = match script.ask(&asked) {
        Some(Reply::Response { status, headers, body }) => (*status, headers.clone(), body.clone()),
        Some(Reply::Broken(_)) | None => {
            (StatusCode::NOT_IMPLEMENTED, HeaderMap::new(), Bytes::from("no step is left"))
        }
    };
    let size = script.chunk_bytes.unwrap_or_else(|| body.len().max(1));
    let pieces: Vec<_> = body.chunks(size).map(|piece| body.slice_ref(piece)).collect();
    // A server that has to wait for the next piece sends what it has.
    let pieces = stream::iter(pieces).then(|piece| async move {
        tokio::task::yield_now().await;
        Ok(Frame::data(piece))
    });
    let mut response = Response::new(StreamBody::new(pieces.boxed()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn headers(recorded: &std::collections::BTreeMap<String, String>) -> anyhow::Result<HeaderMap> {
    recorded
        .iter()
        // The body is sent in pieces and as it is.
        .filter(|(name, _)| {
            let framing = ["content-length", "transfer-encoding", "content-encoding"];
            !framing.contains(&name.to_ascii_lowercase().as_str())
        })
        .map(|(name, value)| {
            Ok((HeaderName::try_from(name.as_str())?, HeaderValue::try_from(value.as_str())?))
        })
        .collect()
}
