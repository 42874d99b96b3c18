"""Answers of Acme with their sources."""

from aiv_sdk import (
    Citations,
    Host,
    SingleFetch,
    answered,
    decimal_at,
    engine,
    fail,
    is_success,
    items_at,
    json_of,
    kind_of_status,
    language,
    malformed,
    manifest,
    meta,
    prefixed,
    reported,
    request,
    retry_after_ms,
    string_at,
    surface,
)
from wit_world.imports.types import CitationKind, FinishReason, Retrieval


class Acme(SingleFetch):
    def describe(self):
        host = Host("api.acme.example", "api-key", "ACME_API_KEY", "Key of the Acme API")
        return manifest(
            "acme",
            "Acme",
            "0.1.0",
            description="Answers of Acme with their sources",
            hosts=[host],
            surfaces=[surface("acme", "Acme", language=True, typical_cost_micro_usd=2000)],
        )

    def request(self, query):
        return request(
            "get",
            "https://api.acme.example/v1/ask",
            query={"q": query.prompt, "lang": language(query)},
            headers={"authorization": prefixed("Bearer ", "api-key")},
        )

    def parse(self, query, response):
        if not is_success(response):
            kind, wait = kind_of_status(response.status), retry_after_ms(response)
            fail(kind, "Acme refused", response=response, retry_after_ms=wait)
        body = json_of(response)
        text = string_at(body, "/answer")
        if text is None:
            malformed(response, "no answer")
        sources = Citations()
        for page in items_at(body, "/pages"):
            sources.add(CitationKind.CITED, string_at(page, "/url"), title=string_at(page, "/title"))
        usd = decimal_at(body, "/usd")
        about = meta(
            query,
            retrieval=Retrieval.SEARCHED,
            finish=FinishReason.STOP,
            cost=None if usd is None else reported(usd),
            warnings=sources.warnings(),
        )
        return answered(text, about, citations=sources.list())


Engine = engine(Acme())
