// Requests.

/** The named credential, which the host puts in at the last moment. */
export function secret(name) {
  return { tag: "secret", val: name };
}

/** A literal prefix and then the named credential: `prefixed("Bearer ", "api-key")`. */
export function prefixed(prefix, name) {
  return { tag: "prefixed-secret", val: [prefix, name] };
}

/**
 * A request to an absolute https URL without query. `query` and `headers` are objects of texts and
 * credentials; entries without a value are left out. `json` becomes the body.
 */
export function request(method, url, { query = {}, headers = {}, json, timeoutMs } = {}) {
  const pairs = (object) =>
    Object.entries(object)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, typeof value === "object" ? value : text(value)]);
  const sent = pairs(headers).map(([name, value]) => [name.toLowerCase(), value]);
  if (json !== undefined) sent.push(["content-type", text("application/json")]);
  const body = json === undefined ? undefined : { tag: "text", val: JSON.stringify(json) };
  return { method, url, query: pairs(query), headers: sent, body, timeoutMs };
}

function text(value) {
  return { tag: "text", val: String(value) };
}
