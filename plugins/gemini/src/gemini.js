// Gemini with Google Search, through generateContent.
//
// The sources come as links that lead to a redirect at Google and die after some days. The host
// asks each of them where it leads, without going there. The prompt is sent as it is.

import { configOf, done, fail, fetch, isSuccess, provider, responseOf } from "../../../sdk/js/src/index.js";
import { refused } from "./failures.js";
import { describe } from "./manifest.js";
import { next, note } from "./redirects.js";
import { models, question } from "./request.js";
import { finished, read } from "./response.js";
import { SURFACE } from "./surface.js";

export const engine = provider({
  describe,
  healthCheck: () => models(),

  start(query) {
    if (query.surface !== "" && query.surface !== SURFACE) {
      fail("invalid-request", `unknown surface ${query.surface}`);
    }
    return fetch(question(query, configOf(query)), { query });
  },

  resume({ query, answer, at }, event) {
    const found = answer === undefined ? asked(query, event) : note(answer, at, event);
    const config = configOf(query);
    const waiting = next(found, at === undefined ? 0 : at + 1, config);
    if (!waiting) return done(finished(query, found));
    const { request, at: place } = waiting;
    return fetch(request, { query: remembered(query), answer: found, at: place });
  },
});

function asked(query, event) {
  const response = responseOf(event);
  if (!isSuccess(response)) refused(response);
  return read(query, configOf(query), response);
}

/** What is left to know of the query once it is answered: the prompt may be long. */
function remembered({ surface, config }) {
  return { surface, config };
}
