//! From Google's blocks to Markdown.
//!
//! The set of block types is open, and fields have been seen missing, empty and of other types:
//! whatever holds text is shown, whatever does not is passed over with a warning.

use aiv_sdk::json::{Json, items_at, str_at};
use aiv_sdk::markdown;

/// The text, and what points out of it.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    /// Numbers of the references that the text points at.
    pub(crate) cited: Vec<u64>,
    /// Links in the text, as (text, address).
    pub(crate) links: Vec<(String, String)>,
    pub(crate) warnings: Vec<String>,
}

/// Renders the blocks, one blank line apart.
pub(crate) fn render(blocks: &[Json]) -> Rendered {
    let mut parts = Vec::new();
    let mut rendered = Rendered::default();
    for block in blocks {
        push_block(block, &mut parts, &mut rendered.warnings);
        collect(block, &mut rendered);
    }
    parts.retain(|part| !part.is_empty());
    rendered.text = parts.join("\n\n");
    rendered
}

/// A whole number, also when it comes as text.
pub(crate) fn index(json: &Json) -> Option<u64> {
    json.as_u64().or_else(|| json.as_str()?.trim().parse().ok())
}

fn push_block(block: &Json, parts: &mut Vec<String>, warnings: &mut Vec<String>) {
    let kind = str_at(block, "/type").unwrap_or("untyped");
    match kind {
        "paragraph" => parts.push(snippet(block)),
        "heading" => parts.push(with_prefix("## ", snippet(block))),
        "list" => {
            parts.push(snippet(block));
            parts.push(list(items_at(block, "/list")));
        }
        "expandable" => {
            parts.push(with_prefix("### ", field(block, "title")));
            parts.push(field(block, "subtitle"));
            parts.push(snippet(block));
            parts.push(list(items_at(block, "/list")));
        }
        "table" => {
            parts.push(snippet(block));
            parts.push(table(block));
        }
        "comparison" => {
            parts.push(snippet(block));
            parts.push(comparison(block));
        }
        "top_stories" | "video" => {
            warnings.push(format!("skipped-block:{kind}"));
            return;
        }
        _ => {
            warnings.push(format!("unknown-block:{kind}"));
            parts.push(if block.is_string() { plain(block) } else { snippet(block) });
            parts.push(list(items_at(block, "/list")));
        }
    }
    for child in items_at(block, "/text_blocks") {
        push_block(child, parts, warnings);
    }
}

fn with_prefix(prefix: &str, text: String) -> String {
    if text.is_empty() { text } else { format!("{prefix}{text}") }
}

/// The text of a block. A map instead of a string is a list of titled snippets.
fn snippet(block: &Json) -> String {
    match block.get("snippet") {
        Some(map @ Json::Object(_)) => titled(map, 0).join("\n"),
        Some(text) => plain(text),
        None => String::new(),
    }
}

fn field(block: &Json, name: &str) -> String {
    block.get(name).map(plain).unwrap_or_default()
}

/// A scalar as text, or the text inside of an object or an array.
fn plain(json: &Json) -> String {
    match json {
        Json::String(text) => text.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        Json::Bool(flag) => flag.to_string(),
        Json::Array(items) => {
            let texts: Vec<String> = items.iter().map(plain).filter(|t| !t.is_empty()).collect();
            texts.join(" ")
        }
        Json::Object(map) => {
            let text = ["text", "snippet", "title", "value"].iter().find_map(|key| map.get(*key));
            text.map(plain).unwrap_or_default()
        }
        Json::Null => String::new(),
    }
}

fn list(items: &[Json]) -> String {
    let mut lines = Vec::new();
    for item in items {
        push_item(item, 0, &mut lines);
    }
    lines.join("\n")
}

fn push_item(item: &Json, indent: usize, lines: &mut Vec<String>) {
    let bullet = |text: String| format!("{}- {text}", " ".repeat(indent));
    if !item.is_object() {
        lines.extend(Some(plain(item)).filter(|text| !text.is_empty()).map(bullet));
        return;
    }
    let map = item.get("snippet").filter(|snippet| snippet.is_object());
    let text = match map {
        Some(_) => String::new(),
        None => snippet(item),
    };
    let line = joined(&field(item, "title"), &text);
    // Without a line of its own an item only groups others.
    let inner = if line.is_empty() { indent } else { indent + 2 };
    lines.extend(Some(line).filter(|line| !line.is_empty()).map(bullet));
    for map in map.into_iter().chain(item.get("snippets")) {
        lines.extend(titled(map, inner));
    }
    for child in items_at(item, "/list") {
        push_item(child, inner, lines);
    }
}

/// The entries of a map from title to snippet, or of an array, as bullets.
fn titled(entries: &Json, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    match entries {
        Json::Object(map) => {
            for (title, text) in map {
                let line = joined(title.trim(), &plain(text));
                lines.push(format!("{}- {line}", " ".repeat(indent)));
            }
        }
        Json::Array(items) => items.iter().for_each(|item| push_item(item, indent, &mut lines)),
        other => push_item(other, indent, &mut lines),
    }
    lines
}

/// Title and snippet in a line, with a colon between them unless the title brings one.
fn joined(title: &str, text: &str) -> String {
    match (title.is_empty(), text.is_empty()) {
        (true, _) => text.to_owned(),
        (false, true) => title.to_owned(),
        _ if title.ends_with([':', '：']) => format!("{title} {text}"),
        _ => format!("{title}: {text}"),
    }
}

/// The same table comes in up to three forms; the plainest is enough.
fn table(block: &Json) -> String {
    let cells = |row: &Json| row.as_array().map(|row| row.iter().map(plain).collect::<Vec<_>>());
    for form in ["/table", "/detailed"] {
        let rows: Vec<Vec<String>> = items_at(block, form).iter().filter_map(cells).collect();
        if let Some((head, rows)) = rows.split_first() {
            return markdown::table(head, rows);
        }
    }
    let records: Vec<_> =
        items_at(block, "/formatted").iter().filter_map(Json::as_object).collect();
    let Some(first) = records.first() else { return String::new() };
    let head: Vec<String> = first.keys().cloned().collect();
    let row = |record: &&serde_json::Map<String, Json>| {
        head.iter().map(|key| record.get(key).map(plain).unwrap_or_default()).collect()
    };
    markdown::table(&head, &records.iter().map(row).collect::<Vec<_>>())
}

fn comparison(block: &Json) -> String {
    let labels = items_at(block, "/product_labels").iter().map(plain);
    let head: Vec<String> = std::iter::once(String::new()).chain(labels).collect();
    let row = |feature: &Json| {
        let values = items_at(feature, "/values").iter().map(plain);
        std::iter::once(field(feature, "feature")).chain(values).collect()
    };
    let rows: Vec<Vec<String>> = items_at(block, "/comparison").iter().map(row).collect();
    if rows.is_empty() { String::new() } else { markdown::table(&head, &rows) }
}

/// Gathers references and links at every depth, in the order of the text.
fn collect(json: &Json, rendered: &mut Rendered) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| collect(item, rendered)),
        Json::Object(map) => {
            for (key, value) in map {
                match key.as_str() {
                    "reference_indexes" => {
                        rendered
                            .cited
                            .extend(value.as_array().into_iter().flatten().filter_map(index));
                    }
                    "snippet_links" => {
                        let links = value.as_array().into_iter().flatten();
                        rendered.links.extend(links.filter_map(|link| {
                            let text = str_at(link, "/text").unwrap_or_default();
                            Some((text.to_owned(), str_at(link, "/link")?.to_owned()))
                        }));
                    }
                    _ => collect(value, rendered),
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

    fn text(blocks: &Json) -> String {
        render(blocks.as_array().unwrap()).text
    }

    #[test]
    fn empty_blocks_leave_no_gap() {
        let blocks = json!([
            {"type": "paragraph"},
            {"type": "heading", "snippet": "Top picks"},
            {"type": "paragraph", "snippet": null},
            {"type": "list", "list": []},
            {"type": "paragraph", "snippet": "End."},
        ]);
        assert_eq!(text(&blocks), "## Top picks\n\nEnd.");
    }

    #[test]
    fn lists_nest_and_titles_get_a_colon() {
        let blocks = json!([{"type": "list", "list": [
            {"title": "Acme", "snippet": "free"},
            {"title": "Zenith:", "snippet": "fast", "list": [
                {"snippet": "EU", "list": [{"snippet": "Berlin"}]},
            ]},
            {"title": "Alone"},
            "plain",
            {"list": [{"snippet": "lifted"}]},
            {"snippet": {"One": "a", "Two:": "b"}},
        ]}]);
        assert_eq!(
            text(&blocks),
            "- Acme: free\n- Zenith: fast\n  - EU\n    - Berlin\n- Alone\n- plain\n- lifted\n\
             - One: a\n- Two: b"
        );
    }

    #[test]
    fn unknown_blocks_show_what_text_they_have() {
        let rendered = render(
            json!([
                {"type": "hologram", "snippet": "Look."},
                {"snippet": "No type."},
                {"type": "video", "snippet": "never shown"},
                7,
            ])
            .as_array()
            .unwrap(),
        );
        assert_eq!(rendered.text, "Look.\n\nNo type.");
        assert_eq!(rendered.warnings.len(), 4);
    }

    #[test]
    fn a_table_may_come_in_another_form() {
        let detailed = json!([{"type": "table", "detailed": [[{"text": "A"}], [{"text": "x|y"}]]}]);
        assert_eq!(text(&detailed), "| A |\n| --- |\n| x\\|y |");
        let formatted = json!([{"type": "table", "formatted": [{"a": 1, "b": null}, {"b": true}]}]);
        assert_eq!(text(&formatted), "| a | b |\n| --- | --- |\n| 1 |  |\n|  | true |");
    }

    #[test]
    fn references_and_links_are_found_at_every_depth() {
        let rendered = render(
            json!([{"type": "expandable", "title": "More", "text_blocks": [
                {"type": "list", "list": [{"snippet": "a", "reference_indexes": [3, "4", -1],
                    "snippet_links": [{"text": "A", "link": "https://a.example/"}, {"text": "B"}]}]},
            ]}])
            .as_array()
            .unwrap(),
        );
        assert_eq!(rendered.cited, [3, 4]);
        assert_eq!(rendered.links, [("A".to_owned(), "https://a.example/".to_owned())]);
    }
}
