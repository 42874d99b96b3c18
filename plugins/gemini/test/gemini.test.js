import assert from "node:assert/strict";
import test from "node:test";

import { engine } from "../src/gemini.js";

const REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect/";
const query = (more = {}) => ({
  id: "1",
  prompt: "best crm?\n",
  surface: "gemini-generate",
  config: "{}",
  nowUnix: 1,
  seed: 1,
  extra: [],
  ...more,
});
const response = (body, { status = 200, headers = [] } = {}) => ({
  tag: "response",
  val: {
    status,
    headers,
    body: { tag: "text", val: typeof body === "string" ? body : JSON.stringify(body) },
    elapsedMs: 1,
    receivedAt: 1,
  },
});
const sent = (step) => JSON.parse(step.val.request.body.val);
const answer = (count, text = "Acme.") => ({
  candidates: [
    {
      content: { parts: [{ text: "hm", thought: true }, { text }] },
      finishReason: "STOP",
      groundingMetadata: {
        groundingChunks: Array.from({ length: count }, (_, at) => ({
          web: { uri: `${REDIRECT}${at}`, title: `${at}.example` },
        })),
      },
    },
  ],
});

/** Runs a query whose redirects are answered in turn. */
function run(body, replies, more) {
  let step = engine.start(query(more));
  step = engine.resume(step.val.state, response(body));
  const asked = [];
  while (step.tag === "fetch") {
    asked.push(`${step.val.request.method} ${step.val.request.url}`);
    step = engine.resume(step.val.state, replies[asked.length - 1] ?? replies.at(-1));
  }
  return { asked, outcome: step.val.val };
}

const leads = (to) => response("", { status: 302, headers: [["location", to]] });

test("the prompt goes as it is", () => {
  const step = engine.start(query({ language: "pt-BR", config: '{"latitude":1,"longitude":-2}' }));
  assert.ok(step.val.request.url.endsWith("/v1beta/models/gemini-2.5-flash:generateContent"));
  assert.deepEqual(sent(step), {
    contents: [{ role: "user", parts: [{ text: "best crm?\n" }] }],
    tools: [{ google_search: {} }],
    toolConfig: {
      retrievalConfig: { languageCode: "pt-BR", latLng: { latitude: 1, longitude: -2 } },
    },
  });
});

test("a model cannot leave its place in the path", () => {
  const step = engine.start(query({ model: "../x" }));
  assert.deepEqual([step.tag, step.val.kind], ["failed", "invalid-request"]);
  assert.equal(engine.start(query({ surface: "other" })).val.kind, "invalid-request");
});

test("each source is asked once where it leads", () => {
  const { asked, outcome } = run(answer(2), [leads("https://a.example/x"), leads("https://b.example/")]);
  assert.deepEqual(asked, [`head ${REDIRECT}0`, `head ${REDIRECT}1`]);
  assert.equal(outcome.text, "Acme.");
  assert.deepEqual(
    outcome.citations.map(({ url }) => url),
    ["https://a.example/x", "https://b.example/"],
  );
});

test("what cannot be resolved stays as it is, and three failures are enough", () => {
  const lost = { tag: "transport-error", val: "timeout" };
  const replies = [lost, response("", { status: 404 }), leads("/relative"), leads("https://x.example")];
  const { asked, outcome } = run(answer(5), replies);
  assert.equal(asked.length, 3);
  assert.equal(outcome.citations.length, 5);
  assert.equal(outcome.citations[0].url, `${REDIRECT}0`);
  assert.deepEqual(outcome.meta.warnings, [
    "redirect-unresolved:timeout",
    "redirect-unresolved:404",
    "redirect-unresolved:302",
  ]);
});

test("redirects stay when the operator says so, or the answer does not fit into the state", () => {
  const off = run(answer(2), [], { config: '{"resolve_redirects":false}' });
  assert.deepEqual([off.asked.length, off.outcome.citations.length], [0, 2]);
  const long = run(answer(2, "x".repeat(60_000)), []);
  assert.equal(long.asked.length, 0);
  assert.deepEqual(long.outcome.meta.warnings, ["redirects-unresolved:answer-too-long"]);
});

test("no more redirects are asked than the manifest says", () => {
  const { asked } = run(answer(50), [leads("https://a.example/")]);
  assert.equal(asked.length + 1, engine.describe().surfaces[0].maxFetches);
});
