//! The document as YAML, for tools that want it so.

use serde_json::Value;
use std::fmt::Write;

/// Writes `value` as YAML in block style. Texts are JSON strings, which YAML 1.2 reads as they are.
pub(in crate::api) fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out.push('\n');
    out
}

fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                line(out, depth);
                // Writing to a string cannot fail.
                let _ = write!(out, "{}:", Value::from(key.as_str()));
                nested(out, value, depth + 1);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                line(out, depth);
                out.push('-');
                nested(out, value, depth + 1);
            }
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}

fn nested(out: &mut String, value: &Value, depth: usize) {
    let is_block = value.as_object().is_some_and(|map| !map.is_empty())
        || value.as_array().is_some_and(|list| !list.is_empty());
    if !is_block {
        out.push(' ');
    }
    block(out, value, depth);
}

fn line(out: &mut String, depth: usize) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_nest_and_texts_are_quoted() {
        let value = json!({"a": [1, {"b": "x: \"y\"\nz"}], "c": {}, "d": [], "e": null});
        let text = "\"a\":\n  - 1\n  -\n    \"b\": \"x: \\\"y\\\"\\nz\"\n\"c\": {}\n\"d\": []\n\
                    \"e\": null\n";
        assert_eq!(to_yaml(&value), text);
    }
}
