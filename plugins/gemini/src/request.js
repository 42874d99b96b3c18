// What is sent to Gemini.

import { fail, request, secret } from "../../../sdk/js/src/index.js";
import { modelOf } from "./surface.js";

export const HOST = "generativelanguage.googleapis.com";

/** A query. */
export function question(query, config) {
  const model = modelOf(query, config);
  // The name becomes a part of the path.
  if (!/^[A-Za-z0-9._-]+$/.test(model)) fail("invalid-request", `${model} is no name of a model`);
  const body = {
    contents: [{ role: "user", parts: [{ text: query.prompt }] }],
    tools: [{ google_search: {} }],
  };
  const generation = {};
  if (config.max_output_tokens != null) generation.maxOutputTokens = config.max_output_tokens;
  if (config.thinking_budget != null) {
    generation.thinkingConfig = { thinkingBudget: config.thinking_budget };
  }
  if (Object.keys(generation).length > 0) body.generationConfig = generation;
  const retrieval = {};
  if (query.language?.trim()) retrieval.languageCode = query.language.trim();
  if (config.latitude != null && config.longitude != null) {
    retrieval.latLng = { latitude: config.latitude, longitude: config.longitude };
  }
  if (Object.keys(retrieval).length > 0) body.toolConfig = { retrievalConfig: retrieval };
  return authorised("post", `/v1beta/models/${model}:generateContent`, { json: body });
}

/** One of the models. Free. */
export function models() {
  return authorised("get", "/v1beta/models", { query: { pageSize: "1" } });
}

function authorised(method, path, parts) {
  const headers = { "x-goog-api-key": secret("api-key") };
  return request(method, `https://${HOST}${path}`, { ...parts, headers });
}
