// From a provider to the component's export.

import { ProviderError, fail, failureOf } from "./failure.js";

/** Send this request; its response comes to `resume` together with the state. */
export function fetch(request, state) {
  return { tag: "fetch", request, state };
}

/** Come back after so many milliseconds, with the state. */
export function pause(delayMs, state) {
  return { tag: "pause", delayMs, state };
}

/** The query is settled. */
export function done(outcome) {
  return { tag: "done", outcome };
}

/**
 * The component's export of a provider: `export const engine = provider({…})`.
 *
 * One request, one answer: `describe()`, `request(query)` and `parse(query, response)`, which is
 * called for every status. Several requests, or waiting in between: `describe()`, `start(query)`
 * and `resume(state, event)`, which return `fetch`, `pause` or `done`. The state is JSON and all
 * that survives from one call to the next. Both may have `healthCheck(config)`, a free request that
 * proves that the credential works.
 */
export function provider(definition) {
  const { describe, healthCheck, start, resume } = definition.parse ? single(definition) : definition;
  return {
    describe,
    healthCheck: (config) => checked(() => healthCheck?.(config)),
    start: (query) => step("invalid-request", undefined, () => start(query)),
    resume: (state, event) =>
      step("malformed-response", event.val?.status, () => resume(decode(state), event)),
  };
}

/** The response that a fetch was waiting for. Ends the query when there is none. */
export function responseOf(event) {
  if (event.tag === "response") return event.val;
  if (event.tag === "transport-error") throw failureOf(event.val);
  fail("invalid-request", "resumed from a pause that was not asked for");
}

function single({ describe, healthCheck, request, parse }) {
  return {
    describe,
    healthCheck,
    start: (query) => fetch(request(query), query),
    resume: (query, event) => done(parse(query, responseOf(event))),
  };
}

/** Settings that cannot be used leave nothing to check. */
function checked(request) {
  try {
    return request();
  } catch (error) {
    if (error instanceof ProviderError) return undefined;
    throw error;
  }
}

/** What the vendor sent cannot end the plugin: an error that is no failure becomes one. */
function step(kind, httpStatus, next) {
  try {
    return encoded(next());
  } catch (error) {
    if (error instanceof ProviderError) return { tag: "failed", val: error.failure };
    return { tag: "failed", val: { kind, httpStatus, message: `the plugin cannot go on: ${error}` } };
  }
}

function encoded(next) {
  if (next.tag === "done") return { tag: "done", val: next.outcome };
  const state = encode(next.state);
  if (next.tag === "pause") return { tag: "pause", val: { state, delayMs: next.delayMs } };
  return { tag: "fetch", val: { state, request: next.request } };
}

/** JSON in ASCII: there is no TextEncoder inside of a component. */
function encode(state) {
  const json = JSON.stringify(state ?? null);
  const ascii = json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Uint8Array.from(ascii, (sign) => sign.charCodeAt(0));
}

function decode(state) {
  let ascii = "";
  for (const byte of state) ascii += String.fromCharCode(byte);
  try {
    return JSON.parse(ascii);
  } catch (error) {
    // Only another version of the plugin can have written it; trying again would not help.
    fail("invalid-request", `state cannot be used: ${error.message}`);
  }
}
