//! The sources of an answer: URLs offered by the provider, then URLs in the text.
//!
//! Offered and referenced are different facts: a source that is only listed is never counted as
//! cited.

mod addresses;
mod extraction;
mod redirects;
mod sites;
mod snippets;
mod sources;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use addresses::{NormalisedUrl, display_domain, normalise, registrable_domain};
pub use extraction::{UrlSpan, urls_in};
pub use sites::{Site, Sites};
pub use snippets::snippet;
pub use sources::{SourceKind, SourceTable, SourceTableError};

/// How an answer refers to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitationKind {
    /// A marker or link in the text points at it.
    Cited,
    /// The provider returns it only as a source.
    Listed,
    /// A link in the text that is not among the provider's sources.
    InlineLink,
}

/// Where a citation was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The provider's list of sources.
    Provider,
    /// The text of the answer.
    Text,
}

/// A source as the provider gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCitation {
    /// Its address, as given.
    pub url: String,
    /// Its title, if any.
    pub title: Option<String>,
    /// How the answer refers to it.
    pub kind: CitationKind,
}

/// A source of an answer, once per address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Its place among the sources, from 1 without gaps.
    pub position: u32,
    /// The normalised address.
    pub url: String,
    /// Its host, in lower case.
    pub host: String,
    /// The host without one leading `www.`.
    pub domain: String,
    /// The part of the host somebody can register.
    pub registrable_domain: String,
    /// Its title, if any.
    pub title: Option<String>,
    /// How the answer refers to it.
    pub kind: CitationKind,
    /// Where it was found.
    pub origin: Origin,
    /// What kind of site it is.
    pub source: SourceKind,
    /// The brand whose site it is.
    pub brand: Option<u32>,
    /// The address is a redirector whose target only a request would tell.
    pub opaque: bool,
}

/// The sources of an answer: the offered ones in their order, then those in its text. The same
/// address twice is one citation: the first wins, its title is the first there is, and a listed
/// source that the text links to is a cited one.
pub fn collect(offered: &[OfferedCitation], answer: &str, sites: &Sites) -> Vec<Citation> {
    let mut citations = Citations { sites, list: Vec::new(), known: HashMap::new() };
    for OfferedCitation { url, title, kind } in offered {
        citations.add(url, title.as_deref(), *kind, Origin::Provider);
    }
    for span in urls_in(answer) {
        if let Some(url) = answer.get(span.range()) {
            citations.add(url, None, CitationKind::InlineLink, Origin::Text);
        }
    }
    citations.list
}

struct Citations<'a> {
    sites: &'a Sites,
    list: Vec<Citation>,
    known: HashMap<String, usize>,
}

impl Citations<'_> {
    fn add(&mut self, url: &str, title: Option<&str>, kind: CitationKind, origin: Origin) {
        let Some(address) = normalise(url) else { return };
        if let Some(known) = self.known.get(&address.url).and_then(|at| self.list.get_mut(*at)) {
            let referenced = matches!(kind, CitationKind::Cited | CitationKind::InlineLink);
            if known.kind == CitationKind::Listed && referenced {
                known.kind = CitationKind::Cited;
            }
            known.title = known.title.take().or_else(|| title.map(str::to_owned));
            return;
        }
        let (source, brand) = self.sites.classify(&address);
        let NormalisedUrl { url, host, domain, registrable_domain, opaque } = address;
        self.known.insert(url.clone(), self.list.len());
        self.list.push(Citation {
            position: u32::try_from(self.list.len() + 1).unwrap_or(u32::MAX),
            url,
            host,
            domain,
            registrable_domain,
            title: title.map(str::to_owned),
            kind,
            origin,
            source,
            brand,
            opaque,
        });
    }
}

#[cfg(test)]
mod tests;
