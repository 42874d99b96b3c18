"""A chat completion."""

from aiv_sdk import (
    Citations,
    absent,
    answered,
    decimal_at,
    estimated,
    event_stream,
    fail,
    items_at,
    json_of,
    malformed,
    meta,
    reported,
    string_at,
    u32_at,
    usage,
)
from aiv_sdk.json_path import at
from aiv_sdk.money import rounded
from wit_world.imports.types import Absence, CitationKind, ErrorKind, FinishReason, Retrieval

from .failures import failed
from .stream import assembled

_FINISH = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def read(query, settings, response):
    """What the completion says."""
    stream = event_stream(response)
    body = json_of(response) if stream is None else assembled(response, stream)
    error = at(body, "/error") or at(body, "/choices/0/error")
    if error is not None:
        failed(response, error)
    reason = string_at(body, "/choices/0/finish_reason")
    if reason is None:
        malformed(response, "the completion has no end")
    finish = _FINISH.get(reason, FinishReason.OTHER)
    model = settings.model(query)
    cost = _cost(body, settings, model)
    text = _without_thoughts(_content(at(body, "/choices/0/message/content")))
    if not text.strip():
        refusal = string_at(body, "/choices/0/message/refusal")
        if refusal or finish == FinishReason.CONTENT_FILTER:
            message = refusal or "the answer was withheld by a content filter"
            fail(ErrorKind.CONTENT_BLOCKED, message, response=response, code=reason, spent=cost)
    sources = _citations(body, text)
    about = meta(
        query,
        requested_model=model,
        served_model=string_at(body, "/model"),
        request_id=string_at(body, "/id"),
        finish=finish,
        retrieval=_retrieval(body, sources, settings),
        usage=_usage(body),
        total_tokens=u32_at(body, "/usage/total_tokens"),
        cost=cost,
        warnings=sources.warnings(),
    )
    if not text.strip():
        complete = finish == FinishReason.STOP
        return absent(Absence.EMPTY if complete else Absence.TRUNCATED, about)
    return answered(text, about, citations=sources.list())


def _content(content):
    """A text, or the texts among the parts."""
    if isinstance(content, list):
        return "".join(string_at(part, "/text") or "" for part in content)
    return content if isinstance(content, str) else ""


def _without_thoughts(text):
    """Reasoning models think aloud before they answer, when their gateway lets them."""
    if not text.lstrip().startswith("<think>"):
        return text
    _, end, answer = text.partition("</think>")
    return answer.lstrip() if end else ""


def _citations(body, text):
    """Annotations point into the text; a list of bare addresses is numbered from one."""
    sources = Citations()
    for annotation in items_at(body, "/choices/0/message/annotations"):
        inner = at(annotation, "/url_citation") or annotation
        if string_at(inner, "/url"):
            sources.add(
                CitationKind.CITED,
                string_at(inner, "/url"),
                title=string_at(inner, "/title"),
                snippet=string_at(inner, "/content"),
            )
    for number, entry in enumerate(items_at(body, "/citations"), 1):
        url = entry if isinstance(entry, str) else string_at(entry, "/url")
        cited = f"[{number}]" in text
        sources.add(
            CitationKind.CITED if cited else CitationKind.LISTED,
            url,
            title=string_at(entry, "/title"),
            markers=[str(number)] if cited else [],
        )
    sources.add_links(text)
    return sources


def _searches(body):
    found = (
        u32_at(body, f"/usage/{name}/web_search_requests")
        for name in ("server_tool_use_details", "server_tool_use")
    )
    return next((count for count in found if count is not None), None)


def _retrieval(body, sources, settings):
    """A gateway that says nothing may have searched all the same."""
    pages = [source for source in sources.list() if source.kind != CitationKind.INLINE_LINK]
    if _searches(body) or pages:
        return Retrieval.SEARCHED
    return Retrieval.NOT_SEARCHED if settings.is_openrouter else Retrieval.UNKNOWN


def _usage(body):
    if not isinstance(at(body, "/usage"), dict):
        return None
    return usage(
        input_tokens=u32_at(body, "/usage/prompt_tokens"),
        output_tokens=u32_at(body, "/usage/completion_tokens"),
        cached_input_tokens=u32_at(body, "/usage/prompt_tokens_details/cached_tokens"),
        reasoning_tokens=u32_at(body, "/usage/completion_tokens_details/reasoning_tokens"),
        searches=_searches(body),
    )


def _cost(body, settings, requested):
    """The reported one, else tokens at the operator's prices."""
    usd = decimal_at(body, "/usage/cost")
    if usd is not None:
        return reported(usd)
    price = settings.price(string_at(body, "/model"), requested)
    tokens = [u32_at(body, f"/usage/{name}") for name in ("prompt_tokens", "completion_tokens")]
    if price is None or None in tokens:
        return None
    return estimated(rounded(price.input * tokens[0] + price.output * tokens[1]))
