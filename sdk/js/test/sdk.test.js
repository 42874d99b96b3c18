import assert from "node:assert/strict";
import test from "node:test";

import { engine as echo } from "../examples/echo.js";
import {
  Decimal,
  answered,
  citations,
  country,
  decimalAt,
  done,
  eventStream,
  events,
  fail,
  language,
  link,
  links,
  manifest,
  meta,
  pause,
  provider,
  retryAfterMs,
  stringAt,
  stringsAt,
  surface,
  u32At,
  usage,
} from "../src/index.js";

const query = { id: "1", prompt: "q", surface: "s", config: "{}", nowUnix: 1, seed: 1, extra: [] };
const response = (headers = [], body = "") => ({
  status: 200,
  headers,
  body: { tag: "text", val: body },
  elapsedMs: 1,
  receivedAt: 784111777,
});

test("decimals are read exactly and rounded half up", () => {
  const micros = (text) => Decimal.parse(text)?.microUsd();
  const known = {
    0.03073: 30730,
    "1e-05": 10,
    "1.53057E0": 1530570,
    "0.0000005": 1,
    "0.00000049999999999999999999999": 0,
    "0.0012345": 1235,
    12: 12000000,
    ".5": 500000,
    "5.": 5000000,
    "0e99": 0,
    "1e-400": 0,
  };
  for (const [text, expected] of Object.entries(known)) assert.equal(micros(text), expected, text);
  for (const text of ["", ".", "-1", "abc", "1.2.3", "1e", "1e99", "0x10", "NaN", "1e99999999"]) {
    assert.equal(micros(text), undefined, text);
  }
  assert.equal(micros(1e-7), 0);
  assert.equal(micros(0.007637029), 7637);
  const price = Decimal.parse("0.0625").times(3).plus(Decimal.parse("0.25"));
  assert.deepEqual([price.round(), price.plus(Decimal.parse("0.0625")).round()], [0, 1]);
});

test("a wrong type reads as absent", () => {
  const json = { a: { b: [1, "x", null, ""] }, n: "7", f: 3.0, neg: -1 };
  assert.equal(stringAt(json, "/a/b/1"), "x");
  assert.equal(stringAt(json, "/a/b/3"), undefined);
  assert.equal(stringAt(json, "/a"), undefined);
  assert.equal(stringAt(json, "/a/b/length"), undefined);
  assert.equal(stringAt(null, "/toString"), undefined);
  assert.deepEqual(stringsAt(json, "/a/b"), ["x"]);
  assert.deepEqual([u32At(json, "/n"), u32At(json, "/f"), u32At(json, "/neg")], [7, 3, undefined]);
  assert.equal(decimalAt(json, "/a"), undefined);
});

test("streams are read whatever their line ends", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const body = `: hi${end}${end}event: x${end}data: a${end}data: b${end}${end}data:  c`;
    assert.deepEqual(events(body), [
      { name: "x", data: "a\nb" },
      { name: undefined, data: " c" },
    ]);
  }
  assert.equal(eventStream(response([], '{"a":1}')), undefined);
  assert.equal(eventStream(response([["Content-Type", "text/event-stream"]], "")), "");
});

test("one page is one citation", () => {
  const sources = citations();
  sources.add("listed", { url: "https://a.example/#:~:text=x", markers: ["1"] });
  sources.add("listed", { url: "/relative" });
  sources.add("cited", { url: "https://A.example/?utm_source=openai", title: "A", markers: ["2"] });
  sources.addLinks("[A](https://a.example/#x) [B](https://b.example/(y)) ![i](https://c.example)");
  assert.deepEqual(sources.list(), [
    { position: 1, url: "https://a.example/", kind: "cited", markers: ["1", "2"], title: "A" },
    { position: 2, url: "https://b.example/(y)", kind: "inline-link", markers: [], title: "B" },
  ]);
  assert.equal(sources.warnings().length, 1);
  assert.equal(link("mailto:a@b.example"), undefined);
  assert.deepEqual(links("[x](<https://x.example> 'x')"), [{ text: "x", url: "https://x.example" }]);
});

test("retry-after is seconds or a date", () => {
  const wait = (value) => retryAfterMs(response([["Retry-After", value]]));
  assert.equal(wait("2"), 2000);
  assert.equal(wait("0.5"), 500);
  assert.equal(wait("Sun, 06 Nov 1994 08:49:40 GMT"), 3000);
  assert.equal(wait("Sun, 06 Nov 1994 08:00:00 GMT"), 0);
  assert.equal(wait("soon"), undefined);
  assert.equal(wait("99999999999"), 0xffffffff);
});

test("places are given as vendors want them", () => {
  assert.equal(language({ language: "pt_BR" }), "pt");
  assert.equal(country({ country: " de " }), "DE");
  assert.equal(language({}), undefined);
});

test("a manifest names each credential once", () => {
  const made = manifest({
    key: "a",
    displayName: "A",
    version: "1.0.0",
    hosts: [
      { host: "a.example", credential: "api-key", variable: "A_KEY" },
      { host: "b.example", credential: "api-key" },
      { host: "c.example" },
    ],
    surfaces: [surface("a", "A")],
  });
  assert.deepEqual(made.allowedHosts, ["a.example", "b.example", "c.example"]);
  assert.deepEqual(made.credentials[0].hosts, ["a.example", "b.example"]);
  assert.deepEqual(made.extra, [["env", "api-key=A_KEY"]]);
});

test("totals are kept when they are not the sum", () => {
  const counted = usage({ inputTokens: 1, outputTokens: 2 });
  assert.deepEqual(meta(query, { usage: counted, totalTokens: 3 }).extra, []);
  assert.deepEqual(meta(query, { usage: counted, totalTokens: 9 }).extra, [["total-tokens", "9"]]);
});

test("the state survives a pause, and errors become failures", () => {
  const engine = provider({
    describe: () => undefined,
    start: (asked) => pause(5, { text: asked.prompt }),
    resume: (state, event) =>
      event.tag === "resumed" ? done(answered({ text: state.text, meta: {} })) : fail("auth", "no"),
  });
  const { val } = engine.start({ ...query, prompt: "«sûr» 🚲\u2028" });
  assert.equal(val.delayMs, 5);
  assert.ok(val.state.every((byte) => byte < 128));
  assert.equal(engine.resume(val.state, { tag: "resumed" }).val.val.text, "«sûr» 🚲\u2028");
  const failed = engine.resume(val.state, { tag: "transport-error", val: "dns" });
  assert.deepEqual([failed.tag, failed.val.kind], ["failed", "auth"]);
  const foreign = engine.resume(Uint8Array.of(255), { tag: "resumed" });
  assert.equal(foreign.val.kind, "invalid-request");
});

test("a health check that cannot be made is none", () => {
  const engine = provider({ healthCheck: () => fail("invalid-request", "no"), start: () => 0 });
  assert.equal(engine.healthCheck("{}"), undefined);
  assert.equal(echo.healthCheck("{}"), undefined);
});

test("what a vendor sends cannot end a plugin", () => {
  const { val } = echo.start(query);
  for (const body of ["null", "[]", "7", '{"echo":{}}', 'data: {"delta"', "data: null"]) {
    const step = echo.resume(val.state, { tag: "response", val: response([], body) });
    assert.deepEqual([step.tag, step.val.kind], ["failed", "malformed-response"], body);
    assert.equal(step.val.httpStatus, 200);
  }
  const lost = echo.resume(val.state, { tag: "transport-error", val: "tls" });
  assert.equal(lost.val.kind, "upstream-unavailable");
});
