"""The smallest provider: it asks a service that echoes the prompt back.

Build it with `componentize-py -d ../../wit/provider-0.1 -w provider componentize --stub-wasi
-p examples -p . echo -o echo.wasm`.
"""

from aiv_sdk import (
    Citations,
    Host,
    SingleFetch,
    absent,
    answered,
    decimal_at,
    engine,
    event_stream,
    events,
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
    strings_at,
    surface,
    text_of,
    u32_at,
    usage,
)
from aiv_sdk.json_path import parse
from wit_world.imports.types import Absence, CitationKind, FinishReason, Retrieval


class Echo(SingleFetch):
    def describe(self):
        host = Host("echo.example", "api-key", "ECHO_API_KEY", "A key of echo.example")
        return manifest(
            "echo",
            "Echo",
            "0.1.0",
            description="Answers with the prompt",
            homepage="https://echo.example/docs",
            hosts=[host],
            surfaces=[surface("echo", "Echo", language=True, typical_cost_micro_usd=100)],
        )

    def request(self, query):
        return request(
            "get",
            "https://echo.example/v1/echo",
            query={"q": query.prompt, "lang": language(query)},
            headers={"authorization": prefixed("Bearer ", "api-key")},
        )

    def parse(self, query, response):
        if not is_success(response):
            refuse(response)
        body = assembled(response)
        text = body.get("echo")
        if not isinstance(text, str):
            malformed(response, "no echo")
        usd = decimal_at(body, "/usd")
        searches = strings_at(body, "/searches")
        sources = Citations()
        for marker, source in enumerate(items_at(body, "/sources"), 1):
            is_cited = f"[{marker}]" in text
            sources.add(
                CitationKind.CITED if is_cited else CitationKind.LISTED,
                string_at(source, "/url"),
                title=string_at(source, "/title"),
                markers=[str(marker)] if is_cited else [],
            )
        sources.add_links(text)
        about = meta(
            query,
            served_model=string_at(body, "/model"),
            request_id=string_at(body, "/id"),
            finish=FinishReason.STOP,
            retrieval=Retrieval.SEARCHED if searches else Retrieval.NOT_SEARCHED,
            queries=searches,
            usage=usage(
                input_tokens=u32_at(body, "/usage/input"),
                output_tokens=u32_at(body, "/usage/output"),
                searches=len(searches),
            ),
            cost=None if usd is None else reported(usd),
            warnings=sources.warnings(),
        )
        if not text.strip():
            return absent(Absence.EMPTY, about)
        return answered(text, about, citations=sources.list())


def assembled(response):
    """The body that a stream adds up to, or the body."""
    stream = event_stream(response)
    if stream is None:
        body = json_of(response)
        return body if isinstance(body, dict) else {}
    echo = ""
    for event in map(lambda event: parse(event.data), events(stream)):
        if "done" in event:
            return {**event["done"], "echo": echo}
        echo += string_at(event, "/delta") or ""
    malformed(response, "the stream ends before the answer does")


def refuse(response):
    code, message = None, "the service refused"
    if (text_of(response) or "").startswith("{"):
        body = json_of(response)
        code = string_at(body, "/error/code")
        message = string_at(body, "/error/message") or message
    fail(
        kind_of_status(response.status),
        message,
        response=response,
        code=code,
        retry_after_ms=retry_after_ms(response),
    )


Engine = engine(Echo())
