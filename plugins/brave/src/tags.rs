//! The tags in the text of an answer: `<name>` and JSON and `</name>`.
//!
//! What only looks like a tag stays: names alone mean nothing without JSON behind them. A tag of
//! the future is taken out with a warning.

use aiv_sdk::json::{Json, items_at, str_at, strings_at};
use aiv_sdk::{CitationKind, Citations, Source};

/// List items and answers hold text with tags of their own, but not for ever.
const MAX_DEPTH: u8 = 4;

/// The text without its tags, and what they said.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    text: String,
    /// What a research came to, which is then the whole text.
    answer: Option<String>,
    cited: Vec<Json>,
    listed: Vec<(String, Option<String>)>,
    pub(crate) queries: Vec<String>,
    /// The last of several: they add up as they come.
    pub(crate) usage: Option<Json>,
    pub(crate) warnings: Vec<String>,
}

impl Resolved {
    /// Resolves the content of a whole answer.
    pub(crate) fn new(content: &str) -> Self {
        let mut resolved = Self::default();
        resolved.feed(content, 0);
        resolved
    }

    /// The text, trimmed.
    pub(crate) fn text(&self) -> &str {
        self.answer.as_deref().unwrap_or(&self.text).trim()
    }

    /// What is cited in the order of the text, then what is only listed.
    pub(crate) fn citations(&self) -> Citations {
        let mut citations = Citations::new();
        for source in &self.cited {
            let source = Source {
                title: str_at(source, "/title"),
                snippet: str_at(source, "/snippet"),
                markers: number(source).into_iter().collect(),
                ..Source::at(str_at(source, "/url").unwrap_or_default())
            };
            citations.add(CitationKind::Cited, source);
        }
        for (url, title) in &self.listed {
            let title = title.as_deref();
            citations.add(CitationKind::Listed, Source { title, ..Source::at(url) });
        }
        citations.add_links(self.text());
        citations
    }

    fn feed(&mut self, content: &str, depth: u8) {
        let mut rest = content;
        while let Some(at) = rest.find('<') {
            self.text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(tag) = Tag::parse(rest).filter(|_| depth < MAX_DEPTH) {
                self.apply(&tag, depth);
                rest = &rest[tag.length..];
            } else {
                self.text.push('<');
                rest = &rest[1..];
            }
        }
        self.text.push_str(rest);
    }

    fn apply(&mut self, tag: &Tag<'_>, depth: u8) {
        let Some(json) = &tag.json else {
            self.warnings.push(format!("unreadable-tag:{}", tag.name));
            return;
        };
        match tag.name {
            "citation" => {
                self.text.extend(number(json).map(|number| format!("[{number}]")));
                self.cited.push(json.clone());
            }
            "enum_item" => self.item(json, depth),
            "usage" => self.usage = Some(json.clone()),
            "queries" => {
                let found = ["", "/queries"].iter().flat_map(|path| strings_at(json, path));
                self.queries.extend(found);
            }
            "thinking" => self.selected(json),
            "answer" => {
                let text = json.as_str().or_else(|| str_at(json, "/answer")).unwrap_or_default();
                let outer = std::mem::take(&mut self.text);
                self.feed(text, depth + 1);
                let answer = std::mem::replace(&mut self.text, outer);
                self.cited.extend_from_slice(items_at(json, "/citations"));
                if !answer.trim().is_empty() || self.answer.is_none() {
                    self.answer = Some(answer);
                }
            }
            "enum_start" | "enum_end" | "analyzing" | "progress" | "blindspots" => {}
            unknown => {
                self.warnings.push(format!("unknown-tag:{unknown}"));
                let text = str_at(json, "/original_tokens").unwrap_or_default();
                self.feed(text, depth + 1);
            }
        }
    }

    /// An item shows the tokens it was made from; its page is a source, cited or not.
    fn item(&mut self, json: &Json, depth: u8) {
        let text = str_at(json, "/original_tokens").or_else(|| str_at(json, "/name"));
        self.feed(text.unwrap_or_default(), depth + 1);
        self.cited.extend_from_slice(items_at(json, "/citations"));
        if let Some(url) = str_at(json, "/href") {
            self.listed.push((url.to_owned(), str_at(json, "/name").map(str::to_owned)));
        }
    }

    fn selected(&mut self, json: &Json) {
        for page in items_at(json, "/urls_selected") {
            if let Some(url) = page.as_str().or_else(|| str_at(page, "/url")) {
                self.listed.push((url.to_owned(), str_at(page, "/title").map(str::to_owned)));
            }
        }
    }
}

/// The number of a citation, as its marker shows it.
fn number(citation: &Json) -> Option<String> {
    match citation.get("number")? {
        Json::Number(number) => Some(number.to_string()),
        Json::String(number) if !number.is_empty() => Some(number.clone()),
        _ => None,
    }
}

/// One tag with its content.
struct Tag<'a> {
    name: &'a str,
    json: Option<Json>,
    /// From `<` to the last `>`.
    length: usize,
}

impl<'a> Tag<'a> {
    /// Reads the tag at the beginning of `text`, if that is one.
    fn parse(text: &'a str) -> Option<Self> {
        let name = text[1..].split('>').next()?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        let open = name.len() + 2;
        let inner = text.get(open..)?;
        if !inner.trim_start().starts_with(['{', '[', '"']) {
            return None;
        }
        let close = format!("</{name}>");
        // Strings in the JSON may hold anything, even the closing tag.
        let mut values = serde_json::Deserializer::from_str(inner).into_iter::<Json>();
        if let Some(Ok(json)) = values.next() {
            let end = values.byte_offset();
            let gap = inner[end..].len() - inner[end..].trim_start().len();
            if inner[end + gap..].starts_with(&close) {
                return Some(Self {
                    name,
                    json: Some(json),
                    length: open + end + gap + close.len(),
                });
            }
        }
        // Broken JSON: known tags go all the same, up to their end or that of the text.
        let end = inner.find(&close);
        let length = end.map_or(text.len(), |end| open + end + close.len());
        KNOWN.contains(&name).then_some(Self { name, json: None, length })
    }
}

const KNOWN: [&str; 11] = [
    "citation",
    "enum_start",
    "enum_item",
    "enum_end",
    "usage",
    "queries",
    "analyzing",
    "thinking",
    "progress",
    "blindspots",
    "answer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_like_a_tag_stays() {
        for text in
            ["a < b", "<div>{x}</div>", "<citation> is a tag", "<answer>", "x <", "<usage>é"]
        {
            assert_eq!(Resolved::new(text).text(), text);
        }
    }

    #[test]
    fn a_closing_tag_in_a_string_does_not_close() {
        let tag = r#"A<citation>{"number": 2, "url": "https://a.example/", "snippet": "</citation>"}</citation>."#;
        let resolved = Resolved::new(tag);
        assert_eq!(resolved.text(), "A[2].");
        assert_eq!(resolved.citations().into_list()[0].markers, ["2"]);
    }

    #[test]
    fn broken_and_unknown_tags_leave_a_warning() {
        let resolved = Resolved::new(
            r#"a<citation>{"number": }</citation>b<hint>{"original_tokens": "c"}</hint><usage>{"X"#,
        );
        assert_eq!(resolved.text(), "abc");
        assert_eq!(
            resolved.warnings,
            ["unreadable-tag:citation", "unknown-tag:hint", "unreadable-tag:usage"]
        );
    }

    #[test]
    fn of_research_only_the_answer_is_text() {
        let resolved = Resolved::new(
            r#"<queries>["a", "b"]</queries>noise<thinking>{"urls_selected": ["https://a.example/",
            {"url": "https://b.example/", "title": "B"}]}</thinking><usage>{"n": 1}</usage>
            <answer>{"answer": "Done<citation>{\"number\": 1, \"url\": \"https://b.example/\"}</citation>"}</answer>
            <usage>{"n": 2}</usage>"#,
        );
        assert_eq!(resolved.text(), "Done[1]");
        assert_eq!(resolved.queries, ["a", "b"]);
        assert_eq!(resolved.usage, Some(serde_json::json!({"n": 2})));
        let list = resolved.citations().into_list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].kind, list[0].title.as_deref()), (CitationKind::Cited, Some("B")));
        assert_eq!(list[1].kind, CitationKind::Listed);
    }

    #[test]
    fn tags_do_not_nest_without_end() {
        let mut text = "x".to_owned();
        for _ in 0..8 {
            text = format!("<answer>{}</answer>", serde_json::json!({"answer": text}));
        }
        assert!(Resolved::new(&text).text().starts_with("<answer>"));
    }
}
