//! Which web pages of other origins may speak to the API from a browser (CORS).
//!
//! **Invariant:** nobody may by default, and pages of any origin never with credentials.

use crate::config;
use anyhow::{Context, ensure};
use poem::{
    Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use url::Url;

/// What a page may send.
const ALLOWED: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, \
                       last-event-id, x-api-key, x-request-id, x-workspace-id";
/// What a page may read beside the body.
const EXPOSED: &str = "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, \
                       retry-after, x-request-id";
const METHODS: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";
/// How long a browser need not ask again.
const SECONDS: &str = "600";

/// The pages that may.
pub(super) struct Cors {
    any: bool,
    origins: Vec<String>,
    credentials: bool,
}

impl Cors {
    /// # Errors
    /// When an origin is none, or every page would get to speak for whoever is logged in.
    pub(super) fn new(settings: &config::Server) -> anyhow::Result<Self> {
        let listed = &settings.cors_allowed_origins;
        let any = listed.iter().any(|origin| origin == "*");
        let credentials = settings.cors_allow_credentials;
        ensure!(
            !(any && credentials),
            "CORS_ALLOWED_ORIGINS=* with CORS_ALLOW_CREDENTIALS=true lets every web page act for \
             whoever is logged in: name the origins"
        );
        let origins =
            listed.iter().filter(|origin| *origin != "*").map(|origin| -> anyhow::Result<String> {
                let wrong = || {
                    format!(
                        "CORS_ALLOWED_ORIGINS: {origin:?} is no origin such as https://app.acme.com"
                    )
                };
                let url = Url::parse(origin).with_context(wrong)?;
                let written = url.origin().ascii_serialization();
                ensure!(
                    matches!(url.scheme(), "http" | "https")
                        && written == origin.trim_end_matches('/'),
                    wrong()
                );
                Ok(written)
            });
        Ok(Cors { any, origins: origins.collect::<anyhow::Result<_>>()?, credentials })
    }

    /// The answer to a browser that asks whether a page may send a request; `None` when this is no
    /// such question, or not for us to answer.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = *method == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed(headers).is_none() {
            return None;
        }
        let answer = Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED)
            .header(header::ACCESS_CONTROL_MAX_AGE, SECONDS);
        Some(answer.finish())
    }

    /// What a browser needs to show the answer to the page that asked.
    pub(super) fn write(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if !self.any && self.origins.is_empty() {
            return;
        }
        if !self.any {
            // Another origin gets another answer.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(allowed) = origin.and_then(|origin| self.allows(origin)) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.allows(headers.get(header::ORIGIN)?)
    }

    fn allows(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        let named = origin.to_str().ok()?;
        self.origins.iter().any(|known| known == named).then(|| origin.clone())
    }
}
