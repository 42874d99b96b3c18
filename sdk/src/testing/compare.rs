//! What a case expects against what a provider did.

use super::Ending;
use crate::json::{Json, str_at};
use crate::{Absence, Citation, Cost, Failure, HttpRequest, Meta, Value};
use serde::Serialize;
use serde_json::json;

/// The expected request is a part of the real one; without one any will do.
pub(super) fn request(expected: &Json, actual: &HttpRequest) -> Vec<String> {
    let mut differences = Vec::new();
    if expected.is_null() {
        return differences;
    }
    let method = kebab(actual.method).as_str().unwrap_or_default().to_ascii_uppercase();
    differs(&mut differences, "method", &expected["method"], &json!(method));
    let after_scheme = actual.url.split_once("://").map_or("", |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
    differs(&mut differences, "path", &expected["path"], &json!(path));
    for (part, pairs) in [("query", &actual.query), ("headers", &actual.headers)] {
        for (name, wanted) in expected[part].as_object().into_iter().flatten() {
            let found = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let found = found.map(|(_, value)| shown(value));
            differs(&mut differences, &format!("{part} {name}"), wanted, &json!(found));
        }
    }
    differences
}

/// A credential shows as `<key>`.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Secret(_) => "<key>".to_owned(),
        Value::PrefixedSecret((prefix, _)) => format!("{prefix}<key>"),
    }
}

/// Everything that the case mentions, except warnings and what the host adds.
pub(super) fn ending(expected: &Json, actual: &Ending) -> Vec<String> {
    let mut differences = Vec::new();
    let actual = match actual {
        Ending::Answered(answer) => {
            let mut seen = meta(&answer.meta);
            seen["outcome"] = json!("answer");
            seen["text"] = json!(answer.text);
            seen["citations"] = answer.citations.iter().map(citation).collect();
            seen
        }
        Ending::Absent(absent) => {
            let mut seen = meta(&absent.meta);
            seen["outcome"] = json!("no-answer");
            seen["reason"] = json!(reason(absent.reason));
            seen
        }
        Ending::Failed(failure) => json!({"outcome": "error", "error": error(failure)}),
        Ending::Pending(state) => {
            let token = str_at(expected, "/token").filter(|token| state.contains(token));
            json!({"outcome": "pending", "token": token})
        }
        Ending::Unanswered => json!({"outcome": "another request"}),
    };
    for (key, wanted) in expected.as_object().into_iter().flatten() {
        if key == "warnings" {
            continue;
        }
        let mut wanted = wanted.clone();
        for citation in wanted.as_array_mut().into_iter().flatten() {
            if let Some(citation) = citation.as_object_mut() {
                citation.remove("domain");
            }
        }
        if let Some(error) = wanted.as_object_mut() {
            error.remove("retryable");
        }
        let seen = mentioned(&wanted, &actual[key]);
        differs(&mut differences, key, &wanted, &seen);
    }
    differences
}

/// The part of what was seen that a case says something of.
fn mentioned(wanted: &Json, seen: &Json) -> Json {
    match (wanted, seen) {
        (Json::Object(wanted), Json::Object(seen)) => wanted
            .iter()
            .filter_map(|(key, wanted)| Some((key.clone(), mentioned(wanted, seen.get(key)?))))
            .collect(),
        (Json::Array(wanted), Json::Array(seen)) if wanted.len() == seen.len() => {
            wanted.iter().zip(seen).map(|(wanted, seen)| mentioned(wanted, seen)).collect()
        }
        _ => seen.clone(),
    }
}

fn differs(differences: &mut Vec<String>, what: &str, wanted: &Json, actual: &Json) {
    if wanted != actual {
        differences.push(format!("{what} is {actual}, not {wanted}"));
    }
}

fn meta(meta: &Meta) -> Json {
    let usage = meta.usage.as_ref().map(|usage| {
        let sum = usage.input_tokens.zip(usage.output_tokens).map(|(input, output)| input + output);
        let reported = meta.extra.iter().find(|(key, _)| key == "total-tokens");
        let total = reported.and_then(|(_, total)| total.parse().ok()).or(sum);
        json!({
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": total,
            "cached_input_tokens": usage.cached_input_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "searches": usage.searches,
        })
    });
    let cost = |cost: &Cost| json!({"micro_usd": cost.micro_usd, "basis": kebab(cost.basis)});
    json!({
        "model": meta.served_model,
        "request_id": meta.request_id,
        "usage": usage,
        "cost": meta.cost.as_ref().map(cost),
        "finish": kebab(meta.finish),
        "queries": meta.queries,
        "retrieval": kebab(meta.retrieval),
    })
}

fn citation(citation: &Citation) -> Json {
    json!({
        "position": citation.position,
        "url": citation.url,
        "title": citation.title,
        "kind": kebab(citation.kind),
        "markers": citation.markers,
        "published": citation.published,
    })
}

fn error(failure: &Failure) -> Json {
    json!({
        "kind": kebab(failure.kind),
        "retry_after_ms": failure.retry_after_ms,
        "http_status": failure.http_status,
        "provider_code": failure.provider_code,
        "spent_micro_usd": failure.spent.as_ref().map_or(0, |cost| cost.micro_usd),
        "message": failure.message,
    })
}

fn reason(reason: Absence) -> Json {
    kebab(reason)
}

/// The name of an enum's case as the WIT spells it.
fn kebab(case: impl Serialize) -> Json {
    let name = serde_json::to_value(case).unwrap_or_default();
    let mut kebab = String::new();
    for sign in name.as_str().unwrap_or_default().chars() {
        if sign.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(sign.to_ascii_lowercase());
    }
    json!(kebab)
}
