import json
import unittest
from pathlib import Path

from app import Engine
from wit_world.exports import engine as wit
from wit_world.imports import types

ANSWER = Path(__file__).parents[1] / "cases" / "answer"


class RecordedAnswer(unittest.TestCase):
    def test_it_is_read(self):
        case = json.loads((ANSWER / "case.json").read_text())
        engine = Engine()
        query = wit.Query(
            "1", case["prompt"], "acme", None, None, None, None, None, "{}", 1.0, 1, []
        )
        asked = engine.start(query)
        self.assertEqual(asked.value.request.url, "https://api.acme.example/v1/ask")
        body = types.Body_Text((ANSWER / "resp-1.json").read_text())
        response = wit.Event_Response(types.HttpResponse(200, [], body, 1, 1.0))
        done = engine.resume(asked.value.state, response)
        self.assertEqual(done.value.value.text, case["expect"]["text"])
