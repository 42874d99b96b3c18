"""From a provider to the component's export."""

import json
from dataclasses import asdict
from typing import Any, NamedTuple

from wit_world.exports import engine as wit
from wit_world.imports.types import ErrorKind, Failure, HttpRequest

from .failure import ProviderError, fail, of_transport


class Fetch(NamedTuple):
    """Send this request; its response comes to `resume` together with the state."""

    request: HttpRequest
    state: Any = None


class Pause(NamedTuple):
    """Come back after so many milliseconds, with the state."""

    delay_ms: int
    state: Any = None


class Done(NamedTuple):
    """The query is settled."""

    outcome: Any


class Provider:
    """A provider that needs several requests for one query, or has to wait in between.

    The state is JSON and all that survives from one call to the next.
    """

    def describe(self):
        """What this plugin is and what it asks for. Pure and cheap."""
        raise NotImplementedError

    def health_check(self, config):
        """A free request that proves that the credential works, if the vendor has one."""
        return None

    def start(self, query):
        """The first step for a query: `Fetch`, `Pause` or `Done`."""
        raise NotImplementedError

    def resume(self, state, event):
        """The step after `event`."""
        raise NotImplementedError


class SingleFetch(Provider):
    """A provider whose answer takes exactly one request. The query itself is the state."""

    def request(self, query):
        """The request that asks the query."""
        raise NotImplementedError

    def parse(self, query, response):
        """What the response says. Called for every status, also for errors."""
        raise NotImplementedError

    def start(self, query):
        return Fetch(self.request(query), asdict(query))

    def resume(self, state, event):
        return Done(self.parse(query_of(state), response_of(event)))


def query_of(state):
    """The query that `dataclasses.asdict` made a state of."""
    extra = [tuple(pair) for pair in state["extra"]]
    return wit.Query(**{**state, "extra": extra})


def response_of(event):
    """The response that a fetch was waiting for. Ends the query when there is none."""
    match event:
        case wit.Event_Response(response):
            return response
        case wit.Event_TransportError(error):
            raise of_transport(error)
    fail(ErrorKind.INVALID_REQUEST, "resumed from a pause that was not asked for")


def engine(provider):
    """The component's export of a provider: `Engine = engine(Acme())`."""

    class Engine:
        def describe(self):
            return provider.describe()

        def health_check(self, config):
            try:
                return provider.health_check(config)
            except ProviderError:
                # Settings that cannot be used leave nothing to check.
                return None

        def start(self, query):
            return _step(ErrorKind.INVALID_REQUEST, None, lambda: provider.start(query))

        def resume(self, state, event):
            status = event.value.status if isinstance(event, wit.Event_Response) else None
            kind = ErrorKind.MALFORMED_RESPONSE
            return _step(kind, status, lambda: provider.resume(_decode(state), event))

    return Engine


def _step(kind, status, next_step):
    """What the vendor sent cannot end the plugin: an error that is no failure becomes one."""
    try:
        return _encoded(next_step())
    except ProviderError as error:
        return wit.Step_Failed(error.failure)
    except Exception as error:
        message = f"the plugin cannot go on: {type(error).__name__}: {error}"
        return wit.Step_Failed(Failure(kind, message, status, None, None, None))


def _encoded(step):
    match step:
        case Done(outcome):
            return wit.Step_Done(outcome)
        case Pause(delay_ms, state):
            return wit.Step_Pause(wit.Pause(_encode(state), delay_ms))
        case Fetch(request, state):
            return wit.Step_Fetch(wit.Fetch(_encode(state), request))
    raise TypeError(f"{step!r} is no step")


def _encode(state):
    return json.dumps(state).encode()


def _decode(state):
    try:
        return json.loads(state)
    except ValueError as error:
        # Only another version of the plugin can have written it; trying again would not help.
        fail(ErrorKind.INVALID_REQUEST, f"state cannot be used: {error}")
