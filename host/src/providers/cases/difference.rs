//! What is different, for a person who has to find out why.

use serde_json::Value;
use std::fmt;

/// Characters shown around the first place where two texts part.
const CONTEXT: usize = 40;

/// One field that is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    field: String,
    expected: String,
    got: String,
}

impl Difference {
    pub(super) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), expected: expected.into(), got: got.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.field, self.expected, self.got)
    }
}

/// Every field of `expected` that `got` has otherwise. Further fields of `got` do not matter.
pub(super) fn between(expected: &Value, got: &Value) -> Vec<Difference> {
    // Without the same outcome every other field would differ too, and say nothing new.
    if expected["outcome"] != got["outcome"] {
        let mut seen = got["outcome"].to_string();
        if let Some(message) = got["error"]["message"].as_str() {
            seen = format!("{seen} ({}: {message})", got["error"]["kind"]);
        }
        return vec![Difference::new("outcome", expected["outcome"].to_string(), seen)];
    }
    let mut differences = Vec::new();
    compare("", expected, got, &mut differences);
    differences
}

fn compare(field: &str, expected: &Value, got: &Value, differences: &mut Vec<Difference>) {
    // The wording of warnings is advice.
    if field == "warnings" {
        return;
    }
    let child = |name: &str| {
        if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
    };
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (name, value) in expected {
                let seen = got.get(name).unwrap_or(&Value::Null);
                compare(&child(name), value, seen, differences);
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            for (i, (value, seen)) in expected.iter().zip(got).enumerate() {
                compare(&format!("{field}[{i}]"), value, seen, differences);
            }
            if expected.len() != got.len() {
                let surplus = expected.iter().chain(got).nth(expected.len().min(got.len()));
                differences.push(Difference::new(
                    format!("{field}.length"),
                    expected.len().to_string(),
                    format!(
                        "{} (first difference: {})",
                        got.len(),
                        surplus.unwrap_or(&Value::Null)
                    ),
                ));
            }
        }
        (Value::String(expected), Value::String(got)) if expected != got => {
            let is_link = matches!(field.rsplit('.').next(), Some("url" | "domain"));
            if !(is_link && is_same_host(expected, got)) {
                differences.push(texts(field, expected, got));
            }
        }
        (expected, got) if expected != got => {
            differences.push(Difference::new(field, expected.to_string(), got.to_string()));
        }
        _ => {}
    }
}

/// Whether two links differ only in how they spell an international host name.
fn is_same_host(expected: &str, got: &str) -> bool {
    let ascii = |link: &str| {
        let (scheme, rest) = link.split_once("://").unwrap_or(("", link));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let host = url::Host::parse(host.strip_prefix("www.").unwrap_or(host)).ok()?;
        Some((scheme.to_owned(), host.to_string(), path.to_owned()))
    };
    let is_international = !expected.is_ascii() || !got.is_ascii();
    is_international && ascii(expected).is_some_and(|expected| Some(expected) == ascii(got))
}

/// Long texts are shown from shortly before the first byte that differs.
fn texts(field: &str, expected: &str, got: &str) -> Difference {
    let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
    if expected.chars().count().max(got.chars().count()) <= 2 * CONTEXT {
        return Difference::new(field, format!("{expected:?}"), format!("{got:?}"));
    }
    let part = |text: &str| {
        let start = same.saturating_sub(CONTEXT);
        let shown: String = text.chars().skip(start).take(2 * CONTEXT).collect();
        format!("…{shown:?}…")
    };
    Difference::new(format!("{field} at character {same}"), part(expected), part(got))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_expected_counts() {
        let expected =
            json!({ "outcome": "answer", "a": 1, "b": [{ "c": null }], "warnings": [1] });
        let got = json!({ "outcome": "answer", "a": 1, "b": [{ "d": 2 }], "more": true });
        assert_eq!(between(&expected, &got), []);
    }

    #[test]
    fn a_difference_says_where_it_is() {
        let expected = json!({ "outcome": "answer", "b": [1, 2], "c": "x".repeat(100) });
        let text = format!("{}y{}", "x".repeat(60), "x".repeat(39));
        let got = json!({ "outcome": "answer", "b": [1], "c": text });
        let shown: Vec<_> = between(&expected, &got).iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2);
        assert!(shown[0].starts_with("b.length: expected 2, got 1"), "{shown:?}");
        assert!(shown[1].starts_with("c at character 60: expected …\"xxxx"), "{shown:?}");
    }

    #[test]
    fn an_international_host_has_two_spellings() {
        let link = |url: &str| json!({ "outcome": "answer", "c": [{ "url": url }] });
        let expected = link("https://bücher.example/ä");
        assert_eq!(between(&expected, &link("https://xn--bcher-kva.example/ä")), []);
        assert_eq!(between(&expected, &link("https://xn--bcher-kva.example/a")).len(), 1);
        assert_eq!(between(&link("https://a.example"), &link("https://A.example")).len(), 1);
    }

    #[test]
    fn another_outcome_hides_the_rest() {
        let got = json!({ "outcome": "error", "error": { "kind": "auth", "message": "no key" } });
        let shown = between(&json!({ "outcome": "answer", "text": "x" }), &got);
        assert_eq!(
            shown[0].to_string(),
            "outcome: expected \"answer\", got \"error\" (\"auth\": no key)"
        );
        assert_eq!(shown.len(), 1);
    }
}
