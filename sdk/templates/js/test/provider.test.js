import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { engine } from "../src/provider.js";

const file = (name) => readFileSync(new URL(`../cases/answer/${name}`, import.meta.url), "utf8");
const expected = JSON.parse(file("case.json"));
const query = {
  id: "1", prompt: expected.prompt, surface: "acme", config: "{}", nowUnix: 1, seed: 1, extra: [],
};

test("the recorded answer is read", () => {
  const asked = engine.start(query);
  assert.equal(asked.tag, "fetch");
  assert.equal(asked.val.request.url, "https://api.acme.example/v1/ask");
  const response = {
    status: 200, headers: [], body: { tag: "text", val: file("resp-1.json") }, elapsedMs: 1, receivedAt: 1,
  };
  const moment = { nowUnix: 1, seed: 1 };
  const { tag, val } = engine.resume(asked.val.state, { tag: "response", val: response }, moment);
  assert.equal(tag, "done");
  assert.equal(val.val.text, expected.expect.text);
});
