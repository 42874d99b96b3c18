"""What the host asks, in the forms that vendors want it."""

from wit_world.imports.types import ErrorKind

from .failure import fail
from .json_path import parse


def config_of(query):
    """The operator's settings. No settings are an empty object."""
    try:
        config = parse(query.config.strip() or "{}")
    except ValueError as error:
        fail(ErrorKind.INVALID_REQUEST, f"configuration cannot be used: {error}")
    if not isinstance(config, dict):
        fail(ErrorKind.INVALID_REQUEST, "configuration cannot be used: it is not an object")
    return config


def language(query):
    """The primary subtag of the language, lower-case: `pt` for `pt-BR`."""
    tag = (query.language or "").strip().replace("_", "-")
    return tag.partition("-")[0].lower() or None


def country(query):
    """The country, upper-case."""
    return (query.country or "").strip().upper() or None
