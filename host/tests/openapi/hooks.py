"""What the document cannot say to a machine, and the drill has to know.

Nothing here hides an answer: a request that holds something only the host can have made (a cursor,
a ticket) is sent without it, and a refusal counts as right where it names one of the rules below.
"""

import os
import re
import uuid
from datetime import date

import schemathesis

# Made by the host, signed, and good for one list, one stream or one version.
MADE_BY_THE_HOST = {
    "query": ("cursor", "ticket", "last_event_id", "signature", "sha256"),
    "headers": ("If-Match", "Last-Event-ID"),
}
# The longest window of days that a question about numbers may name.
WINDOW = 366

# Rules that no schema holds, as the host tells them (`pointer: detail`): the request fits the
# document, and is still rightly refused.
BEYOND_SCHEMAS = [
    # It names what is not there, or is not in service.
    r"no [a-z ]+ (has|is called|with|matches)\b",
    r"^/(surface|model|name|language): (must be one of|there are templates in|surface )",
    r"^/engines: the workspace has no",
    # It was asked something else before.
    r"^this idempotency key came with another request body before",
    # Time goes on.
    r"must (lie|be) in the future|must lie (after|within)",
    # Fields that go together, or do not.
    r"give either|needs a `from`|lies after `to`|366 days at most",
    r"^: name either a (subject|user)|^/issuer: is required|^/condition/|^/report: |^/batch: the schedule reports",
    r"is not among `(credentials|hosts)`",
    r"^/facts/\d+/(value: is not of the type|name: stands in the list twice)",
    # What the world decides: addresses, domains, zones, countries, calendars.
    r"^/(facts/\d+/source_)?url: ",
    r"must be a host name|must be an address or a network|must be scheme, host and port",
    r"must be an IANA time zone|must be an ISO 3166-1 alpha-2 code",
    r"^/(batch/)?cron: ",
    # What every workspace has.
    r"^/name: is the name of the schedule that every workspace has",
    # What the caller is, or the host believes.
    r"^/scopes/\d+: must be one of|^/issuer: must be an issuer",
    r"^/workspace_name: is not the name",
    # White space around a text does not count.
    r"must have 3 characters between|^/value: must have visible characters and none of control",
    # Values of any form hold texts too.
    r"must not hold U\+0000",
    # A table in CSV is any text to the document.
    r"^/prompts(: value has less|/\d+)",
    # The component says what its configuration may be, and what it is itself.
    r"^/config|the component was refused",
]
BEYOND = re.compile("|".join(BEYOND_SCHEMAS))


@schemathesis.serializer("application/wasm")
def component(context, value):
    """A component is bytes."""
    return {"data": value if isinstance(value, bytes) else str(value).encode()}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leaves out what only the host can make, and never ends the caller's own access."""
    operation = case.operation.definition.raw.get("operationId")
    if operation == "revoke_api_key" and case.path_parameters.get("api_key") == os.environ["AIV_KEY_ID"]:
        case.path_parameters["api_key"] = str(uuid.uuid4())
    if operation in ("create_revocation", "create_erasure") and isinstance(case.body, dict):
        # The tool sends again what it has read, the callers' own names among it.
        if str(case.body.get("subject")).startswith("drill-"):
            case.body["subject"] = "somebody"
        if "user_id" in case.body and is_uuid(case.body["user_id"]):
            case.body["user_id"] = str(uuid.uuid4())
    if operation == "stream_events":
        # Without an event to go on from, the stream waits for the next one.
        names = [(case.headers or {}).get("Last-Event-ID"), (case.query or {}).get("last_event_id")]
        if case.meta is None or case.meta.generation.mode.is_positive or not any(names):
            (case.query or {}).pop("last_event_id", None)
            (case.query or {}).pop("ticket", None)
            case.headers["Last-Event-ID"] = os.environ["AIV_EVENT"]
            return
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    for name in MADE_BY_THE_HOST["query"]:
        (case.query or {}).pop(name, None)
    for name in MADE_BY_THE_HOST["headers"]:
        (case.headers or {}).pop(name, None)
    a_window(case.query or {})


def is_uuid(value):
    """Whether the host would look for a user of this id."""
    try:
        uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def a_window(query):
    """Leaves of `period`, `from` and `to` what goes together."""
    days = {name: day(query[name]) for name in ("from", "to") if name in query}
    fits = (
        None not in days.values()
        and "period" not in query
        and ("to" not in days or "from" in days)
        and 0 <= (days.get("to", date.today()) - days.get("from", date.today())).days < WINDOW
    )
    if not fits and all(value is not None for value in days.values()):
        for name in days:
            query.pop(name)


def day(text):
    """A day; of an instant, none."""
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return None


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Accepts the refusal of a request that fits the document where a rule beyond it is named."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code not in (400, 422):
        return True
    problem = response.json()
    told = [f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", [])]
    told = told or [problem["detail"]]
    return not all(BEYOND.search(detail) for detail in told)
