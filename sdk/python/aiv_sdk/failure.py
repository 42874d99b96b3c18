"""Failures: one kind for each thing that the host does next."""

from wit_world.exports.engine import TransportError
from wit_world.imports.types import ErrorKind, Failure

_OF_TRANSPORT = {
    TransportError.DNS: (ErrorKind.UPSTREAM_UNAVAILABLE, "host name not resolved"),
    TransportError.CONNECT: (ErrorKind.UPSTREAM_UNAVAILABLE, "connection refused"),
    TransportError.TLS: (ErrorKind.UPSTREAM_UNAVAILABLE, "no secure connection"),
    TransportError.RESET: (ErrorKind.UPSTREAM_UNAVAILABLE, "connection lost"),
    TransportError.TIMEOUT: (ErrorKind.TIMEOUT, "no response in time"),
    TransportError.TOO_LARGE: (ErrorKind.MALFORMED_RESPONSE, "response too large"),
    TransportError.REFUSED_BY_POLICY: (
        ErrorKind.INVALID_REQUEST,
        "request refused by the host's policy",
    ),
}


class ProviderError(Exception):
    """Raised to end a query with a failure."""

    def __init__(self, failure):
        super().__init__(failure.message)
        self.failure = failure


def fail(kind, message, *, response=None, code=None, retry_after_ms=None, spent=None):
    """Ends the query. The message is for a person and holds no credential."""
    status = response.status if response else None
    raise ProviderError(Failure(kind, message, status, code, retry_after_ms, spent))


def malformed(response, message):
    """Ends the query because the response has a shape that the plugin cannot read."""
    fail(ErrorKind.MALFORMED_RESPONSE, message, response=response)


def of_transport(error):
    """The failure that a transport error means."""
    kind, message = _OF_TRANSPORT[error]
    return ProviderError(Failure(kind, message, None, None, None, None))


def kind_of_status(status):
    """The kind that a status alone tells, where the vendor's body says nothing better."""
    if status in (401, 403):
        return ErrorKind.AUTH
    if status == 402:
        return ErrorKind.QUOTA_EXHAUSTED
    if status in (408, 524):
        return ErrorKind.TIMEOUT
    if status == 429:
        return ErrorKind.RATE_LIMITED
    if 400 <= status < 500:
        return ErrorKind.INVALID_REQUEST
    if 200 <= status < 300:
        return ErrorKind.MALFORMED_RESPONSE
    return ErrorKind.UPSTREAM_UNAVAILABLE
