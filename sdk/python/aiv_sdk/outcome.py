"""Outcomes, and the instrument: what was asked of what, and what answered."""

from wit_world.imports.types import (
    Answer,
    FinishReason,
    Meta,
    NoAnswer,
    Outcome_Absent,
    Outcome_Answered,
    Retrieval,
    Usage,
)


def answered(text, meta, *, citations=(), related_questions=()):
    """An answer."""
    return Outcome_Answered(Answer(text, list(citations), list(related_questions), meta))


def absent(reason, meta):
    """No answer, which is a result."""
    return Outcome_Absent(NoAnswer(reason, meta))


def meta(
    query, *, requested_model=None, served_model=None, request_id=None,
    finish=FinishReason.UNSPECIFIED, retrieval=Retrieval.UNKNOWN, queries=(), usage=None,
    total_tokens=None, cost=None, location_used=None, warnings=(), extra=(),
):
    """What is known of the answer; `total_tokens` is kept when it is not input plus output."""
    extra = list(extra)
    known = usage and None not in (usage.input_tokens, usage.output_tokens)
    total = usage.input_tokens + usage.output_tokens if known else None
    if total_tokens is not None and total_tokens != total:
        extra.append(("total-tokens", str(total_tokens)))
    return Meta(
        query.surface,
        requested_model,
        served_model,
        request_id,
        finish,
        retrieval,
        list(dict.fromkeys(queries)),
        usage,
        cost,
        location_used,
        list(warnings),
        extra,
    )


def usage(
    *, input_tokens=None, output_tokens=None, cached_input_tokens=None, reasoning_tokens=None,
    searches=None,
):
    """What the vendor counted; None where it does not say."""
    return Usage(input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, searches)
