"""The operator's settings."""

import re
from typing import NamedTuple, Optional

from aiv_sdk import config_of, decimal_at, fail, string_at
from aiv_sdk.json_path import at, parse
from wit_world.imports.types import ErrorKind

from .surfaces import CHAT, OPENROUTER

_BASE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?")
_OPENROUTER_URL = "https://openrouter.ai/api/v1"
_OPENROUTER_MODEL = "openai/gpt-5-mini"


class Price(NamedTuple):
    """Dollars per million tokens, which is micro-dollars per token."""

    input: object
    output: object


class Settings:
    """What the manifest's schema describes. Everything may be left out but the base URL of a
    gateway that is not OpenRouter, and the model there."""

    def __init__(self, config, surface):
        if surface not in ("", OPENROUTER, CHAT):
            fail(ErrorKind.INVALID_REQUEST, f"unknown surface {surface}")
        self._config = config
        self.is_openrouter = surface != CHAT

    @classmethod
    def of(cls, query):
        """The settings of a query."""
        return cls(config_of(query), query.surface)

    @classmethod
    def of_text(cls, config):
        """Settings without a query: a base URL means some other gateway than OpenRouter."""
        config = parse(config.strip() or "{}")
        return cls(config, CHAT if string_at(config, "/base_url") else OPENROUTER)

    def url(self, path):
        """An address of the gateway."""
        base = string_at(self._config, "/base_url")
        if base is None and self.is_openrouter:
            base = _OPENROUTER_URL
        if base is None:
            fail(ErrorKind.INVALID_REQUEST, "the setting base_url is missing: it names the gateway")
        if not _BASE_URL.fullmatch(base):
            fail(ErrorKind.INVALID_REQUEST, f"the setting base_url is no address: {base}")
        return base.rstrip("/") + path

    def model(self, query):
        """The model to ask for: the query's, else the operator's, else OpenRouter's default."""
        named = [query.model, string_at(self._config, "/model")]
        model = next((name.strip() for name in named if name and name.strip()), None)
        if model is None and not self.is_openrouter:
            fail(ErrorKind.INVALID_REQUEST, "the setting model is missing, and the query names none")
        return model or _OPENROUTER_MODEL

    def get(self, name):
        """A setting that is sent as it is."""
        return at(self._config, f"/{name}")

    @property
    def sends_key(self):
        """Whether the gateway wants a key; models of one's own often do not."""
        return self.get("send_key") is not False

    @property
    def searches(self):
        """Whether OpenRouter is asked to search."""
        return self.is_openrouter and self.get("web_search") is not False

    def price(self, *models) -> Optional[Price]:
        """The operator's price of the first of these models that has one."""
        prices = self.get("model_prices")
        price = next((prices[m] for m in models if isinstance(prices, dict) and m in prices), None)
        both = Price(decimal_at(price, "/input"), decimal_at(price, "/output"))
        return None if None in both else both
