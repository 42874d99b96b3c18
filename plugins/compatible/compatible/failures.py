"""Errors: an object with a number or a name, in as many dialects as there are gateways."""

from aiv_sdk import fail, kind_of_status, retry_after_ms, string_at, text_of, u32_at
from aiv_sdk.json_path import at, parse
from wit_world.imports.types import ErrorKind

_OF_NAME = (
    (("insufficient_quota", "insufficient_credits", "billing"), ErrorKind.QUOTA_EXHAUSTED),
    (("rate_limit", "too_many_requests"), ErrorKind.RATE_LIMITED),
    (("moderation", "content_filter", "content_policy"), ErrorKind.CONTENT_BLOCKED),
    (("invalid_api_key", "authentication", "unauthorized"), ErrorKind.AUTH),
    (("timeout", "timed_out"), ErrorKind.TIMEOUT),
    (("server_error", "overloaded", "unavailable"), ErrorKind.UPSTREAM_UNAVAILABLE),
    (("model_not_found", "invalid_request"), ErrorKind.INVALID_REQUEST),
)
"""Names are an open set, so they are recognised by what they contain."""


def refused(response):
    """Ends the query with the failure that a refused request tells of."""
    try:
        body = parse(text_of(response) or "")
    except ValueError:
        body = None
    failed(response, at(body, "/error") or body)


def failed(response, error):
    """Ends the query with the failure that an error object tells of, whatever the status."""
    number = u32_at(error, "/code")
    name = string_at(error, "/type") or string_at(error, "/code")
    status = response.status
    if number is not None and 400 <= number < 600 and 200 <= status < 300:
        status = number
    code = string_at(error, "/code") or (str(number) if number else None) or name
    message = error if isinstance(error, str) else string_at(error, "/message")
    fail(
        _kind(name, error, status),
        message or f"the gateway answered with status {response.status}",
        response=response,
        code=code,
        retry_after_ms=retry_after_ms(response),
    )


def _kind(name, error, status):
    # A gateway refuses on content grounds with the status of a key that may not.
    if at(error, "/metadata/reasons") is not None:
        return ErrorKind.CONTENT_BLOCKED
    names = " ".join(filter(None, [name, string_at(error, "/code")])).lower()
    for parts, kind in _OF_NAME:
        if any(part in names for part in parts):
            return kind
    # An error inside of a success says nothing about whose fault it is.
    return ErrorKind.UPSTREAM_UNAVAILABLE if 200 <= status < 300 else kind_of_status(status)
