// The address of a source, as far as it matters whether two are the same page.

// Query parameters that engines add to mark their traffic.
const TRAFFIC_MARKS = ["utm_source=openai", "utm_source=chatgpt.com"];

/**
 * Reads an absolute http or https address: `url` as the engine gave it less a `#:~:text=`
 * directive, and a `key` that is the same for all addresses of one page.
 */
export function link(text) {
  const trimmed = text.trim();
  const found = /^(https?):\/\/([^/?#\\]*)/i.exec(trimmed);
  if (!found) return undefined;
  const host = found[2].slice(found[2].lastIndexOf("@") + 1);
  if (host === "" || host.startsWith(":") || /\s/.test(host)) return undefined;
  const directive = trimmed.indexOf(":~:text=");
  const url = directive < 0 ? trimmed : trimmed.slice(0, directive).replace(/[#&]$/, "");
  const rest = url.split("#")[0].slice(found[0].length);
  return { url, key: `${found[1].toLowerCase()}://${found[2].toLowerCase()}${withoutMarks(rest)}` };
}

/** A bare host and its root are one page; parameters keep their order. */
function withoutMarks(rest) {
  const mark = rest.indexOf("?");
  const path = (mark < 0 ? rest : rest.slice(0, mark)) || "/";
  if (mark < 0) return path;
  const kept = rest.slice(mark + 1).split("&").filter((pair) => !TRAFFIC_MARKS.includes(pair));
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}
