//! The list of sources: each page once, in the order the engine shows them.

use std::collections::BTreeMap;

use crate::{Citation, CitationKind, Link, markdown};

/// One mention of a page as a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// Where it is; dropped with a warning unless it is an absolute web address.
    pub url: &'a str,
    /// Its title, if the engine tells.
    pub title: Option<&'a str>,
    /// An extract, if the engine tells.
    pub snippet: Option<&'a str>,
    /// Its date, if the engine tells.
    pub published: Option<&'a str>,
    /// Inline markers that point to it.
    pub markers: Vec<String>,
}

impl<'a> Source<'a> {
    /// A source of which only the address is known.
    pub fn at(url: &'a str) -> Self {
        Self { url, ..Self::default() }
    }
}

/// Collects citations and merges those of one page: the first gives address and place, `cited`
/// wins over `listed`, markers are united, and whatever the first lacks is taken from the later.
#[derive(Debug, Default)]
pub struct Citations {
    list: Vec<Citation>,
    by_page: BTreeMap<String, usize>,
    dropped: usize,
}

impl Citations {
    /// No citations yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source or merges it into the one of the same page.
    pub fn add(&mut self, kind: CitationKind, source: Source<'_>) {
        let Some(link) = Link::parse(source.url) else {
            self.dropped += 1;
            return;
        };
        let text = |text: Option<&str>| text.filter(|t| !t.trim().is_empty()).map(str::to_owned);
        let at = *self.by_page.entry(link.key).or_insert_with(|| {
            self.list.push(Citation {
                position: u32::try_from(self.list.len() + 1).unwrap_or(u32::MAX),
                url: link.url,
                title: None,
                snippet: None,
                published: None,
                kind,
                markers: Vec::new(),
            });
            self.list.len() - 1
        });
        let citation = &mut self.list[at];
        if kind == CitationKind::Cited {
            citation.kind = kind;
        }
        citation.title = citation.title.take().or_else(|| text(source.title));
        citation.snippet = citation.snippet.take().or_else(|| text(source.snippet));
        citation.published = citation.published.take().or_else(|| text(source.published));
        for marker in source.markers {
            if !citation.markers.contains(&marker) {
                citation.markers.push(marker);
            }
        }
    }

    /// Adds the pages that the text links to and that are no source. Relative links are none.
    pub fn add_links(&mut self, text: &str) {
        for (title, url) in markdown::links(text) {
            if Link::parse(url).is_some() && self.position(url).is_none() {
                let is_marker = title.bytes().all(|byte| byte.is_ascii_digit());
                let title = (!is_marker).then_some(title);
                self.add(CitationKind::InlineLink, Source { title, ..Source::at(url) });
            }
        }
    }

    /// The position of a page that is in the list.
    pub fn position(&self, url: &str) -> Option<u32> {
        let at = self.by_page.get(&Link::parse(url)?.key)?;
        Some(self.list[*at].position)
    }

    /// One warning for each source that had no web address.
    pub fn warnings(&self) -> impl Iterator<Item = String> + use<> {
        std::iter::repeat_n("citation-dropped:not-absolute-url".to_owned(), self.dropped)
    }

    /// The finished list.
    pub fn into_list(self) -> Vec<Citation> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_page_is_one_citation() {
        let mut citations = Citations::new();
        let marked = |url, title, marker: &str| Source {
            title,
            markers: vec![marker.to_owned()],
            ..Source::at(url)
        };
        citations.add(CitationKind::Listed, marked("https://a.example/#:~:text=x", None, "1"));
        citations.add(CitationKind::Listed, Source::at("/relative"));
        citations.add(CitationKind::Listed, Source::at("https://b.example/"));
        citations.add(CitationKind::Cited, marked("https://a.example/#part", Some("A"), "2"));
        citations.add(CitationKind::Listed, marked("https://a.example/", Some("Other"), "1"));
        assert_eq!(citations.warnings().count(), 1);
        assert_eq!(citations.position("https://B.example/#x"), Some(2));
        assert_eq!(citations.position("https://c.example/"), None);
        let list = citations.into_list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].position, list[1].position), (1, 2));
        assert_eq!(list[0].url, "https://a.example/");
        assert_eq!(list[0].title.as_deref(), Some("A"));
        assert_eq!(list[0].kind, CitationKind::Cited);
        assert_eq!(list[0].markers, ["1", "2"]);
        assert_eq!(list[1].kind, CitationKind::Listed);
    }
    #[test]
    fn links_of_the_text_join_the_sources() {
        let mut citations = Citations::new();
        citations.add(CitationKind::Listed, Source::at("https://a.example/"));
        citations.add_links(
            "[A](https://a.example/#x) [b](/b) [Acme](https://acme.example) [1](https://c.example)",
        );
        assert_eq!(citations.warnings().count(), 0);
        let list = citations.into_list();
        let seen: Vec<_> = list.iter().map(|c| (c.kind, c.title.as_deref())).collect();
        let link = CitationKind::InlineLink;
        assert_eq!(seen, [(CitationKind::Listed, None), (link, Some("Acme")), (link, None)]);
    }
}
