//! The two sides of the state machine: events go in, steps come out.

use serde::{Deserialize, Serialize};

use super::{Cost, HttpRequest, HttpResponse, Outcome, TransportError, base64_bytes};

/// What the plugin wants next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Fetch this, then resume with the response.
    Fetch {
        /// Opaque; handed back verbatim.
        #[serde(with = "base64_bytes")]
        state: Vec<u8>,
        request: HttpRequest,
    },
    /// Wait, then resume.
    Pause {
        #[serde(with = "base64_bytes")]
        state: Vec<u8>,
        delay_ms: u32,
    },
    Done(Outcome),
    Failed(Failure),
}

impl Step {
    /// The name in the WIT.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Pause { .. } => "pause",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a waiting plugin is resumed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Response(HttpResponse),
    TransportError(TransportError),
    /// The pause is over.
    Resumed,
}

/// The plugin's account of what went wrong with the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: ErrorKind,
    pub message: String,
    pub http_status: Option<u16>,
    pub provider_code: Option<String>,
    pub retry_after_ms: Option<u32>,
    /// Money already spent on the way to this failure.
    pub spent: Option<Cost>,
}

/// One-to-one with what the host does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The query or the configuration is wrong: never retried.
    InvalidRequest,
    /// Credential missing, wrong or revoked: the host stops using it.
    Auth,
    /// The plan does not include this: stops like `Auth`.
    NotEntitled,
    /// Out of credit: stops until an operator acts or the wait is over.
    QuotaExhausted,
    RateLimited,
    /// Refused on content grounds: never retried.
    ContentBlocked,
    /// Vendor failure: retried with back-off.
    UpstreamUnavailable,
    Timeout,
    /// The vendor answered something this plugin cannot read.
    MalformedResponse,
}

impl ErrorKind {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::Auth => "auth",
            Self::NotEntitled => "not-entitled",
            Self::QuotaExhausted => "quota-exhausted",
            Self::RateLimited => "rate-limited",
            Self::ContentBlocked => "content-blocked",
            Self::UpstreamUnavailable => "upstream-unavailable",
            Self::Timeout => "timeout",
            Self::MalformedResponse => "malformed-response",
        }
    }
}

/// How loud a line of a plugin's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}
