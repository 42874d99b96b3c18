"""Write an answer-engine provider for the AI visibility platform in Python.

A provider is a pure function from events to steps. It opens no socket, reads no clock and never
sees a credential; the host does all of that. `engine(Provider)` makes the component's export.
"""

from .citations import Citations
from .failure import ProviderError, fail, kind_of_status, malformed, of_transport
from .json_path import decimal_at, items_at, string_at, strings_at, u32_at
from .manifest import Host, manifest, surface
from .markdown import links
from .money import decimal, estimated, micro_usd, reported
from .outcome import absent, answered, meta, usage
from .provider import Done, Fetch, Pause, Provider, SingleFetch, engine, response_of
from .query import config_of, country, language
from .request import prefixed, request, secret
from .response import (
    event_stream,
    header,
    is_success,
    json_of,
    ms_until,
    retry_after_ms,
    text_of,
)
from .sse import events
from .url import link

__all__ = [
    "Citations",
    "Done",
    "Fetch",
    "Host",
    "Pause",
    "Provider",
    "ProviderError",
    "SingleFetch",
    "absent",
    "answered",
    "config_of",
    "country",
    "decimal",
    "decimal_at",
    "engine",
    "estimated",
    "event_stream",
    "events",
    "fail",
    "header",
    "is_success",
    "items_at",
    "json_of",
    "kind_of_status",
    "language",
    "link",
    "links",
    "malformed",
    "manifest",
    "meta",
    "micro_usd",
    "ms_until",
    "of_transport",
    "prefixed",
    "reported",
    "request",
    "response_of",
    "retry_after_ms",
    "secret",
    "string_at",
    "strings_at",
    "surface",
    "text_of",
    "u32_at",
    "usage",
]
