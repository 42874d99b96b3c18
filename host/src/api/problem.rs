//! Where a failure becomes HTTP, and nowhere else: RFC 9457 documents.
//!
//! **Invariant:** what the caller did wrong is told in full; what we did wrong is logged in full
//! and told to nobody.

use crate::{Error, Violation};
use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use std::time::Duration;

/// The media type of every failure.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A failure on its way to the caller. `?` makes one of every error of the host.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(super) status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Violation>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An RFC 9457 problem document: what every failed request is answered with.
#[derive(Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub(super) struct ProblemBody {
    /// Names the kind of problem; equal to `code` with a prefix.
    #[oai(rename = "type")]
    kind: String,
    /// What the status means.
    title: String,
    /// HTTP status.
    status: u16,
    /// What happened this time, for a person to read.
    detail: String,
    /// Path of the request that failed.
    instance: Option<String>,
    /// Stable name of the failure, such as `not_found`. Programs branch on this.
    code: String,
    /// Id of the request: quote it when you report the problem.
    request_id: String,
    /// Every rule that the request body breaks; absent when the failure is of another kind.
    errors: Option<Vec<FieldProblem>>,
}

/// One broken rule.
#[derive(Object)]
pub(super) struct FieldProblem {
    /// JSON pointer into the request body, such as `/aliases/0/text`.
    pointer: String,
    /// What is wrong and what would be right.
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem { status, code, detail: detail.into(), errors: vec![], headers: vec![] }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn internal(cause: &str) -> Self {
        tracing::error!("request failed: {cause}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong on our side; the request id finds it in our log",
        )
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such path in this API")
    }

    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let detail = format!("this path answers {allow}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            .header(header::ALLOW, allow)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("a request body may have {limit} bytes at most");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    pub(super) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .header(header::WWW_AUTHENTICATE, r#"Bearer realm="aiv""#)
    }

    pub(super) fn unavailable(detail: impl Into<String>, retry: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(header::RETRY_AFTER, retry.as_secs().max(1).to_string())
    }

    pub(super) fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("too many requests: try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
            .header(header::RETRY_AFTER, seconds.to_string())
    }

    /// What poem found wrong before a handler ran, or what a handler answered.
    pub(super) fn of(error: poem::Error, names: &[String]) -> Self {
        let error = match error.downcast::<Problem>() {
            Ok(problem) => return problem,
            Err(error) => error,
        };
        let bad_request = |detail| Self::new(StatusCode::BAD_REQUEST, "malformed", detail);
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            // poem numbers the parameters of a path; the caller knows their names.
            let name = error.name.strip_prefix("param").and_then(|n| n.parse::<usize>().ok());
            let name = name.and_then(|n| names.get(n)).map_or(error.name, String::as_str);
            return bad_request(format!("`{name}` in the path: {}", error.reason));
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return bad_request(format!("parameter `{}`: {}", error.name, error.reason));
        }
        if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
            return bad_request(error.reason.clone());
        }
        if error.is::<ContentTypeError>() {
            return Self::unsupported("send the body as `Content-Type: application/json`");
        }
        if let Some(ReadBodyError::Io(_)) = error.downcast_ref::<ReadBodyError>() {
            return bad_request("the body ended early".into());
        }
        if error.is::<NotFoundError>() {
            return Self::not_found();
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::method_not_allowed("GET");
        }
        let status = error.status();
        if status.is_client_error() {
            return Self::new(status, "malformed", error.to_string());
        }
        Self::internal(&error.to_string())
    }

    pub(super) fn into_response(self, request_id: &str, path: &str) -> Response {
        let Problem { status, code, detail, errors, headers } = self;
        let errors: Vec<_> = errors
            .into_iter()
            .map(|Violation { pointer, detail }| FieldProblem { pointer, detail })
            .collect();
        let body = ProblemBody {
            kind: format!("urn:aiv:problem:{code}"),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            detail,
            instance: Some(path.into()),
            code: code.into(),
            request_id: request_id.into(),
            errors: (!errors.is_empty()).then_some(errors),
        };
        let mut response =
            Response::builder().status(status).content_type(MEDIA_TYPE).body(body.to_json_string());
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl<E: Into<Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        let error = error.into();
        let detail = error.to_string();
        match error {
            Error::Malformed(_) => Self::new(StatusCode::BAD_REQUEST, "malformed", detail),
            Error::Unauthenticated(_) => Self::unauthenticated(detail),
            Error::Budget(_) => Self::new(StatusCode::PAYMENT_REQUIRED, "budget_exceeded", detail),
            Error::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            Error::Exists(_) => Self::new(StatusCode::CONFLICT, "exists", detail),
            Error::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", detail),
            Error::Changed(_) => Self::new(StatusCode::PRECONDITION_FAILED, "changed", detail),
            Error::Invalid(errors) => {
                let detail = match errors.as_slice() {
                    // A rule about the request as a whole has no place to name.
                    [Violation { pointer, detail }] if pointer.is_empty() => detail.clone(),
                    _ => detail,
                };
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
                Problem { errors, ..problem }
            }
            Error::Unavailable(_) => Self::unavailable(detail, Duration::from_secs(2)),
            Error::Internal(cause) => Self::internal(&format!("{cause:#}")),
        }
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        let status = problem.status;
        poem::Error::new(problem, status)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// Stands for all failures. The document gets a response for each way to fail afterwards, equal
/// for all operations; this one keeps the schema in it.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The request failed.",
                status: None,
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: MEDIA_TYPE,
                    schema: ProblemBody::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}
