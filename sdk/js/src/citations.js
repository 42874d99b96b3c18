// The list of sources: each page once, in the order the engine shows them.

import { links } from "./markdown.js";
import { link } from "./url.js";

/** Collects citations and merges those of one page. */
export function citations() {
  return new Citations();
}

class Citations {
  #list = [];
  #byPage = new Map();
  #dropped = 0;

  /**
   * Adds a source `{url, title?, snippet?, published?, markers?}`. The first mention of a page
   * gives address and place, `cited` wins over `listed`, markers are united, and whatever the first
   * lacks is taken from the later. An address that is not absolute is dropped with a warning.
   */
  add(kind, source) {
    const page = typeof source.url === "string" ? link(source.url) : undefined;
    if (!page) {
      this.#dropped++;
      return;
    }
    let citation = this.#byPage.get(page.key);
    if (!citation) {
      const position = this.#list.length + 1;
      citation = { position, url: page.url, kind, markers: [] };
      this.#list.push(citation);
      this.#byPage.set(page.key, citation);
    }
    if (kind === "cited") citation.kind = kind;
    for (const field of ["title", "snippet", "published"]) {
      const text = source[field];
      if (citation[field] === undefined && typeof text === "string" && text.trim() !== "") {
        citation[field] = text;
      }
    }
    for (const marker of source.markers ?? []) {
      if (!citation.markers.includes(marker)) citation.markers.push(marker);
    }
  }

  /** Adds the pages that the text links to and that are no source. Relative links are none. */
  addLinks(text) {
    for (const { text: title, url } of links(text)) {
      if (link(url) && this.position(url) === undefined) {
        this.add("inline-link", { url, title: /^\d*$/.test(title) ? undefined : title });
      }
    }
  }

  /** The position of a page that is in the list. */
  position(url) {
    return this.#byPage.get(link(url)?.key)?.position;
  }

  /** One warning for each source that had no web address. */
  warnings() {
    return Array(this.#dropped).fill("citation-dropped:not-absolute-url");
  }

  /** The finished list. */
  list() {
    return this.#list;
  }
}
