//! The seam at the HTTP boundary: below it are the vendors or their recordings, above it the same
//! components and the same rules.
//!
//! **Invariant:** a request reaches a transport only after [`super::request::Rules::prepare`] has
//! held it against the manifest and the grant.

use super::egress::Egress;
use aiv_runtime::types::TransportError;
use futures_util::future::BoxFuture;
use std::{fmt, time::Duration};
use url::Url;

/// A request as it goes out: credentials are in it, so it is never logged or stored.
pub struct Outgoing {
    pub method: http::Method,
    pub url: Url,
    pub headers: http::HeaderMap,
    pub body: Option<Vec<u8>>,
    pub timeout: Duration,
    pub max_response_bytes: u64,
    /// An operator named the very origin: it may be a server of their own, in a private network and
    /// at plain http.
    pub named: bool,
    pub call: CallContext,
}

/// What a recording needs to know about the call; a vendor never sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallContext {
    pub seed: u32,
    /// 1 for the first attempt.
    pub attempt: u16,
}

/// A response as it came in, decompressed and within its size limit, not yet redacted.
#[derive(Debug)]
pub struct Incoming {
    pub status: u16,
    /// Lower-case names, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFailure {
    /// What the component is told.
    pub error: TransportError,
    /// What the operator is told.
    pub reason: String,
}

impl TransportFailure {
    pub fn new(error: TransportError, reason: impl Into<String>) -> Self {
        Self { error, reason: reason.into() }
    }

    /// A rule of ours forbids the request.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::new(TransportError::RefusedByPolicy, reason)
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.as_str(), self.reason)
    }
}

/// Carries one request to whoever answers it.
pub trait Transport: Send + Sync {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>>;

    /// Whether the answers are made here and must stay out of live metrics.
    fn is_synthetic(&self) -> bool {
        false
    }
}

/// The vendors themselves.
pub struct LiveTransport(Egress);

impl LiveTransport {
    pub fn new(egress: Egress) -> Self {
        Self(egress)
    }
}

impl Transport for LiveTransport {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        Box::pin(self.0.send(request))
    }
}

/// Servers on this machine that play the vendors, asked in the very way the vendors are.
pub struct MockTransport(Egress);

impl MockTransport {
    pub fn new(egress: Egress) -> Self {
        Self(egress)
    }
}

impl Transport for MockTransport {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        Box::pin(self.0.send(request))
    }

    fn is_synthetic(&self) -> bool {
        true
    }
}
