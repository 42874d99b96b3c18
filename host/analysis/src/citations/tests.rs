use proptest::prelude::*;

use super::*;

fn normal(url: &str) -> String {
    normalise(url).unwrap().url
}

#[test]
fn an_address_has_one_form() {
    for (given, normal_form) in [
        ("HTTPS://WWW.Example.COM:443/Path", "https://www.example.com/Path"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("https://a.com/#top", "https://a.com/"),
        ("https://a.com/x#:~:text=hello,world", "https://a.com/x"),
        ("https://a.com/?utm_source=openai&id=3&UTM_Medium=x", "https://a.com/?id=3"),
        ("https://a.com/?gclid=1&fbclid=2&msclkid=3&srsltid=4", "https://a.com/"),
        (
            "https://a.com/?ref=home&source=x&campaign=y&content=z",
            "https://a.com/?ref=home&source=x&campaign=y&content=z",
        ),
        ("https://a.com/?q=a%20b+c&x=%2F", "https://a.com/?q=a%20b+c&x=%2F"),
        ("https://user:secret@a.com/", "https://a.com/"),
        ("https://a.com./x", "https://a.com/x"),
        (" https://a.com/x ", "https://a.com/x"),
        ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
        ("https://a.com/x/?", "https://a.com/x/"),
    ] {
        assert_eq!(normal(given), normal_form, "{given}");
    }
    for broken in ["", "a.com", "ftp://a.com/", "mailto:a@b.com", "https://", "javascript:alert(1)"]
    {
        assert_eq!(normalise(broken), None, "{broken}");
    }
}

#[test]
fn redirectors_are_unwrapped() {
    for (given, target) in [
        (
            "https://www.google.com/url?sa=t&url=https%3A%2F%2Fa.com%2Fx%3Fid%3D1%26utm_source%3Dg&usg=1",
            "https://a.com/x?id=1",
        ),
        ("https://google.co.uk/url?q=https://a.com/", "https://a.com/"),
        ("https://duckduckgo.com/l/?uddg=https%3A%2F%2Fa.com%2F&rut=1", "https://a.com/"),
        ("https://www.bing.com/ck/a?!&&p=1&u=a1aHR0cHM6Ly9hLmNvbS94&ntb=1", "https://a.com/x"),
        ("https://www.youtube.com/redirect?event=video&q=https%3A%2F%2Fa.com", "https://a.com/"),
        (
            "https://www.google.com/url?q=https://www.google.com/url?q%3Dhttps://a.com/",
            "https://a.com/",
        ),
    ] {
        assert_eq!(normal(given), target, "{given}");
    }
    for kept in [
        "https://google.evil.com/url?q=https://a.com/",
        "https://notgoogle.com/url?q=https://a.com/",
        "https://www.google.com/search?q=https://a.com/",
        "https://www.google.com/url?q=not-a-url",
        "https://www.bing.com/ck/a?u=a1%%%",
    ] {
        assert_eq!(normal(kept), kept);
    }
    let grounded =
        normalise("https://vertexaisearch.cloud.google.com/grounding-api-redirect/AbC=").unwrap();
    assert!(grounded.opaque);
    assert!(!normalise("https://cloud.google.com/grounding-api-redirect/AbC").unwrap().opaque);
}

#[test]
fn a_host_has_three_names() {
    let names = |url: &str| {
        let NormalisedUrl { host, domain, registrable_domain, .. } = normalise(url).unwrap();
        (host, domain, registrable_domain)
    };
    let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        names("https://www.docs.asana.com"),
        own("www.docs.asana.com", "docs.asana.com", "asana.com")
    );
    assert_eq!(names("https://blog.co.uk"), own("blog.co.uk", "blog.co.uk", "blog.co.uk"));
    assert_eq!(names("https://me.github.io"), own("me.github.io", "me.github.io", "me.github.io"));
    assert_eq!(names("https://www.com"), own("www.com", "www.com", "www.com"));
    assert_eq!(names("https://192.168.0.1/x"), own("192.168.0.1", "192.168.0.1", "192.168.0.1"));
    assert_eq!(names("https://[::1]/x"), own("[::1]", "[::1]", "[::1]"));
}

#[test]
fn urls_are_found_in_text() {
    let found = |text: &'static str| -> Vec<&str> {
        urls_in(text).iter().map(|span| &text[span.range()]).collect()
    };
    assert_eq!(found("See https://a.com/x."), ["https://a.com/x"]);
    assert_eq!(found("(see https://a.com/x)."), ["https://a.com/x"]);
    assert_eq!(
        found("[t](https://en.wikipedia.org/wiki/A_(b)) x"),
        ["https://en.wikipedia.org/wiki/A_(b)"]
    );
    assert_eq!(
        found("[https://a.com](https://a.com/y \"t\")"),
        ["https://a.com", "https://a.com/y"]
    );
    assert_eq!(
        found("<https://a.com>, \"http://b.com\", **https://c.com**"),
        ["https://a.com", "http://b.com", "https://c.com"]
    );
    assert_eq!(
        found("https://a.com[1] _https://b.com_ `https://c.com`"),
        ["https://a.com", "https://b.com", "https://c.com"]
    );
    assert_eq!(
        found("詳しくはhttps://a.jp/ソニー、またはhttps://b.jpを参照"),
        ["https://a.jp/ソニー", "https://b.jp"]
    );
    assert_eq!(
        found("HTTPS://A.com! xhttps://no.com ftp://no.com https:// http://"),
        ["HTTPS://A.com"]
    );
    assert_eq!(found("https://a.com/?q=1,2;3&x=(y"), ["https://a.com/?q=1,2;3&x=(y"]);
    assert_eq!(
        found("https://web.archive.org/web/2020/https://a.com/x"),
        ["https://web.archive.org/web/2020/https://a.com/x"]
    );
}

fn kind(host: &str) -> SourceKind {
    SourceTable::standard().kind(host)
}

#[test]
fn kinds_go_by_suffix_never_by_substring() {
    assert!(SourceTable::parse(include_str!("sources.tsv")).unwrap().len() > 400);
    for (host, expected) in [
        ("www.nytimes.com", SourceKind::News),
        ("en.wikipedia.org", SourceKind::Reference),
        ("old.reddit.com", SourceKind::ForumSocial),
        ("notreddit.com", SourceKind::Other),
        ("reddit.com.evil.io", SourceKind::Other),
        ("notyelp.com", SourceKind::Other),
        ("support.google.com", SourceKind::Other),
        ("developer.apple.com", SourceKind::Other),
        ("play.google.com", SourceKind::Commerce),
        ("www.youtube.com", SourceKind::Video),
        ("www.stanford.edu", SourceKind::GovEdu),
        ("www.gov.uk", SourceKind::GovEdu),
        ("mygov", SourceKind::Other),
        ("dk.trustpilot.com", SourceKind::ReviewDirectory),
        ("pubmed.ncbi.nlm.nih.gov", SourceKind::Reference),
        ("example.com", SourceKind::Other),
        ("", SourceKind::Other),
    ] {
        assert_eq!(kind(host), expected, "{host}");
    }
}

#[test]
fn a_table_can_be_edited() {
    let mut table = SourceTable::parse("# mine\n\nexample.com\tnews\n").unwrap();
    table.insert("*.Shop.Example.com", SourceKind::Commerce);
    assert_eq!(table.kind("shop.example.com"), SourceKind::Commerce);
    assert_eq!(table.kind("a.example.com"), SourceKind::News);
    assert_eq!(SourceTable::parse("a.com news").unwrap_err(), SourceTableError { line: 1 });
    assert_eq!(SourceTable::parse("\na.com\tgossip").unwrap_err(), SourceTableError { line: 2 });
}

fn sites() -> Sites {
    Sites::new(
        SourceTable::standard(),
        [
            Site { domain: "asana.com", brand: 1, own: true },
            Site { domain: "https://www.Trello.com/", brand: 2, own: false },
            Site { domain: "github.com/asana", brand: 1, own: true },
            Site { domain: "not a domain", brand: 3, own: false },
        ],
    )
}

#[test]
fn brand_sites_come_before_the_table() {
    let classify = |url: &str| sites().classify(&normalise(url).unwrap());
    assert_eq!(classify("https://help.asana.com/x"), (SourceKind::OwnSite, Some(1)));
    assert_eq!(classify("https://trello.com"), (SourceKind::CompetitorSite, Some(2)));
    assert_eq!(classify("https://notasana.com"), (SourceKind::Other, None));
    assert_eq!(classify("https://github.com/Asana/node"), (SourceKind::OwnSite, Some(1)));
    assert_eq!(classify("https://github.com/asanarebel"), (SourceKind::ForumSocial, None));
}

#[test]
fn sources_are_collected_once_and_in_order() {
    let offered = |url: &str, kind| OfferedCitation { url: url.into(), title: None, kind };
    let list = collect(
        &[
            offered("https://a.com/?utm_source=openai", CitationKind::Listed),
            offered("not a url", CitationKind::Cited),
            offered("https://asana.com/x", CitationKind::Listed),
            OfferedCitation {
                title: Some("A".into()),
                ..offered("https://a.com/#top", CitationKind::Cited)
            },
        ],
        "Read [this](https://asana.com/x) and https://reddit.com/r/x.",
        &sites(),
    );
    let seen: Vec<_> =
        list.iter().map(|c| (c.position, c.domain.as_str(), c.kind, c.origin, c.source)).collect();
    assert_eq!(
        seen,
        [
            (1, "a.com", CitationKind::Cited, Origin::Provider, SourceKind::Other),
            (2, "asana.com", CitationKind::Cited, Origin::Provider, SourceKind::OwnSite),
            (3, "reddit.com", CitationKind::InlineLink, Origin::Text, SourceKind::ForumSocial),
        ]
    );
    assert_eq!(list[0].title.as_deref(), Some("A"));
    assert_eq!((list[1].brand, list[2].brand), (Some(1), None));
}

fn addresses() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec![
        "a.com",
        "WWW.Google.com",
        "www.bing.com",
        "duckduckgo.com",
        "b.co.uk.",
        "[::1]",
        "10.0.0.1",
        "x.y..z",
        "ü.de",
        "a.com:443",
        "u:p@a.com:81",
    ]);
    let path =
        prop::sample::select(vec!["", "/", "/url", "/ck/a", "/l/", "/a b", "/%2e%2E/x", "//"]);
    let pair = prop_oneof![
        "(utm_[a-z]{1,3}|gclid|q|url|u|uddg|ref)=[a-z0-9%:/.?=&#~+ ]{0,12}",
        Just("url=https%3A%2F%2Fa.com%2F%3Futm_x%3D1%26q%3D2%23f".to_owned()),
        Just("q=http://www.google.com/url?q%3Dhttps://c.com".to_owned()),
    ];
    let query = prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"));
    (host, path, query, "(#[a-z:~=]{0,6})?")
        .prop_map(|(host, path, query, fragment)| format!("https://{host}{path}?{query}{fragment}"))
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(url in prop_oneof![addresses(), any::<String>()]) {
        if let Some(once) = normalise(&url) {
            prop_assert_eq!(normalise(&once.url), Some(once.clone()));
        }
    }

    #[test]
    fn urls_in_any_text_are_slices(text in "([a-z()\\[\\]*_ .,ü日]|https?://){0,20}") {
        for span in urls_in(&text) {
            prop_assert!(text.get(span.range()).is_some_and(|url| url.starts_with("http")));
        }
    }
}
