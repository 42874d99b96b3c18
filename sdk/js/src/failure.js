// Failures: one kind for each thing that the host does next.

const OF_TRANSPORT = {
  dns: ["upstream-unavailable", "host name not resolved"],
  connect: ["upstream-unavailable", "connection refused"],
  tls: ["upstream-unavailable", "no secure connection"],
  reset: ["upstream-unavailable", "connection lost"],
  timeout: ["timeout", "no response in time"],
  "too-large": ["malformed-response", "response too large"],
  "refused-by-policy": ["invalid-request", "request refused by the host's policy"],
};

/** Thrown to end a query with a failure. */
export class ProviderError extends Error {
  constructor(failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * Ends the query with a failure. The message is for a person and holds no credential; `more` may
 * have `response`, `code`, `retryAfterMs` and `spent`.
 */
export function fail(kind, message, more = {}) {
  throw new ProviderError({
    kind,
    message,
    httpStatus: more.response?.status,
    providerCode: more.code,
    retryAfterMs: more.retryAfterMs,
    spent: more.spent,
  });
}

/** Ends the query because the response has a shape that the plugin cannot read. */
export function malformed(response, message) {
  fail("malformed-response", message, { response });
}

/** The kind that a status alone tells, where the vendor's body says nothing better. */
export function kindOfStatus(status) {
  if (status === 401 || status === 403) return "auth";
  if (status === 402) return "quota-exhausted";
  if (status === 408 || status === 524) return "timeout";
  if (status === 429) return "rate-limited";
  if (status >= 400 && status < 500) return "invalid-request";
  if (status >= 200 && status < 300) return "malformed-response";
  return "upstream-unavailable";
}

/** The failure that a transport error means. */
export function failureOf(transportError) {
  const [kind, message] = OF_TRANSPORT[transportError] ?? ["upstream-unavailable", transportError];
  return new ProviderError({ kind, message });
}
