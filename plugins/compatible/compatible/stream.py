"""Streams, put together to the body that would have come without streaming: some gateways stream
whatever they were asked."""

from aiv_sdk import events, items_at, malformed, string_at
from aiv_sdk.json_path import at, parse


def assembled(response, stream):
    """The body that the chunks add up to."""
    body, text, annotations, finish = {}, "", [], None
    for event in events(stream):
        if event.data.strip() == "[DONE]":
            break
        try:
            chunk = parse(event.data)
        except ValueError:
            # What is cut off in the middle cannot be the end.
            break
        if not isinstance(chunk, dict):
            continue
        body.update({key: value for key, value in chunk.items() if value is not None})
        text += string_at(chunk, "/choices/0/delta/content") or ""
        annotations += items_at(chunk, "/choices/0/delta/annotations")
        finish = string_at(chunk, "/choices/0/finish_reason") or finish
    if finish is None and at(body, "/error") is None:
        malformed(response, "the stream ends before the answer does")
    message = {"content": text, "annotations": annotations}
    return {**body, "choices": [{"message": message, "finish_reason": finish}]}
