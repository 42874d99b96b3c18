// Server-sent events, read from a body that is complete.

/** The events that have data, as `{name, data}`. A last event without its blank line counts. */
export function events(body) {
  const found = [];
  let name;
  let data;
  for (const line of body.replace(/^\ufeff/, "").split(/\r\n|\r|\n/)) {
    if (line === "") {
      if (data !== undefined) found.push({ name, data });
      name = data = undefined;
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`;
    else if (field === "event") name = value;
    // The rest is a comment, an id, a retry time, or a field of the future.
  }
  if (data !== undefined) found.push({ name, data });
  return found;
}
