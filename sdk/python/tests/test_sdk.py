import dataclasses
import sys
import unittest
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import aiv_sdk as sdk
import echo
from aiv_sdk.json_path import parse
from wit_world.exports import engine as wit
from wit_world.imports import types

QUERY = wit.Query("1", "q", "s", None, None, None, None, None, "{}", 1.0, 1, [("a", "1")])


def response(body="", headers=(), status=200):
    return types.HttpResponse(status, list(headers), types.Body_Text(body), 1, 784111777.0)


class Money(unittest.TestCase):
    def test_decimals_are_read_exactly_and_rounded_half_up(self):
        def micros(text):
            number = sdk.decimal(text)
            return None if number is None else sdk.micro_usd(number)

        known = {
            "0.03073": 30730,
            "1e-05": 10,
            "1.53057E0": 1530570,
            "0.0000005": 1,
            "0.00000049999999999999999999999": 0,
            "0.0012345": 1235,
            "12": 12000000,
            ".5": 500000,
            "5.": 5000000,
            "0e99": 0,
            "1e-400": 0,
        }
        for text, expected in known.items():
            self.assertEqual(micros(text), expected, text)
        for text in ["", ".", "-1", "abc", "1.2.3", "1e", "1e99", "0x10", "NaN", "1e99999999", "١"]:
            self.assertIsNone(micros(text), text)
        self.assertIsNone(sdk.decimal(Decimal("NaN")))
        self.assertIsNone(sdk.decimal(0.5))


class Json(unittest.TestCase):
    def test_a_wrong_type_reads_as_absent(self):
        json = parse('{"a": {"b": [1, "x", null, ""]}, "n": "7", "f": 3.0, "neg": -1, "t": true}')
        self.assertEqual(sdk.string_at(json, "/a/b/1"), "x")
        self.assertIsNone(sdk.string_at(json, "/a/b/3"))
        self.assertIsNone(sdk.string_at(json, "/a/b/9"))
        self.assertIsNone(sdk.string_at(json, "/a"))
        self.assertIsNone(sdk.string_at(None, "/x"))
        self.assertEqual(sdk.strings_at(json, "/a/b"), ["x"])
        self.assertEqual(sdk.u32_at(json, "/n"), 7)
        self.assertEqual(sdk.u32_at(json, "/f"), 3)
        self.assertIsNone(sdk.u32_at(json, "/neg"))
        self.assertIsNone(sdk.decimal_at(json, "/t"))

    def test_numbers_keep_their_digits(self):
        usd = sdk.decimal_at(parse('{"usd": 0.1000000000000000055}'), "/usd")
        self.assertEqual(str(usd), "0.1000000000000000055")


class Streams(unittest.TestCase):
    def test_streams_are_read_whatever_their_line_ends(self):
        for end in ["\n", "\r\n", "\r"]:
            body = f": hi{end}{end}event: x{end}data: a{end}data: b{end}{end}data:  c"
            self.assertEqual(sdk.events(body), [("x", "a\nb"), (None, " c")])
        self.assertIsNone(sdk.event_stream(response('{"a":1}')))
        labelled = response("", [("Content-Type", "text/event-stream")])
        self.assertEqual(sdk.event_stream(labelled), "")


class Sources(unittest.TestCase):
    def test_one_page_is_one_citation(self):
        cited, listed = types.CitationKind.CITED, types.CitationKind.LISTED
        sources = sdk.Citations()
        sources.add(listed, "https://a.example/#:~:text=x", markers=["1"])
        sources.add(listed, "/relative")
        sources.add(listed, None)
        sources.add(cited, "https://A.example/?utm_source=openai", title="A", markers=["2"])
        sources.add_links("[A](https://a.example/#x) [B](https://b.example/(y)) ![i](https://c.x)")
        seen = [(c.position, c.url, c.kind, c.markers, c.title) for c in sources.list()]
        inline = types.CitationKind.INLINE_LINK
        self.assertEqual(
            seen,
            [
                (1, "https://a.example/", cited, ["1", "2"], "A"),
                (2, "https://b.example/(y)", inline, [], "B"),
            ],
        )
        self.assertEqual(len(sources.warnings()), 2)
        self.assertIsNone(sdk.link("mailto:a@b.example"))


class Waiting(unittest.TestCase):
    def test_retry_after_is_seconds_or_a_date(self):
        def wait(value):
            return sdk.retry_after_ms(response(headers=[("Retry-After", value)]))

        self.assertEqual(wait("2"), 2000)
        self.assertEqual(wait("0.5"), 500)
        self.assertEqual(wait("Sun, 06 Nov 1994 08:49:40 GMT"), 3000)
        self.assertEqual(wait("Sun, 06 Nov 1994 08:00:00 GMT"), 0)
        self.assertIsNone(wait("Sun, 66 Nov 1994 08:00:00 GMT"))
        self.assertIsNone(wait("soon"))
        self.assertEqual(wait("99999999999"), 0xFFFFFFFF)


class Manifests(unittest.TestCase):
    def test_a_manifest_names_each_credential_once(self):
        hosts = [sdk.Host("a.example", "api-key", "A_KEY"), sdk.Host("b.example", "api-key")]
        made = sdk.manifest(
            "a", "A", "1.0.0", hosts=[*hosts, sdk.Host("c.example")], surfaces=[sdk.surface("a", "A")]
        )
        self.assertEqual(made.allowed_hosts, ["a.example", "b.example", "c.example"])
        self.assertEqual(made.credentials[0].hosts, ["a.example", "b.example"])
        self.assertEqual(made.extra, [("env", "api-key=A_KEY")])


class Twice(sdk.Provider):
    def start(self, query):
        return sdk.Pause(5, {"text": query.prompt})

    def resume(self, state, event):
        if isinstance(event, wit.Event_Resumed):
            return sdk.Done(state["text"])
        return sdk.fail(types.ErrorKind.AUTH, "no", response=sdk.response_of(event))


class Steps(unittest.TestCase):
    def test_the_state_survives_a_pause_and_errors_become_failures(self):
        engine = sdk.engine(Twice())()
        step = engine.start(dataclasses.replace(QUERY, prompt="«sûr» 🚲\u2028"))
        self.assertEqual(step.value.delay_ms, 5)
        done = engine.resume(step.value.state, wit.Event_Resumed())
        self.assertEqual(done.value, "«sûr» 🚲\u2028")
        lost = engine.resume(step.value.state, wit.Event_TransportError(wit.TransportError.DNS))
        self.assertEqual(lost.value.kind, types.ErrorKind.UPSTREAM_UNAVAILABLE)
        refused = engine.resume(step.value.state, wit.Event_Response(response(status=401)))
        self.assertEqual((refused.value.kind, refused.value.http_status), (types.ErrorKind.AUTH, 401))
        foreign = engine.resume(b"\xff", wit.Event_Resumed())
        self.assertEqual(foreign.value.kind, types.ErrorKind.INVALID_REQUEST)

    def test_what_a_vendor_sends_cannot_end_a_plugin(self):
        engine = echo.Engine()
        state = engine.start(QUERY).value.state
        for body in ["null", "[]", "7", "NaN", '{"echo":{}}', 'data: {"delta"', "data: null", "[" * 9999]:
            step = engine.resume(state, wit.Event_Response(response(body)))
            self.assertIsInstance(step, wit.Step_Failed, body)
            self.assertEqual(step.value.kind, types.ErrorKind.MALFORMED_RESPONSE, body)
            self.assertEqual(step.value.http_status, 200)


if __name__ == "__main__":
    unittest.main()
