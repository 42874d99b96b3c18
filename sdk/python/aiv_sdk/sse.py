"""Server-sent events, read from a body that is complete."""

import re
from typing import NamedTuple, Optional

_LINE_END = re.compile("\r\n|\r|\n")


class Event(NamedTuple):
    """One event of a stream."""

    name: Optional[str]
    """The `event` field, when the vendor names its events."""
    data: str
    """The `data` lines, joined by line feeds."""


def events(body):
    """The events that have data. A last event without its blank line counts as well."""
    found, name, data = [], None, None
    for line in _LINE_END.split(body.removeprefix("\ufeff")):
        if not line:
            if data is not None:
                found.append(Event(name, data))
            name = data = None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data = value if data is None else f"{data}\n{value}"
        elif field == "event":
            name = value
        # The rest is a comment, an id, a retry time, or a field of the future.
    if data is not None:
        found.append(Event(name, data))
    return found
