"""The address of a source, as far as it matters whether two are the same page."""

import re
from typing import NamedTuple

_ADDRESS = re.compile(r"(https?)://([^/?#\\]*)", re.IGNORECASE)
_TRAFFIC_MARKS = ("utm_source=openai", "utm_source=chatgpt.com")
"""Query parameters that engines add to mark their traffic."""


class Link(NamedTuple):
    """An absolute http or https address."""

    url: str
    """As the engine gave it, less a `#:~:text=` directive."""
    key: str
    """The same for all addresses of one page."""


def link(text):
    """Reads an address; relative ones and other schemes are None."""
    text = text.strip()
    found = _ADDRESS.match(text)
    if not found:
        return None
    scheme, authority = found.groups()
    host = authority.rpartition("@")[2]
    if not host or host.startswith(":") or any(sign.isspace() for sign in host):
        return None
    directive = text.find(":~:text=")
    url = text
    if directive >= 0:
        url = text[:directive]
        url = url[:-1] if url.endswith(("#", "&")) else url
    rest = url.partition("#")[0][found.end() :]
    return Link(url, f"{scheme.lower()}://{authority.lower()}{_without_marks(rest)}")


def _without_marks(rest):
    """A bare host and its root are one page; parameters keep their order."""
    path, mark, query = rest.partition("?")
    kept = [pair for pair in query.split("&") if pair not in _TRAFFIC_MARKS] if mark else []
    return (path or "/") + (f"?{'&'.join(kept)}" if kept else "")
