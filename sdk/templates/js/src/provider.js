// Answers of Acme with their sources.

import {
  answered, citations, decimalAt, fail, isSuccess, itemsAt, jsonOf, kindOfStatus, language, malformed,
  manifest, meta, prefixed, provider, reported, request, retryAfterMs, stringAt, surface,
} from "../aiv-sdk/index.js";

export const engine = provider({
  describe: () =>
    manifest({
      key: "acme",
      displayName: "Acme",
      version: "0.1.0",
      description: "Answers of Acme with their sources",
      hosts: [
        {
          host: "api.acme.example",
          credential: "api-key",
          variable: "ACME_API_KEY",
          description: "Key of the Acme API",
        },
      ],
      surfaces: [surface("acme", "Acme", { context: { language: true }, typicalCostMicroUsd: 2000 })],
    }),

  request: (query) =>
    request("get", "https://api.acme.example/v1/ask", {
      query: { q: query.prompt, lang: language(query) },
      headers: { authorization: prefixed("Bearer ", "api-key") },
    }),

  parse(query, response) {
    if (!isSuccess(response)) {
      const retry = { response, retryAfterMs: retryAfterMs(response) };
      fail(kindOfStatus(response.status), "Acme refused", retry);
    }
    const body = jsonOf(response);
    const text = stringAt(body, "/answer") ?? malformed(response, "no answer");
    const sources = citations();
    for (const page of itemsAt(body, "/pages")) {
      sources.add("cited", { url: stringAt(page, "/url"), title: stringAt(page, "/title") });
    }
    const usd = decimalAt(body, "/usd");
    const about = meta(query, { retrieval: "searched", finish: "stop", cost: usd && reported(usd) });
    about.warnings.push(...sources.warnings());
    return answered({ text, citations: sources.list(), meta: about });
  },
});
