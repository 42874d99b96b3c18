// The little Markdown that a provider meets.

const MAX_ADDRESS = 4096;

/** The `[text](address)` links of a text, in order, as `{text, url}`. Images are left out. */
export function links(text) {
  const found = [];
  let from = 0;
  for (let middle = text.indexOf("]("); middle >= 0; middle = text.indexOf("](", from)) {
    const start = text.lastIndexOf("[", middle);
    const isImage = start > 0 && text[start - 1] === "!";
    const isOpen = start >= from;
    from = middle + 2;
    if (!isOpen || isImage) continue;
    const end = closing(text, from);
    if (end < 0) continue;
    // A title may follow the address, and angle brackets may enclose it.
    const [address = ""] = text.slice(from, end).trim().split(/\s+/);
    found.push({ text: text.slice(start + 1, middle), url: address.replace(/^<+|>+$/g, "") });
    from = end;
  }
  return found;
}

/** Where the parenthesis closes that was open before; addresses may contain pairs. */
function closing(text, from) {
  let depth = 0;
  for (let at = from; at < Math.min(text.length, from + MAX_ADDRESS); at++) {
    if (text[at] === "\n") return -1;
    if (text[at] === "(") depth++;
    if (text[at] === ")" && depth-- === 0) return at;
  }
  return -1;
}
