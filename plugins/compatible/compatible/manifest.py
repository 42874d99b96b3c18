"""What the plugin is and what it asks for."""

from aiv_sdk import Host, manifest, surface

from .schema import SCHEMA
from .surfaces import CHAT, HOSTS, OPENROUTER

_DESCRIPTION = "Key of the gateway; any word where none is needed"


def describe():
    return manifest(
        "compatible",
        "OpenAI-compatible chat",
        "0.1.0",
        description="Chat completions of gateways such as OpenRouter, and of models of one's own",
        homepage="https://openrouter.ai/docs/api-reference/chat-completion",
        hosts=[Host(host, "api-key", "COMPATIBLE_API_KEY", _DESCRIPTION) for host in HOSTS],
        config_schema=SCHEMA,
        surfaces=[
            surface(
                OPENROUTER,
                "OpenRouter (web search)",
                # Five results of a search, and the tokens.
                typical_cost_micro_usd=25_000,
                requests_per_second=5.0,
                burst=10,
                deadline_ms=180_000,
            ),
            surface(
                CHAT,
                "OpenAI-compatible chat",
                typical_cost_micro_usd=2_000,
                requests_per_second=5.0,
                burst=10,
                deadline_ms=300_000,
            ),
        ],
        # Which gateway it is only the operator knows.
        extra=[("host-setting", "base_url")],
    )
