// Google's redirects: where they lead is in the header of a response, so nobody goes there.

import { header, link, request } from "../../../sdk/js/src/index.js";

export const REDIRECT_HOST = "vertexaisearch.cloud.google.com";
/** More sources than an answer has. */
export const MAX_REDIRECTS = 30;

const PREFIX = `https://${REDIRECT_HOST}/grounding-api-redirect/`;
const TIMEOUT_MS = 5_000;
/** Whatever keeps so many of them from being answered will keep the rest. */
const MAX_FAILURES = 3;
/** The state holds the answer; what is too long for it stays unresolved. */
const MAX_STATE = 48_000;

/** The next source to ask for, from this place on: `{request, at}`, or nothing. */
export function next(answer, from, config) {
  if (config.resolve_redirects === false || answer.unresolved >= MAX_FAILURES) return undefined;
  if (from === 0 && JSON.stringify(answer).length > MAX_STATE) {
    answer.warnings.push("redirects-unresolved:answer-too-long");
    return undefined;
  }
  const at = answer.sources.findIndex((source, place) => place >= from && isRedirect(source.url));
  if (at < 0 || answer.asked >= MAX_REDIRECTS) return undefined;
  answer.asked++;
  return { at, request: request("head", answer.sources[at].url, { timeoutMs: TIMEOUT_MS }) };
}

/** Notes where the source at this place leads. What went wrong here is no reason for no answer. */
export function note(answer, at, event) {
  const source = answer.sources[at];
  const response = event.tag === "response" ? event.val : undefined;
  const isRedirected = response?.status >= 300 && response?.status < 400;
  const target = isRedirected ? header(response, "location") : undefined;
  if (target !== undefined && link(target)) {
    source.url = target;
  } else {
    answer.unresolved++;
    answer.warnings.push(`redirect-unresolved:${response?.status ?? event.val ?? event.tag}`);
  }
  return answer;
}

function isRedirect(url) {
  // Parameters of an address would have to be taken apart, and these never have any.
  return typeof url === "string" && url.startsWith(PREFIX) && !/[?#]/.test(url);
}
