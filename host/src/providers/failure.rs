//! Why a call has no outcome, in the words that decide what happens next.

use aiv_runtime::{
    Blame, Class, PluginError,
    types::{Cost, ErrorKind, Failure},
};
use serde::{Deserialize, Serialize};

/// A call that ended without an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct CallFailure {
    /// Whose fault it is.
    pub blame: Blame,
    pub class: FailureClass,
    pub kind: ErrorKind,
    pub message: String,
    pub http_status: Option<u16>,
    pub provider_code: Option<String>,
    pub retry_after_ms: Option<u32>,
    /// Money already spent on the way here.
    pub spent: Option<Cost>,
}

/// Where in the machinery it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The component read the vendor's answer as a failure.
    Failed,
    /// The component crashed.
    Trap,
    /// The component used too much CPU time.
    Timeout,
    /// The component used too much memory.
    OutOfMemory,
    /// The component does not speak the interface.
    Abi,
    /// The component wanted what it may not have.
    Policy,
    /// The operator has not set the credential.
    Credential,
    /// The call took longer than its surface allows.
    Deadline,
}

impl FailureClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Abi => "abi",
            Self::Policy => "policy",
            Self::Credential => "credential",
            Self::Deadline => "deadline",
        }
    }
}

impl From<Class> for FailureClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Trap => Self::Trap,
            Class::Timeout => Self::Timeout,
            Class::OutOfMemory => Self::OutOfMemory,
            Class::Abi => Self::Abi,
            Class::Policy => Self::Policy,
            Class::Failed => Self::Failed,
        }
    }
}

impl CallFailure {
    /// Made by the host, without a word from the vendor.
    pub(super) fn of_host(
        class: FailureClass,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            blame: Blame::Host,
            class,
            kind,
            message: message.into(),
            http_status: None,
            provider_code: None,
            retry_after_ms: None,
            spent: None,
        }
    }

    pub(super) fn of_guest(class: FailureClass, message: impl Into<String>) -> Self {
        let kind = match class {
            FailureClass::Policy => ErrorKind::InvalidRequest,
            _ => ErrorKind::MalformedResponse,
        };
        Self { blame: Blame::Guest, ..Self::of_host(class, kind, message) }
    }

    pub(super) fn of_vendor(failure: Failure) -> Self {
        let Failure { kind, message, http_status, provider_code, retry_after_ms, spent } = failure;
        Self {
            blame: Blame::Vendor,
            class: FailureClass::Failed,
            kind,
            message,
            http_status,
            provider_code,
            retry_after_ms,
            spent,
        }
    }
}

impl From<PluginError> for CallFailure {
    fn from(err: PluginError) -> Self {
        Self { blame: err.blame, ..Self::of_guest(err.class.into(), err.message) }
    }
}
