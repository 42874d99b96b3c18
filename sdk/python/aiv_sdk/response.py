"""Reading a response: text, headers, and how long to wait."""

import re
from datetime import datetime, timezone

from wit_world.imports.types import Body_Text

from .failure import malformed
from .json_path import parse

_MAX_U32 = 0xFFFFFFFF
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_DATE = re.compile(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", re.ASCII)


def is_success(response):
    """Whether the status is 2xx."""
    return 200 <= response.status < 300


def text_of(response):
    """The body, when it is text."""
    return response.body.value if isinstance(response.body, Body_Text) else None


def json_of(response):
    """The body as JSON. Ends the query as malformed when it is anything else."""
    text = text_of(response)
    if text is None:
        malformed(response, "body is not text")
    try:
        return parse(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        malformed(response, f"body is not JSON: {error}")


def header(response, name):
    """The first header of this name, in whatever case."""
    wanted = name.lower()
    return next((v.strip() for key, v in response.headers if key.lower() == wanted), None)


def event_stream(response):
    """The body, if it is a stream of events.

    Gateways label a stream as JSON and the other way round, so the first sign goes first.
    """
    text = text_of(response)
    if text is None:
        return None
    start = text.lstrip("\ufeff").lstrip()
    label = (header(response, "content-type") or "").lower()
    looks = start.startswith(("data:", "event:", "id:", ":"))
    labelled = label.startswith("text/event-stream") and not start.startswith("{")
    return text if looks or labelled else None


def retry_after_ms(response):
    """`Retry-After` in milliseconds, be it seconds or a date."""
    value = header(response, "retry-after") or ""
    if re.fullmatch(r"\d{1,12}(\.\d+)?", value, re.ASCII):
        return _milliseconds(float(value))
    moment = _http_date(value)
    return None if moment is None else ms_until(response, moment)


def ms_until(response, unix_seconds):
    """Milliseconds from the receipt of this response until a moment in Unix seconds."""
    return _milliseconds(unix_seconds - response.received_at)


def _milliseconds(seconds):
    """Never negative, and never more than the interface holds."""
    return int(min(max(round(seconds * 1000), 0), _MAX_U32))


def _http_date(text):
    """Unix seconds of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    day, month, year, hour, minute, second = found.groups()
    try:
        month = _MONTHS.index(month) // 3 + 1
        parts = (int(year), month, int(day), int(hour), int(minute), int(second))
        return datetime(*parts, tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
