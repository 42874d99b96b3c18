//! Failures: one kind for each thing that the host does next.

use crate::{Cost, ErrorKind, Event, Failure, HttpResponse, TransportError};

impl Failure {
    /// A failure of this kind; the message is for a person and holds no credential.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            http_status: None,
            provider_code: None,
            retry_after_ms: None,
            spent: None,
        }
    }

    /// The query or its configuration cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// The response has a shape that this plugin cannot read.
    pub fn malformed(response: &HttpResponse, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::MalformedResponse, message).at(response)
    }

    /// Notes the status of the response that told of the failure.
    #[must_use]
    pub fn at(mut self, response: &HttpResponse) -> Self {
        self.http_status = Some(response.status);
        self
    }

    /// Notes the vendor's own name for the failure.
    #[must_use]
    pub fn code(mut self, code: Option<impl Into<String>>) -> Self {
        self.provider_code = code.map(Into::into);
        self
    }

    /// Notes how long the vendor asks to wait.
    #[must_use]
    pub fn retry_after(mut self, delay_ms: Option<u32>) -> Self {
        self.retry_after_ms = delay_ms;
        self
    }

    /// Notes the money that is gone although there is no answer.
    #[must_use]
    pub fn spent(mut self, cost: Option<Cost>) -> Self {
        self.spent = cost;
        self
    }
}

impl ErrorKind {
    /// The kind that a status alone tells, where the vendor's body says nothing better.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Auth,
            402 => Self::QuotaExhausted,
            408 | 524 => Self::Timeout,
            429 => Self::RateLimited,
            400..=499 => Self::InvalidRequest,
            200..=299 => Self::MalformedResponse,
            _ => Self::UpstreamUnavailable,
        }
    }
}

impl Event {
    /// The response that a fetch was waiting for.
    ///
    /// # Errors
    /// When the transport failed, in the kind that fits, or when the event is no response at all.
    pub fn into_response(self) -> Result<HttpResponse, Failure> {
        match self {
            Self::Response(response) => Ok(response),
            Self::TransportError(error) => Err(error.into()),
            Self::Resumed => Err(Failure::invalid("resumed from a pause that was not asked for")),
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let (kind, message) = match error {
            TransportError::Dns => (ErrorKind::UpstreamUnavailable, "host name not resolved"),
            TransportError::Connect => (ErrorKind::UpstreamUnavailable, "connection refused"),
            TransportError::Tls => (ErrorKind::UpstreamUnavailable, "no secure connection"),
            TransportError::Reset => (ErrorKind::UpstreamUnavailable, "connection lost"),
            TransportError::Timeout => (ErrorKind::Timeout, "no response in time"),
            TransportError::TooLarge => (ErrorKind::MalformedResponse, "response too large"),
            TransportError::RefusedByPolicy => {
                (ErrorKind::InvalidRequest, "request refused by the host's policy")
            }
        };
        Self::new(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_error_becomes_the_kind_the_host_acts_on() {
        let kind = |error| Failure::from(error).kind;
        assert_eq!(kind(TransportError::Timeout), ErrorKind::Timeout);
        assert_eq!(kind(TransportError::Dns), ErrorKind::UpstreamUnavailable);
        assert_eq!(kind(TransportError::TooLarge), ErrorKind::MalformedResponse);
    }

    #[test]
    fn a_status_alone_has_a_kind() {
        assert_eq!(ErrorKind::of_status(404), ErrorKind::InvalidRequest);
        assert_eq!(ErrorKind::of_status(524), ErrorKind::Timeout);
        assert_eq!(ErrorKind::of_status(302), ErrorKind::UpstreamUnavailable);
        assert_eq!(ErrorKind::of_status(200), ErrorKind::MalformedResponse);
    }
}
