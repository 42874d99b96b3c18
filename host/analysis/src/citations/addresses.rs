use serde::{Deserialize, Serialize};
use url::Url;

use super::redirects::{is_opaque, unwrap};

/// Parameters that only tell where a visitor came from. Nothing else is dropped: `ref`, `source`
/// or `id` may decide what the page shows.
const TRACKERS: [&str; 4] = ["gclid", "fbclid", "msclkid", "srsltid"];
const TRACKER_PREFIX: &str = "utm_";

/// An address in its one form, and the names of its host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NormalisedUrl {
    /// Lower-case host; no default port, credentials, fragment or trackers; redirectors unwrapped.
    pub url: String,
    /// The host.
    pub host: String,
    /// The host without one leading `www.`.
    pub domain: String,
    /// The part of the host somebody can register.
    pub registrable_domain: String,
    /// A redirector whose target only a request would tell.
    pub opaque: bool,
}

/// The normal form of an absolute web address; absent for anything else. Normalising twice changes
/// nothing more.
pub fn normalise(url: &str) -> Option<NormalisedUrl> {
    let mut url = parse(url)?;
    // A target is shorter than what wraps it, so this ends.
    while let Some(target) = unwrap(&url).and_then(|target| parse(&target)) {
        url = target;
    }
    let opaque = is_opaque(&url);
    let host = url.host_str()?.to_owned();
    Some(NormalisedUrl {
        domain: display_domain(&host).to_owned(),
        registrable_domain: registrable_domain(&host).to_owned(),
        url: url.into(),
        host,
        opaque,
    })
}

/// The host without one leading `www.`.
pub fn display_domain(host: &str) -> &str {
    host.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(host)
}

/// The part of a host somebody can register, by the Public Suffix List; the host itself when it is
/// an address or a suffix.
pub fn registrable_domain(host: &str) -> &str {
    let numeric = host.starts_with('[') || host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric { host } else { psl::domain_str(host).unwrap_or(host) }
}

fn parse(url: &str) -> Option<Url> {
    let mut url = Url::parse(url.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str()?;
    let rooted = host.trim_end_matches('.');
    if rooted.is_empty() {
        return None;
    }
    if rooted.len() < host.len() {
        let rooted = rooted.to_owned();
        url.set_host(Some(&rooted)).ok()?;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_fragment(None);
    if let Some(query) = url.query() {
        let kept: Vec<_> = query.split('&').filter(|pair| !is_tracker(pair)).collect();
        let kept = kept.join("&");
        url.set_query((!kept.is_empty()).then_some(&kept));
    }
    Some(url)
}

fn is_tracker(pair: &str) -> bool {
    let key = pair.split('=').next().unwrap_or_default();
    let key = key.to_ascii_lowercase();
    key.starts_with(TRACKER_PREFIX) || TRACKERS.contains(&key.as_str())
}
