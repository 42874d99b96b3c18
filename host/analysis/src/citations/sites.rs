use std::collections::HashMap;

use url::Url;

use super::{NormalisedUrl, SourceKind, SourceTable, display_domain, sources::suffixes};

/// A site of a tracked brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site<'a> {
    /// A domain (`asana.com`), or an address for a part of one (`github.com/asana`).
    pub domain: &'a str,
    /// The brand it belongs to.
    pub brand: u32,
    /// Whether the brand is an own one.
    pub own: bool,
}

/// Who is behind a host: the tracked brands first, then the table.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    table: SourceTable,
    brands: HashMap<String, Vec<Holding>>,
}

#[derive(Clone, Debug)]
struct Holding {
    /// Without a slash at the end; empty for the whole domain.
    path: String,
    brand: u32,
    own: bool,
}

impl Sites {
    /// Sites that cannot be read as a domain are left out. Where several brands hold one domain,
    /// the longest path wins, then an own brand, then the first.
    pub fn new<'a>(table: SourceTable, sites: impl IntoIterator<Item = Site<'a>>) -> Self {
        let mut brands: HashMap<String, Vec<Holding>> = HashMap::new();
        for Site { domain, brand, own } in sites {
            let Some((host, path)) = read(domain) else { continue };
            brands.entry(host).or_default().push(Holding { path, brand, own });
        }
        for holdings in brands.values_mut() {
            holdings.sort_by(|a, b| b.path.len().cmp(&a.path.len()).then(b.own.cmp(&a.own)));
        }
        Self { table, brands }
    }

    /// The kind of a source, and the brand it belongs to.
    pub fn classify(&self, address: &NormalisedUrl) -> (SourceKind, Option<u32>) {
        let path = path_of(&address.url);
        let holding = suffixes(&address.host).find_map(|suffix| {
            self.brands.get(suffix)?.iter().find(|holding| holding.covers(path))
        });
        match holding {
            Some(Holding { brand, own: true, .. }) => (SourceKind::OwnSite, Some(*brand)),
            Some(Holding { brand, .. }) => (SourceKind::CompetitorSite, Some(*brand)),
            None => (self.table.kind(&address.host), None),
        }
    }
}

impl Holding {
    fn covers(&self, path: &str) -> bool {
        path.get(..self.path.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.path))
            && matches!(path.as_bytes().get(self.path.len()), None | Some(b'/' | b'?'))
    }
}

/// Host and path of a domain as people type it.
fn read(domain: &str) -> Option<(String, String)> {
    let domain = domain.trim();
    let url = if domain.contains("://") {
        Url::parse(domain)
    } else {
        Url::parse(&format!("https://{domain}"))
    };
    let url = url.ok()?;
    let host = display_domain(url.host_str()?.trim_end_matches('.')).to_owned();
    let path = url.path().trim_end_matches('/').to_owned();
    (host.contains('.')).then_some((host, path))
}

/// From the first slash after the host on.
fn path_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[host..];
    &rest[rest.find('/').unwrap_or(rest.len())..]
}
