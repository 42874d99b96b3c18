"""Chat completions as OpenAI once made them and everybody serves them: gateways and local models.

The prompt is sent as it is: no instructions, no place smuggled into it.
"""

from aiv_sdk import SingleFetch, is_success

from .failures import refused
from .manifest import describe
from .request import models, question
from .response import read
from .settings import Settings


class Compatible(SingleFetch):
    """The provider."""

    def describe(self):
        return describe()

    def health_check(self, config):
        return models(Settings.of_text(config))

    def request(self, query):
        return question(query, Settings.of(query))

    def parse(self, query, response):
        if not is_success(response):
            refused(response)
        return read(query, Settings.of(query), response)
