//! One request and its response, as they are kept with a run.
//!
//! **Invariant:** there is no credential in an exchange: the request shows `[name]` in its place,
//! and everything that came back went through the redactor.

use super::{redact::Redactor, transport::TransportFailure};
use aiv_runtime::types::{Body, HttpRequest, HttpResponse, Value};
use serde::{Deserialize, Serialize};
use url::Url;

/// A fetch of one call. Together with the query, the exchanges are enough to read an answer again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub method: String,
    /// With the query; credentials appear as `[name]`.
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: Option<Body>,
    pub elapsed_ms: u32,
    pub result: ExchangeResult,
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeResult {
    Response { status: u16, headers: Vec<(String, String)>, body: Body, received_at: f64 },
    TransportError { error: aiv_runtime::types::TransportError, reason: String },
}

impl Exchange {
    /// `response` went through the redactor when it came in.
    pub(super) fn answered(
        request: HttpRequest,
        response: HttpResponse,
        redactor: &Redactor,
    ) -> Self {
        let HttpResponse { status, headers, body, elapsed_ms, received_at } = response;
        let result = ExchangeResult::Response { status, headers, body, received_at };
        Self::new(request, elapsed_ms, result, redactor)
    }

    pub(super) fn unanswered(
        request: HttpRequest,
        failure: &TransportFailure,
        elapsed_ms: u32,
        redactor: &Redactor,
    ) -> Self {
        let result = ExchangeResult::TransportError {
            error: failure.error,
            reason: redactor.text(&failure.reason).into_owned(),
        };
        Self::new(request, elapsed_ms, result, redactor)
    }

    fn new(
        request: HttpRequest,
        elapsed_ms: u32,
        result: ExchangeResult,
        redactor: &Redactor,
    ) -> Self {
        let show = |value: &Value| match value {
            Value::Text(text) => redactor.text(text).into_owned(),
            Value::Secret(name) => format!("[{name}]"),
            Value::PrefixedSecret(prefix, name) => format!("{prefix}[{name}]"),
        };
        let pairs = request.query.iter().map(|(name, value)| (name.as_str(), show(value)));
        let url = match Url::parse(&request.url) {
            Ok(mut url) if !request.query.is_empty() => {
                url.query_pairs_mut().extend_pairs(pairs);
                url.to_string()
            }
            _ => request.url.clone(),
        };
        Self {
            method: request.method.as_str().to_owned(),
            url: redactor.text(&url).into_owned(),
            request_headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), show(value)))
                .collect(),
            request_body: request.body.map(|body| redacted(body, redactor)),
            elapsed_ms,
            result,
        }
    }

    /// Status of the response, when there is one.
    pub fn status(&self) -> Option<u16> {
        match self.result {
            ExchangeResult::Response { status, .. } => Some(status),
            ExchangeResult::TransportError { .. } => None,
        }
    }
}

pub(super) fn redacted(body: Body, redactor: &Redactor) -> Body {
    match body {
        Body::Text(text) => Body::Text(redactor.owned(text)),
        Body::Binary(bytes) => Body::Binary(redactor.bytes(bytes)),
    }
}
