"""Reaching into JSON whose shape nobody guarantees: a wrong type reads as absent.

Paths are JSON pointers, such as `/usage/cost/total_cost`.
"""

import json
from decimal import Decimal

from .money import decimal, to_whole


def parse(text):
    """JSON with every digit of its numbers; `NaN` and the like are no JSON."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def _refuse(name):
    raise ValueError(f"{name} is not JSON")


def at(value, path):
    """The value at `path`, or None."""
    for part in path.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit():
            value = value[int(part)] if len(part) < 10 and int(part) < len(value) else None
        else:
            return None
    return value


def string_at(value, path):
    """The string at `path`, unless it is empty."""
    found = at(value, path)
    return found if isinstance(found, str) and found else None


def items_at(value, path):
    """The elements of the array at `path`; none when there is no array."""
    found = at(value, path)
    return found if isinstance(found, list) else []


def strings_at(value, path):
    """The strings in the array at `path`, without the blank ones."""
    return [text for text in items_at(value, path) if isinstance(text, str) and text.strip()]


def decimal_at(value, path):
    """The non-negative decimal number at `path`, also when it is written as a string."""
    found = at(value, path)
    return None if isinstance(found, bool) else decimal(found)


def u32_at(value, path):
    """The non-negative whole number at `path`, also when it is written as a string or as 3.0."""
    found = decimal_at(value, path)
    return None if found is None else to_whole(found)
