"""The operator's settings, as a JSON Schema."""

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "OpenAI-compatible chat",
    "type": "object",
    "properties": {
        "base_url": {
            "type": ["string", "null"],
            "examples": ["https://api.groq.com/openai/v1", "http://ollama.internal:11434/v1"],
            "description": "Address of the gateway, up to what comes before /chat/completions. Its "
            "host has to be granted.",
        },
        "model": {
            "type": ["string", "null"],
            "examples": ["openai/gpt-5-mini", "llama3.3"],
            "description": "Model for queries that name none. Needed for every gateway but "
            "OpenRouter.",
        },
        "send_key": {
            "type": ["boolean", "null"],
            "default": True,
            "description": "Send the key. Models of one's own often want none.",
        },
        "web_search": {
            "type": ["boolean", "null"],
            "default": True,
            "description": "Have OpenRouter search. Other gateways are asked as they are.",
        },
        "max_results": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 20,
            "description": "Results of OpenRouter's search.",
        },
        "max_tokens": {"type": ["integer", "null"], "minimum": 1, "description": "Longest answer."},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "model_prices": {
            "type": "object",
            "description": "Dollars per million tokens, for gateways that name no cost.",
            "additionalProperties": {
                "type": "object",
                "required": ["input", "output"],
                "properties": {
                    "input": {"type": ["number", "string"]},
                    "output": {"type": ["number", "string"]},
                },
            },
        },
    },
}
