"""Manifests, with the parts that most plugins have in common."""

import json
from typing import NamedTuple, Optional

from wit_world.exports.engine import ContextSupport, CredentialRequest, Manifest, Surface


class Host(NamedTuple):
    """A host to connect to, and the credential that is sent to it."""

    host: str
    credential: Optional[str] = None
    """Sent to the hosts that name it and nowhere else."""
    variable: Optional[str] = None
    """The environment variable in which operators keep the credential."""
    description: str = ""


def manifest(
    key, display_name, version, *, description="", homepage=None, hosts, config_schema=None,
    surfaces, extra=(),
):
    """A manifest. `config_schema` is a JSON Schema as a dictionary."""
    by_name = {}
    for host in hosts:
        if host.credential is not None:
            by_name.setdefault(host.credential, []).append(host)
    credentials = [
        CredentialRequest(name, granted[0].description, [host.host for host in granted])
        for name, granted in by_name.items()
    ]
    env = [
        ("env", f"{name}={granted[0].variable}")
        for name, granted in by_name.items()
        if granted[0].variable is not None
    ]
    return Manifest(
        key,
        display_name,
        version,
        description,
        homepage,
        [host.host for host in hosts],
        credentials,
        json.dumps(config_schema or {"type": "object"}, ensure_ascii=False),
        list(surfaces),
        env + list(extra),
    )


def surface(
    id, display_name, *, models=(), default_model=None, language=False, country=False, city=False,
    device=False, listed_is_visible=False, typical_cost_micro_usd=0, max_fetches=1,
    requests_per_second=1.0, burst=1, deadline_ms=60_000,
):
    """A surface with one fetch per query, one request per second and a minute's deadline."""
    return Surface(
        id,
        display_name,
        list(models),
        default_model,
        ContextSupport(language, country, city, device),
        listed_is_visible,
        typical_cost_micro_usd,
        max_fetches,
        requests_per_second,
        burst,
        deadline_ms,
    )
