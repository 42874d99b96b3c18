use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;

use super::addresses::registrable_domain;

/// The address behind a redirector that carries it along.
pub(super) fn unwrap(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let site = host.strip_prefix("www.").unwrap_or(host);
    let target = match (site, url.path()) {
        (_, "/url") if is_google(site) => parameter(url, "q").or_else(|| parameter(url, "url")),
        ("bing.com", "/ck/a") => parameter(url, "u").and_then(|value| decode_bing(&value)),
        ("duckduckgo.com" | "html.duckduckgo.com", "/l/") => parameter(url, "uddg"),
        ("youtube.com", "/redirect") => parameter(url, "q"),
        ("l.facebook.com" | "lm.facebook.com", "/l.php") => parameter(url, "u"),
        _ => None,
    }?;
    let absolute = target.starts_with("https://") || target.starts_with("http://");
    absolute.then_some(target)
}

/// Whether the target is known to the redirector alone.
pub(super) fn is_opaque(url: &Url) -> bool {
    url.host_str() == Some("vertexaisearch.cloud.google.com")
        && url.path().starts_with("/grounding-api-redirect/")
}

fn is_google(site: &str) -> bool {
    site.starts_with("google.") && registrable_domain(site) == site
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Bing writes the target as `a1` and URL-safe base 64.
fn decode_bing(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("a1")?.trim_end_matches('=');
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
