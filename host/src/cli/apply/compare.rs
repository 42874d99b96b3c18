//! Whether a declared value and the one that is there are the same, by the published schema.

use serde_json::{Map, Value};

/// Whether `declared` asks for nothing that `present` is not. Both are values of `schema`: what
/// they leave out counts as its default.
pub(super) fn same(document: &Value, schema: &Value, declared: &Value, present: &Value) -> bool {
    let schema = resolve(document, schema);
    match (declared, present) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| same(document, &schema["items"], a, b))
        }
        (Value::Object(a), Value::Object(b)) => match schema["properties"].as_object() {
            Some(properties) => properties.iter().all(|(name, schema)| {
                let (a, b) = (field(document, schema, a, name), field(document, schema, b, name));
                same(document, schema, &a, &b)
            }),
            None => a == b,
        },
        (a, b) => a == b,
    }
}

/// A field, its default, or null.
fn field(document: &Value, schema: &Value, map: &Map<String, Value>, name: &str) -> Value {
    if let Some(value) = map.get(name) {
        return value.clone();
    }
    let own = &schema["default"];
    if own.is_null() { resolve(document, schema)["default"].clone() } else { own.clone() }
}

/// Follows references.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    match target.and_then(|pointer| document.pointer(pointer)) {
        Some(found) => resolve(document, found),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_counts_as_its_default() {
        let document = crate::api::openapi();
        let schema = &document["components"]["schemas"]["NewBrand"];
        let there = json!({
            "id": "x",
            "name": "Acme",
            "kind": "own",
            "aliases": [{"text": "ACME", "require_capital": false, "must_have_near": [],
                         "forbidden_before": [], "forbidden_after": []}],
            "domains": [],
        });
        let same = |declared: Value| same(&document, schema, &declared, &there);
        assert!(same(json!({"name": "Acme", "kind": "own", "aliases": [{"text": "ACME"}]})));
        let aliases = json!([{"text": "ACME", "require_capital": true}]);
        assert!(!same(json!({"name": "Acme", "kind": "own", "aliases": aliases})));
        assert!(!same(json!({"name": "Acme", "kind": "own"})));
    }
}
