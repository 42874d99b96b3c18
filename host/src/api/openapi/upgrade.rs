//! From what poem-openapi emits (3.0, with flaws) to a sound OpenAPI 3.1 document.

use super::{examples, limits};
use crate::api::access;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Failures that any operation can answer with, and those that some can.
const PROBLEMS: [(&str, &str, &str); 13] = [
    ("400", "BadRequest", "The request cannot be understood."),
    ("401", "Unauthenticated", "No credential, or one that is not valid."),
    ("402", "OverBudget", "The budget does not allow it."),
    ("403", "Forbidden", "The caller may not do this."),
    ("404", "NotFound", "There is none in this workspace."),
    ("405", "MethodNotAllowed", "The path does not answer this method."),
    ("409", "Conflict", "It exists already, or its state does not allow this."),
    ("412", "Changed", "`If-Match` names another version than the current one."),
    ("413", "TooLarge", "The request body is too large."),
    ("415", "UnsupportedMediaType", "The request body is not plain JSON."),
    ("422", "Invalid", "The request body breaks rules; `errors` lists each with its pointer."),
    ("429", "TooManyRequests", "Too many requests; `Retry-After` says when to try again."),
    ("503", "Unavailable", "Something that is needed is away; try again."),
];

/// Operations on what may not exist, although no path names it.
const NAMELESS: [&str; 5] = [
    "accept_invitation",
    "cancel_deletion_request",
    "create_erasure",
    "find_deletion_request",
    "preview_brand",
];

pub(super) fn upgrade(mut document: Value) -> Value {
    document["openapi"] = "3.1.1".into();
    modernise(&mut document);
    responses(&mut document);
    operations(&mut document);
    let bodies = strict_bodies(&mut document);
    limits::add(&mut document, &bodies);
    examples::add(&mut document);
    document
}

/// Rewrites what 3.1 says differently. Below `properties` the keys are names and not keywords.
fn modernise(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(modernise),
        Value::Object(map) => {
            keywords(map);
            for (key, value) in map.iter_mut() {
                match key.as_str() {
                    "properties" | "schemas" | "securitySchemes" => {
                        value
                            .as_object_mut()
                            .into_iter()
                            .flat_map(Map::values_mut)
                            .for_each(modernise);
                    }
                    "default" | "enum" | "example" | "examples" => {}
                    _ => modernise(value),
                }
            }
        }
        _ => {}
    }
}

fn keywords(map: &mut Map<String, Value>) {
    if map.remove("nullable") == Some(Value::Bool(true))
        && let Some(kind) = map.get("type").filter(|kind| kind.is_string()).cloned()
    {
        map.insert("type".into(), json!([kind, "null"]));
        // A list of values has to hold null as well.
        if let Some(Value::Array(values)) = map.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    for (exclusive, limit) in [("exclusiveMaximum", "maximum"), ("exclusiveMinimum", "minimum")] {
        if let Some(Value::Bool(is)) = map.get(exclusive).cloned() {
            map.remove(exclusive);
            if is && let Some(number) = map.remove(limit) {
                map.insert(exclusive.into(), number);
            }
        }
    }
    formats(map);
    if map.contains_key("type")
        && let Some(example) = map.remove("example")
    {
        map.insert("examples".into(), json!([example]));
    }
    // A reference with a description came out as a union of both.
    if let Some(Value::Array(parts)) = map.get("allOf")
        && let [reference, rest] = parts.as_slice()
        && let Some(target) = reference.get("$ref").cloned()
    {
        let nullable = rest.get("nullable") == Some(&Value::Bool(true));
        map.remove("allOf");
        if nullable {
            map.insert("anyOf".into(), json!([{"$ref": target}, {"type": "null"}]));
        } else {
            map.insert("$ref".into(), target);
        }
    }
    if let Some(Value::Object(content)) = map.get_mut("content")
        && let Some(json) = content.remove("application/json; charset=utf-8")
    {
        content.insert("application/json".into(), json);
    }
    if map.get("deprecated") == Some(&Value::Bool(false)) {
        map.remove("deprecated");
    }
    if map.get("explode") == Some(&Value::Bool(true)) {
        map.remove("explode");
    }
}

/// `uint32` and its like are no formats that anybody knows, and limits come out as floats.
fn formats(map: &mut Map<String, Value>) {
    let signed = match map.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "int8" | "int16") => "int32",
        Some("uint32" | "uint64") => "int64",
        Some("naive-date") => {
            map.insert("format".into(), "date".into());
            return;
        }
        Some(known) => return integer_limits(map, known == "int32" || known == "int64"),
        None => return,
    };
    if map["format"].as_str().is_some_and(|format| format.starts_with('u')) {
        map.entry("minimum").or_insert(json!(0));
    }
    map.insert("format".into(), signed.into());
    integer_limits(map, true);
}

fn integer_limits(map: &mut Map<String, Value>, is_integer: bool) {
    for limit in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
        if is_integer && let Some(number) = map.get(limit).and_then(Value::as_f64) {
            #[expect(clippy::cast_possible_truncation, reason = "limits are small whole numbers")]
            map.insert(limit.into(), json!(number as i64));
        }
    }
}

/// One response for each way to fail; operations refer to them.
fn responses(document: &mut Value) {
    let header =
        |description: &str| json!({"description": description, "schema": {"type": "string"}});
    for (status, name, description) in PROBLEMS {
        let mut response = json!({
            "description": description,
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
            "headers": {"X-Request-Id": header("Names the request in our log.")},
        });
        let extra = match status {
            "401" => Some(("WWW-Authenticate", "How to authenticate.")),
            "405" => Some(("Allow", "The methods that the path answers.")),
            "429" | "503" => Some(("Retry-After", "Seconds to wait before the next try.")),
            _ => None,
        };
        if let Some((name, description)) = extra {
            response["headers"][name] = header(description);
        }
        document["components"]["responses"][name] = response;
    }
    document["components"]["responses"]["Internal"] = json!({
        "description": "Something went wrong on our side.",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    });
}

fn operations(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = paths
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.iter_mut())
        .map(|(method, operation)| (method.clone(), operation));
    for (method, operation) in operations {
        let has = |place: &str, name: Option<&str>| {
            operation["parameters"].as_array().into_iter().flatten().any(|parameter| {
                parameter["in"] == place && name.is_none_or(|name| parameter["name"] == name)
            })
        };
        let mut possible = vec!["400", "401", "403", "405", "429", "503"];
        if has("path", None) {
            possible.push("404");
        }
        if has("header", Some("If-Match")) {
            possible.push("412");
        }
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if has("query", Some("brand")) || NAMELESS.contains(&id.as_str()) {
            possible.push("404");
        }
        if method == "delete" || id.starts_with("download_") {
            possible.push("409");
        }
        if matches!(method.as_str(), "post" | "put" | "patch") {
            possible.extend(["409", "413", "415", "422"]);
        }
        if ["create_batch", "test_engine"].contains(&id.as_str()) {
            possible.push("402");
        }
        if has("header", Some("If-None-Match")) {
            operation["responses"]["304"] =
                json!({"description": "The caller has the current version already."});
        }
        if let Some(responses) = operation["responses"].as_object_mut() {
            responses.remove("default");
        }
        for (status, name, _) in PROBLEMS {
            if possible.contains(&status) {
                operation["responses"][status] =
                    json!({"$ref": format!("#/components/responses/{name}")});
            }
        }
        operation["responses"]["500"] = json!({"$ref": "#/components/responses/Internal"});
        if let Some(rule) = access::rule_of(&id) {
            let (role, scope) = (access::name(rule.role), rule.scope.as_str());
            operation["x-required-role"] = role.into();
            operation["x-required-scope"] = scope.into();
            let description = operation["description"].as_str().unwrap_or_default().trim();
            let break_ = if description.is_empty() { "" } else { "\n\n" };
            let needs =
                format!("{description}{break_}Needs the role `{role}` and the scope `{scope}`.");
            operation["description"] = needs.into();
        }
        describe_successes(operation);
    }
}

/// A plain JSON answer has no doc-comment to take a description from.
fn describe_successes(operation: &mut Value) {
    let responses = operation["responses"].as_object_mut().into_iter().flatten();
    for (_, response) in responses {
        if response["description"] == "" {
            response["description"] = "What was asked for.".into();
        }
    }
}

/// A request body with a field that nobody reads is a mistake worth telling. Gives back the names
/// of the schemas that request bodies are made of.
fn strict_bodies(document: &mut Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let bodies: Vec<Value> = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .filter_map(Value::as_object)
        .flat_map(Map::values)
        .map(|operation| operation["requestBody"].clone())
        .collect();
    for body in &bodies {
        references(document, body, &mut names);
    }
    for name in &names {
        let schema = &mut document["components"]["schemas"][name];
        if schema["type"] == "object" && schema.get("properties").is_some() {
            schema["additionalProperties"] = Value::Bool(false);
        }
    }
    names
}

/// The names of all schemas that `value` leads to.
fn references(document: &Value, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| references(document, value, names)),
        Value::Object(map) => {
            let target = map.get("$ref").and_then(Value::as_str);
            if let Some(name) = target.and_then(|t| t.strip_prefix("#/components/schemas/"))
                && names.insert(name.to_owned())
            {
                references(document, &document["components"]["schemas"][name], names);
            }
            map.values().for_each(|value| references(document, value, names));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_the_older_version_are_rewritten() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "nullable": {"type": "string", "nullable": true, "enum": ["a"]},
                "share": {"type": "number", "maximum": 1.0, "exclusiveMaximum": true},
                "count": {"type": "integer", "format": "uint32", "maximum": 20.0},
                "kind": {"allOf": [{"$ref": "#/x"}, {"description": "d"}], "description": "d"},
                "gone": {"allOf": [{"$ref": "#/x"}, {"nullable": true}]},
            },
        });
        modernise(&mut schema);
        let expected = json!({
            "type": "object",
            "properties": {
                "nullable": {"type": ["string", "null"], "enum": ["a", null]},
                "share": {"type": "number", "exclusiveMaximum": 1.0},
                "count": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 20},
                "kind": {"$ref": "#/x", "description": "d"},
                "gone": {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
            },
        });
        assert_eq!(schema, expected);
    }
}
