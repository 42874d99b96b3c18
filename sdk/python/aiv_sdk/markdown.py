"""The little Markdown that a provider meets."""

_MAX_ADDRESS = 4096


def links(text):
    """The `[text](address)` links of a text, in order, as pairs. Images are left out."""
    found, start_at = [], 0
    while (middle := text.find("](", start_at)) >= 0:
        start = text.rfind("[", start_at, middle)
        start_at = middle + 2
        if start < 0 or (start > 0 and text[start - 1] == "!"):
            continue
        end = _closing(text, start_at)
        if end is None:
            continue
        # A title may follow the address, and angle brackets may enclose it.
        address = (text[start_at:end].split() or [""])[0].strip("<>")
        found.append((text[start + 1 : middle], address))
        start_at = end
    return found


def _closing(text, start_at):
    """Where the parenthesis closes that was open before; addresses may contain pairs."""
    depth = 0
    for at in range(start_at, min(len(text), start_at + _MAX_ADDRESS)):
        if text[at] == "\n":
            return None
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            if depth == 0:
                return at
            depth -= 1
    return None
