"""Requests."""

import json

from wit_world.imports.types import (
    Body_Text,
    HttpMethod,
    HttpRequest,
    Value_PrefixedSecret,
    Value_Secret,
    Value_Text,
)


def secret(name):
    """The named credential, which the host puts in at the last moment."""
    return Value_Secret(name)


def prefixed(prefix, name):
    """A literal prefix and then the named credential: `prefixed("Bearer ", "api-key")`."""
    return Value_PrefixedSecret((prefix, name))


def request(method, url, *, query=None, headers=None, body=None, timeout_ms=None):
    """A request to an absolute https URL without query.

    `query` and `headers` are dictionaries of texts and credentials; entries that are None are left
    out. `body` is sent as JSON.
    """
    sent = [(name.lower(), value) for name, value in _pairs(headers)]
    if body is not None:
        sent.append(("content-type", Value_Text("application/json")))
        body = Body_Text(json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str))
    return HttpRequest(HttpMethod[method.upper()], url, _pairs(query), sent, body, timeout_ms)


def _pairs(values):
    return [
        (name, Value_Text(value) if isinstance(value, str) else value)
        for name, value in (values or {}).items()
        if value is not None
    ]
