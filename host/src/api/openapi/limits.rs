//! Limits that hold for everything of a kind that a request says, wherever it says it.
//!
//! They stand in the published schemas, so that what refuses a request is what its author can
//! read. `body` tells them in words.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A text of any kind. PostgreSQL has no place for U+0000.
const TEXT: Look = Look { pattern: r"^[^\u0000]*$", detail: "must not hold U+0000" };

/// A text that may not be empty may not be blank either. U+0085 and U+FEFF are white space to some
/// and not to others.
const VISIBLE: Look = Look {
    pattern: r"^[^\u0000]*[^\u0000\s\u0085\ufeff][^\u0000]*$",
    detail: "must have visible characters, and no U+0000",
};

/// What fields of one name look like everywhere.
const NAMED: [(&str, Look); 7] = [
    (
        "language",
        Look {
            pattern: "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
            detail: "must be a BCP 47 language tag, such as en or pt-BR",
        },
    ),
    (
        "country",
        Look {
            pattern: "^[A-Z]{2}$",
            detail: "must be an ISO 3166-1 alpha-2 code in capitals, such as DK",
        },
    ),
    (
        "email",
        Look {
            pattern: r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^\s\u0000-\u001f\u007f-\u009f]+$",
            detail: "must be a mail address",
        },
    ),
    ("digest", DIGEST),
    ("sha256", DIGEST),
    (
        "public_key",
        Look {
            pattern: "^[0-9A-Fa-f]{64}$",
            detail: "must be an Ed25519 public key: 64 hexadecimal digits",
        },
    ),
    (
        "cursor",
        Look {
            pattern: "^[A-Za-z0-9_-]+$",
            detail: "must be the `next_cursor` of the page before",
        },
    ),
];

/// Fields whose names parameters have that filter by them.
const FILTERS: [&str; 2] = ["language", "country"];

const DIGEST: Look =
    Look { pattern: "^[0-9A-Fa-f]{64}$", detail: "a digest is 64 hexadecimal digits" };

/// Lists of tags, whose items are names.
const TAGS: [&str; 3] = ["tags", "add_tags", "remove_tags"];
const LONGEST_TAG: u64 = 50;

/// 2^53 − 1: beyond it, readers of JSON that know only doubles see another number.
const LARGEST: i64 = 9_007_199_254_740_991;

#[derive(Clone, Copy)]
struct Look {
    pattern: &'static str,
    detail: &'static str,
}

/// What a text that does not look like `pattern` is told.
pub(in crate::api) fn detail_of(pattern: &str) -> Option<&'static str> {
    let named = NAMED.iter().map(|(_, look)| look);
    named.chain([&TEXT, &VISIBLE]).find(|look| look.pattern == pattern).map(|look| look.detail)
}

/// Writes the limits into the schemas called `bodies`, which request bodies are made of, and into
/// those of parameters.
pub(super) fn add(document: &mut Value, bodies: &BTreeSet<String>) {
    for name in bodies {
        let schema = document["components"]["schemas"].get_mut(name);
        let properties = schema.and_then(|schema| schema.get_mut("properties")?.as_object_mut());
        for (field, schema) in properties.into_iter().flatten() {
            limit(field, schema);
        }
    }
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let parameters = operations.filter_map(|o| o.get_mut("parameters")?.as_array_mut());
    for parameter in parameters.flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        // A filter may name what cannot be: nothing fits it.
        let looks = if FILTERS.contains(&name.as_str()) { "" } else { name.as_str() };
        if parameter["in"] != "header" {
            limit(looks, &mut parameter["schema"]);
        }
    }
}

fn limit(name: &str, schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let is = |kind: &str| match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        one => one == kind,
    };
    if !schema.contains_key("type") {
        return;
    }
    if is("integer") && schema.get("format").is_some_and(|format| format == "int64") {
        schema.entry("maximum").or_insert(LARGEST.into());
        schema.entry("minimum").or_insert((-LARGEST).into());
    } else if is("array") {
        if TAGS.contains(&name) {
            schema["items"]["minLength"] = json!(1);
            schema["items"]["maxLength"] = json!(LONGEST_TAG);
        }
        limit("", &mut schema["items"]);
    } else if is("string") {
        let told =
            ["pattern", "format", "enum"].iter().any(|keyword| schema.contains_key(*keyword));
        if !told {
            let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, look)| *look);
            let may_be_empty = schema.get("minLength").is_none_or(|least| *least == 0);
            let look = named.unwrap_or(if may_be_empty { TEXT } else { VISIBLE });
            schema.insert("pattern".into(), look.pattern.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(name: &str, mut schema: Value) -> Value {
        limit(name, &mut schema);
        schema
    }

    #[test]
    fn every_text_and_number_gets_its_limit() {
        let text = limited("note", json!({"type": ["string", "null"]}));
        assert_eq!(text["pattern"], TEXT.pattern);
        let name = limited("name", json!({"type": "string", "minLength": 1}));
        assert_eq!(name["pattern"], VISIBLE.pattern);
        let tags = limited("tags", json!({"type": "array", "items": {"type": "string"}}));
        assert_eq!(tags["items"]["pattern"], VISIBLE.pattern);
        let id = limited("id", json!({"type": "string", "format": "uuid"}));
        assert_eq!(id.get("pattern"), None);
        let count = limited("count", json!({"type": "integer", "format": "int64", "minimum": 0}));
        assert_eq!((&count["minimum"], &count["maximum"]), (&json!(0), &json!(LARGEST)));
    }

    #[test]
    fn blank_is_what_anybody_calls_blank() {
        let visible = jsonschema::validator_for(&json!({"pattern": VISIBLE.pattern})).unwrap();
        for blank in ["", " ", "\u{85}", "\u{feff}", "\u{2003}\n", "\0", "a\0"] {
            assert!(!visible.is_valid(&json!(blank)), "{blank:?}");
        }
        for text in ["a", " a ", "line\nline", "\u{1f}"] {
            assert!(visible.is_valid(&json!(text)), "{text:?}");
        }
    }
}
