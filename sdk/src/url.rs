//! The address of a source, as far as it matters whether two are the same page.

/// Query parameters that engines add to mark their traffic.
const TRAFFIC_MARKS: [&str; 2] = ["utm_source=openai", "utm_source=chatgpt.com"];

/// An absolute http or https address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// As the engine gave it, less a `#:~:text=` directive.
    pub url: String,
    /// The same for addresses of one page: without fragment and traffic marks, host in lower case.
    pub key: String,
}

impl Link {
    /// Reads an address; relative ones and other schemes are none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?;
        if host.is_empty() || host.starts_with(':') || host.contains(char::is_whitespace) {
            return None;
        }
        let url = match text.find(":~:text=") {
            Some(at) => text[..at].strip_suffix(['#', '&']).unwrap_or(&text[..at]),
            None => text,
        };
        let page = url.split('#').next().unwrap_or(url);
        let path = page.get(scheme.len() + 3 + authority.len()..).unwrap_or_default();
        let key = format!(
            "{}://{}{}",
            scheme.to_ascii_lowercase(),
            authority.to_lowercase(),
            without_marks(path)
        );
        Some(Self { url: url.to_owned(), key })
    }
}

/// A bare host and its root are one page; parameters keep their order.
fn without_marks(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    let path = if path.is_empty() { "/" } else { path };
    let Some(query) = query else { return path.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !TRAFFIC_MARKS.contains(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<String> {
        Link::parse(text).map(|link| link.url)
    }

    fn key(text: &str) -> String {
        Link::parse(text).unwrap().key
    }

    #[test]
    fn only_absolute_web_addresses_count() {
        for text in [
            "",
            "/a",
            "//a.example/",
            "ftp://a.example/",
            "javascript:x",
            "http://",
            "https:///x",
            "mailto:a@b.example",
            "https:// a",
            "data:text/html,http://x",
            "a.example/http://b",
        ] {
            assert_eq!(url(text), None, "{text}");
        }
        assert_eq!(url(" HTTPS://A.example/ ").as_deref(), Some("HTTPS://A.example/"));
        assert_eq!(url("https://bücher.example/ß").as_deref(), Some("https://bücher.example/ß"));
    }

    #[test]
    fn the_text_directive_goes_and_nothing_else() {
        assert_eq!(url("https://a.example/x#:~:text=a,b").unwrap(), "https://a.example/x");
        assert_eq!(url("https://a.example/x#top:~:text=a").unwrap(), "https://a.example/x#top");
        assert_eq!(url("https://a.example/x#top").unwrap(), "https://a.example/x#top");
    }

    #[test]
    fn one_page_has_one_key() {
        let page = key("https://a.example/x?b=1");
        assert_eq!(key("https://a.example/x?b=1#top"), page);
        assert_eq!(key("https://A.example/x?b=1&utm_source=openai"), page);
        assert_eq!(key("https://a.example/x?utm_source=chatgpt.com&b=1"), page);
        assert_ne!(key("https://a.example/x?b=1&utm_source=mail"), page);
        assert_ne!(key("https://a.example/X?b=1"), page);
        assert_eq!(key("https://a.example"), key("https://a.example/?utm_source=openai"));
    }
}
