// What a user of the API does, in types that are generated from its document.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

const client = createClient<paths>({
  baseUrl: process.env["AIV_URL"]!,
  headers: { Authorization: `Bearer ${process.env["AIV_KEY"]}` },
});

const who = await client.GET("/v1/auth/whoami");
assert.equal(who.data?.role, "owner");

const brand: components["schemas"]["NewBrand"] = {
  name: "Acme",
  kind: "own",
  aliases: [],
  domains: ["acme.com"],
};
const acme = await client.POST("/v1/brands", { body: brand });
assert.equal(acme.response.status, 201);

const text = "What is the best CRM for a small agency?";
const made = await client.POST("/v1/prompts", {
  params: { header: { "Idempotency-Key": "typescript" } },
  body: { text, tags: ["crm"], active: true },
});
assert.equal(made.data?.text, text);

// A refusal is typed as well.
const refused = await client.POST("/v1/prompts", { body: { text: "?", tags: [], active: true } });
assert.equal(refused.response.status, 422);
assert.equal(refused.error?.code, "invalid");
assert.equal(refused.error?.errors?.[0]?.pointer, "/text");

const engine = await client.PUT("/v1/engines/{engine}", {
  params: { path: { engine: "perplexity" } },
  body: { enabled: true, concurrency: 4, config: {} },
});
assert.equal(engine.data?.enabled, true);

const started = await client.POST("/v1/batches", {
  body: { tags: ["crm"], engines: ["perplexity"], samples: 1 },
});
// A plan would have no id: this is no dry run.
assert(started.data && "id" in started.data, JSON.stringify(started.error));
const id = started.data.id;
for (let tries = 0; ; tries += 1) {
  const { data } = await client.GET("/v1/batches/{batch}", { params: { path: { batch: id } } });
  if (data?.state === "completed") break;
  assert(tries < 300, `the batch is ${data?.state}`);
  await setTimeout(100);
}

const runs = await client.GET("/v1/runs", { params: { query: { limit: 10 } } });
assert.equal(runs.data?.data.length, 1);
const overview = await client.GET("/v1/metrics/overview", { params: { query: { period: "7d" } } });
assert.equal(overview.data?.current.brands[0]?.name, "Acme");

const webhook = await client.POST("/v1/webhooks", {
  body: {
    url: "https://hooks.example.com/",
    description: "",
    event_types: ["batch.completed"],
    enabled: true,
  },
});
assert.match(webhook.data?.secret ?? "", /^whsec_/);
console.log("typescript: everything went as it should");
