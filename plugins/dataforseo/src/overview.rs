//! An overview: its text and its sources.

use aiv_sdk::json::{Json, items_at, str_at};
use aiv_sdk::{CitationKind, Citations, Source, markdown};

/// The text in Markdown: the whole one, or that of the elements.
pub(crate) fn text(overview: &Json) -> String {
    let own = |json: &Json| {
        let text = str_at(json, "/markdown").or_else(|| str_at(json, "/text"));
        text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    own(overview).unwrap_or_else(|| {
        let elements = items_at(overview, "/items").iter();
        let texts = elements.filter_map(|element| {
            let title = str_at(element, "/title").map(|title| format!("## {}", title.trim()));
            let inner = own(element).or_else(|| {
                let parts: Vec<_> = items_at(element, "/items").iter().filter_map(own).collect();
                (!parts.is_empty()).then(|| parts.join("\n\n"))
            });
            let parts: Vec<String> = [title, inner].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join("\n\n"))
        });
        texts.collect::<Vec<_>>().join("\n\n")
    })
}

/// The list beside the text first, in its order, then what only an element names. What an element
/// names, or a number in the text points at, is cited.
pub(crate) fn citations(overview: &Json, text: &str) -> Citations {
    let mut citations = Citations::new();
    let add = |citations: &mut Citations, kind, reference: &Json| {
        let source = Source {
            title: str_at(reference, "/title"),
            snippet: str_at(reference, "/text"),
            published: str_at(reference, "/date"),
            ..Source::at(str_at(reference, "/url").unwrap_or_default())
        };
        citations.add(kind, source);
    };
    for reference in items_at(overview, "/references") {
        add(&mut citations, CitationKind::Listed, reference);
    }
    let mut nested = Vec::new();
    for element in items_at(overview, "/items") {
        collect(element, &mut nested);
    }
    for reference in nested {
        add(&mut citations, CitationKind::Cited, reference);
    }
    for (label, url) in markdown::links(text) {
        let number = label.trim_matches(['[', ']']);
        let is_marker = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_marker && citations.position(url).is_some() {
            let markers = vec![number.to_owned()];
            citations.add(CitationKind::Cited, Source { markers, ..Source::at(url) });
        }
    }
    citations.add_links(text);
    citations
}

/// The references at every depth: elements have components with references of their own.
fn collect<'a>(json: &'a Json, references: &mut Vec<&'a Json>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Json::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("references", Json::Array(found)) => references.extend(found),
                    _ => collect(value, references),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_stand_in_for_a_missing_text() {
        let overview = json!({"markdown": null, "items": [
            {"type": "ai_overview_element", "title": "Steps", "text": "Spin the wheel."},
            {"type": "ai_overview_expanded_element", "items": [{"text": "a"}, {"text": " "}, {"markdown": "b"}]},
            {"type": "ai_overview_video_element", "url": "https://v.example/"},
        ]});
        assert_eq!(text(&overview), "## Steps\n\nSpin the wheel.\n\na\n\nb");
        assert_eq!(text(&json!({"items": null})), "");
    }

    #[test]
    fn references_are_found_at_every_depth() {
        let overview = json!({
            "references": [{"url": "https://a.example/"}, {"url": "https://b.example/"}],
            "items": [{"components": [{"references": [{"url": "https://c.example/"}, {"url": "https://a.example/#x"}]}]}],
        });
        let list = citations(&overview, "x [[2]](https://b.example/)").into_list();
        let seen: Vec<_> = list.iter().map(|c| (c.url.as_str(), c.kind, c.markers.len())).collect();
        let cited = CitationKind::Cited;
        assert_eq!(
            seen,
            [
                ("https://a.example/", cited, 0),
                ("https://b.example/", cited, 1),
                ("https://c.example/", cited, 0),
            ]
        );
    }
}
