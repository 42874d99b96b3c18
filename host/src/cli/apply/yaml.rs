//! YAML in, with the line of each value; YAML out, as a person would write it.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value};
use std::{collections::HashMap, fmt::Write};

/// A document and the line of each of its values, by JSON pointer.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) lines: HashMap<String, usize>,
}

/// Reads the one document of `text`; what is wrong says where.
pub(super) fn read(text: &str) -> Result<Document, String> {
    let mut documents = MarkedYaml::load_from_str(text).map_err(|error| error.to_string())?;
    let document = match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => document,
        (None, _) => return Err("the file is empty".into()),
        (Some(_), false) => return Err("the file has several documents: keep one".into()),
    };
    let mut lines = HashMap::new();
    let value = convert(&document, "", &mut lines)?;
    Ok(Document { value, lines })
}

fn convert(
    node: &MarkedYaml<'_>,
    pointer: &str,
    lines: &mut HashMap<String, usize>,
) -> Result<Value, String> {
    let line = node.span.start.line();
    lines.insert(pointer.to_owned(), line);
    let odd = |what: &str| Err(format!("line {line}: {what}"));
    match &node.data {
        YamlData::Value(scalar) => Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => (*value).into(),
            Scalar::Integer(value) => (*value).into(),
            Scalar::FloatingPoint(value) => value.0.into(),
            Scalar::String(text) => Value::String(text.to_string()),
        }),
        YamlData::Sequence(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| convert(item, &format!("{pointer}/{index}"), lines))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array)
        }
        YamlData::Mapping(fields) => {
            let mut map = Map::new();
            for (key, value) in fields {
                let YamlData::Value(Scalar::String(name)) = &key.data else {
                    return odd("the names of fields are texts");
                };
                let pointer = format!("{pointer}/{}", escape(name));
                let value = convert(value, &pointer, lines)?;
                // The line of a field is that of its name.
                lines.insert(pointer, key.span.start.line());
                map.insert(name.to_string(), value);
            }
            Ok(Value::Object(map))
        }
        YamlData::Tagged(..) => odd("tags are not understood here"),
        YamlData::Representation(..) | YamlData::Alias(_) | YamlData::BadValue => {
            odd("this value cannot be read")
        }
    }
}

/// A name as a step of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Writes a document in block style.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0, false);
    out
}

/// `inline` says that the cursor stands behind a `- `.
fn block(out: &mut String, value: &Value, depth: usize, inline: bool) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| rank(name));
            for (index, (name, value)) in fields.into_iter().enumerate() {
                if !(inline && index == 0) {
                    out.extend(std::iter::repeat_n("  ", depth));
                }
                // Writing to a string cannot fail.
                let _ = write!(out, "{}:", scalar(&name.as_str().into()));
                nested(out, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.extend(std::iter::repeat_n("  ", depth));
                out.push('-');
                if is_block(item) && item.is_object() {
                    out.push(' ');
                    block(out, item, depth + 1, true);
                } else {
                    nested(out, item, depth);
                }
            }
        }
        other => {
            let _ = writeln!(out, "{}", scalar(other));
        }
    }
}

/// What a person looks for comes first; all else by name.
fn rank(name: &str) -> usize {
    const FIRST: [&str; 11] = [
        "version",
        "brands",
        "prompts",
        "engines",
        "schedules",
        "alert_rules",
        "key",
        "name",
        "text",
        "kind",
        "metric",
    ];
    FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len())
}

fn nested(out: &mut String, value: &Value, depth: usize) {
    if is_block(value) {
        out.push('\n');
        block(out, value, depth + 1, false);
    } else {
        let _ = writeln!(out, " {}", scalar(value));
    }
}

fn is_block(value: &Value) -> bool {
    value.as_object().is_some_and(|map| !map.is_empty())
        || value.as_array().is_some_and(|list| !list.is_empty())
}

/// A text stands bare where nothing else could be read in it; else it is a JSON string, which YAML
/// reads too.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_alphanumeric() || " ._-/?".contains(c))
        && !text.ends_with(' ')
        && matches!(read_scalar(text), Some(Value::String(same)) if same == *text);
    if plain { text.clone() } else { value.to_string() }
}

/// How a bare text would be read.
fn read_scalar(text: &str) -> Option<Value> {
    read(text).ok().map(|document| document.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "version": 1,
            "texts": [
                "plain", "What is best?", "true", "null", "1.5", "- x", "a: b", "#", "", " a", "ä b",
                "say \"hi\"\n", "no", "~", "2026-01-01", "a #b", "x:", "yes",
            ],
            "nested": [{"a": [1, {"b": null}], "c": {}}, {"d": []}, [[1, 2], ["x"]]],
            "odd name: ": true,
            "share": 0.25,
        });
        let text = write(&value);
        assert_eq!(read(&text).unwrap().value, value, "{text}");
        assert!(text.contains("- What is best?\n"), "{text}");
    }

    #[test]
    fn values_know_their_lines() {
        let text = "version: 1\nbrands:\n  - name: Acme\n    aliases:\n      - text: ACME\n";
        let document = read(text).unwrap();
        for (pointer, line) in [
            ("/version", 1),
            ("/brands", 2),
            ("/brands/0", 3),
            ("/brands/0/name", 3),
            ("/brands/0/aliases", 4),
            ("/brands/0/aliases/0/text", 5),
        ] {
            assert_eq!(document.lines[pointer], line, "{pointer}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, part) in [
            ("a: [1\nb: 2", "line"),
            ("", "empty"),
            ("a: 1\n---\nb: 2\n", "several"),
            ("1: x\n", "line 1"),
            ("a: 1\na: 2\n", "line"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
