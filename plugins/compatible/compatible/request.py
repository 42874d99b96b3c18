"""What is sent."""

from aiv_sdk import prefixed, request


def question(query, settings):
    """A query."""
    url = settings.url("/chat/completions")
    body = {
        "model": settings.model(query),
        "messages": [{"role": "user", "content": query.prompt}],
        "stream": False,
    }
    for name in ("max_tokens", "temperature"):
        value = settings.get(name)
        if value is not None:
            # A decimal of the settings is a number again.
            body[name] = value if isinstance(value, int) else float(value)
    if settings.searches:
        plugin = {"id": "web"}
        if settings.get("max_results") is not None:
            plugin["max_results"] = settings.get("max_results")
        body["plugins"] = [plugin]
    return request("post", url, headers=_headers(settings), body=body)


def models(settings):
    """The list of models. Free."""
    return request("get", settings.url("/models"), headers=_headers(settings))


def _headers(settings):
    return {"authorization": prefixed("Bearer ", "api-key") if settings.sends_key else None}
