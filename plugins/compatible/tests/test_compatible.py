import json
import unittest

from aiv_sdk import ProviderError, engine
from compatible import Compatible
from compatible.settings import Settings
from wit_world.exports.engine import Query
from wit_world.imports.types import ErrorKind, Value_PrefixedSecret


def query(surface, config="{}", model=None):
    return Query("1", "best crm?\n", surface, model, "pt-BR", "BR", None, None, config, 1.0, 1, [])


def sent(request):
    return json.loads(request.body.value)


class Requests(unittest.TestCase):
    def test_openrouter_is_asked_to_search_and_the_prompt_goes_as_it_is(self):
        request = Compatible().request(query("openrouter-chat", '{"max_results": 3}'))
        self.assertEqual(request.url, "https://openrouter.ai/api/v1/chat/completions")
        self.assertEqual(
            sent(request),
            {
                "model": "openai/gpt-5-mini",
                "messages": [{"role": "user", "content": "best crm?\n"}],
                "stream": False,
                "plugins": [{"id": "web", "max_results": 3}],
            },
        )
        self.assertEqual(
            request.headers[0], ("authorization", Value_PrefixedSecret(("Bearer ", "api-key")))
        )

    def test_a_model_of_ones_own_is_asked_as_it_is_and_gets_no_key(self):
        config = '{"base_url": "http://ollama.internal:11434/v1/", "send_key": false, "temperature": 0.2}'
        request = Compatible().request(query("compatible-chat", config, "llama3.3"))
        self.assertEqual(request.url, "http://ollama.internal:11434/v1/chat/completions")
        self.assertEqual([name for name, _ in request.headers], ["content-type"])
        self.assertEqual(sent(request)["temperature"], 0.2)
        self.assertNotIn("plugins", sent(request))

    def test_the_health_check_asks_the_same_gateway(self):
        check = Compatible().health_check
        self.assertEqual(check("").url, "https://openrouter.ai/api/v1/models")
        own = check('{"base_url": "https://api.groq.com/openai/v1"}')
        self.assertEqual(own.url, "https://api.groq.com/openai/v1/models")
        self.assertIsNone(engine(Compatible())().health_check('{"base_url": "groq"}'))


class SettingsThatFail(unittest.TestCase):
    def test_what_cannot_be_used_is_named(self):
        for surface, config, said in [
            ("compatible-chat", '{"model": "m"}', "base_url is missing"),
            ("compatible-chat", '{"base_url": "ollama"}', "is no address"),
            ("compatible-chat", '{"base_url": "https://a.example/?x"}', "is no address"),
            ("compatible-chat", '{"base_url": "https://u:p@a.example"}', "is no address"),
            ("compatible-chat", '{"base_url": "https://a.example"}', "model is missing"),
            ("other", "{}", "unknown surface"),
            ("openrouter-chat", "[]", "is not an object"),
        ]:
            with self.assertRaises(ProviderError) as caught:
                Compatible().request(query(surface, config))
            self.assertEqual(caught.exception.failure.kind, ErrorKind.INVALID_REQUEST)
            self.assertIn(said, str(caught.exception))

    def test_a_price_needs_both_its_parts(self):
        settings = Settings({"model_prices": {"a": {"input": 1}, "b": {"input": 1, "output": "2"}}}, "")
        self.assertIsNone(settings.price("a"))
        self.assertEqual(settings.price("x", "b").output, 2)


if __name__ == "__main__":
    unittest.main()
