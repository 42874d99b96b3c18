"""The ways to ask."""

OPENROUTER = "openrouter-chat"
"""OpenRouter, with its web search."""
CHAT = "compatible-chat"
"""Any other gateway, or a model of the operator's own."""

HOSTS = (
    "openrouter.ai",
    "api.deepseek.com",
    "api.fireworks.ai",
    "api.groq.com",
    "api.mistral.ai",
    "api.together.xyz",
    "api.x.ai",
    "router.huggingface.co",
)
"""Gateways that are known to work; `base_url` says which one."""
