// Reading a response: text, headers, and how long to wait.

import { malformed } from "./failure.js";

const MAX_U32 = 0xffffffff;

/** Whether the status is 2xx. */
export function isSuccess(response) {
  return response.status >= 200 && response.status < 300;
}

/** The body, when it is text. */
export function textOf(response) {
  return response.body.tag === "text" ? response.body.val : undefined;
}

/** The body as JSON. Ends the query as malformed when it is anything else. */
export function jsonOf(response) {
  const text = textOf(response);
  if (text === undefined) malformed(response, "body is not text");
  try {
    return JSON.parse(text.replace(/^\ufeff+/, ""));
  } catch (error) {
    malformed(response, `body is not JSON: ${error.message}`);
  }
}

/** The first header of this name, in whatever case. */
export function header(response, name) {
  const wanted = name.toLowerCase();
  return response.headers.find(([key]) => key.toLowerCase() === wanted)?.[1].trim();
}

/**
 * The body, if it is a stream of events. Gateways label a stream as JSON and the other way round,
 * so the first sign goes before the label.
 */
export function eventStream(response) {
  const text = textOf(response);
  if (text === undefined) return undefined;
  const start = text.replace(/^\ufeff+/, "").trimStart();
  const label = (header(response, "content-type") ?? "").toLowerCase();
  const looks = /^(data:|event:|id:|:)/.test(start);
  const labelled = label.startsWith("text/event-stream") && !start.startsWith("{");
  return looks || labelled ? text : undefined;
}

/** `Retry-After` in milliseconds, be it seconds or a date. */
export function retryAfterMs(response) {
  const value = header(response, "retry-after");
  if (value === undefined || value === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return milliseconds(Number(value));
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : msUntil(response, date / 1000);
}

/** Milliseconds from the receipt of this response until a moment in Unix seconds. */
export function msUntil(response, unixSeconds) {
  return milliseconds(unixSeconds - response.receivedAt);
}

/** Never negative, and never more than the interface holds. */
function milliseconds(seconds) {
  return Math.min(Math.max(Math.round(seconds * 1000), 0), MAX_U32);
}
