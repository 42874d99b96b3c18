"""The list of sources: each page once, in the order the engine shows them."""

from wit_world.imports.types import Citation, CitationKind

from .markdown import links
from .url import link


class Citations:
    """Collects citations and merges those of one page.

    The first mention gives address and place, `CITED` wins over `LISTED`, markers are united, and
    whatever the first lacks is taken from the later.
    """

    def __init__(self):
        self._by_page = {}
        self._dropped = 0

    def add(self, kind, url, *, title=None, snippet=None, published=None, markers=()):
        """Adds a source; an address that is not absolute is dropped with a warning."""
        page = link(url) if isinstance(url, str) else None
        if page is None:
            self._dropped += 1
            return
        citation = self._by_page.get(page.key)
        if citation is None:
            position = len(self._by_page) + 1
            citation = Citation(position, page.url, None, None, None, kind, [])
            self._by_page[page.key] = citation
        if kind == CitationKind.CITED:
            citation.kind = kind
        citation.title = citation.title or _text(title)
        citation.snippet = citation.snippet or _text(snippet)
        citation.published = citation.published or _text(published)
        citation.markers.extend(m for m in markers if m not in citation.markers)

    def add_links(self, text):
        """Adds the pages that the text links to and that are no source."""
        for title, url in links(text):
            if link(url) and self.position(url) is None:
                is_marker = title.isascii() and (title == "" or title.isdigit())
                self.add(CitationKind.INLINE_LINK, url, title=None if is_marker else title)

    def position(self, url):
        """The position of a page that is in the list."""
        page = link(url)
        citation = self._by_page.get(page.key) if page else None
        return citation.position if citation else None

    def warnings(self):
        """One warning for each source that had no web address."""
        return ["citation-dropped:not-absolute-url"] * self._dropped

    def list(self):
        """The finished list."""
        return list(self._by_page.values())


def _text(text):
    return text if isinstance(text, str) and text.strip() else None
