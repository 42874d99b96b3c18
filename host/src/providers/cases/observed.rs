//! How a call ended, in the words of `case.json`.

use crate::providers::{call::CallEnd, failure::CallFailure, retry};
use aiv_runtime::types::{Citation, Meta, Outcome, Usage};
use serde_json::{Value, json};

/// The whole end of a call as a document that `expect` can be held against.
pub(super) fn document(end: &CallEnd) -> Value {
    match end {
        CallEnd::Done(Outcome::Answered(answer)) => {
            let mut document = meta(&answer.meta);
            document["outcome"] = json!("answer");
            document["text"] = json!(answer.text);
            document["citations"] = answer.citations.iter().map(citation).collect();
            document
        }
        CallEnd::Done(Outcome::Absent(absent)) => {
            let mut document = meta(&absent.meta);
            document["outcome"] = json!("no-answer");
            document["reason"] = json!(absent.reason);
            document
        }
        CallEnd::Failed(failure) => json!({ "outcome": "error", "error": error(failure) }),
        CallEnd::Paused { .. } => json!({ "outcome": "pending" }),
    }
}

/// What the component skipped, when there was an outcome.
pub(super) fn warnings(end: &CallEnd) -> Option<Value> {
    match end {
        CallEnd::Done(outcome) => Some(json!(outcome.meta().warnings)),
        CallEnd::Failed(_) | CallEnd::Paused { .. } => None,
    }
}

fn meta(meta: &Meta) -> Value {
    json!({
        "model": meta.served_model,
        "request_id": meta.request_id,
        "usage": meta.usage.map(|counts| usage(counts, total_tokens(meta))),
        "cost": meta.cost,
        "finish": meta.finish,
        "queries": meta.queries,
        "retrieval": meta.retrieval,
    })
}

fn usage(usage: Usage, total: Option<u64>) -> Value {
    let sum = usage.input_tokens.zip(usage.output_tokens).map(|(i, o)| u64::from(i) + u64::from(o));
    let mut document = json!(usage);
    document["total_tokens"] = json!(total.or(sum));
    document
}

/// The vendor's own total, where it is not the sum.
fn total_tokens(meta: &Meta) -> Option<u64> {
    meta.extra.iter().find(|(name, _)| name == "total-tokens")?.1.parse().ok()
}

fn citation(citation: &Citation) -> Value {
    json!({
        "position": citation.position,
        "url": citation.url,
        "domain": domain(&citation.url),
        "title": citation.title,
        "kind": citation.kind,
        "markers": citation.markers,
        "published": citation.published,
    })
}

/// The host of a URL as it is written, in lower case and without one leading `www.`.
fn domain(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    // A port follows the last colon, unless that belongs to an address in brackets.
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => host,
    };
    let host = host.to_lowercase();
    Some(host.strip_prefix("www.").unwrap_or(&host).to_owned())
}

fn error(failure: &CallFailure) -> Value {
    json!({
        "kind": failure.kind,
        "retryable": retry::is_retryable(failure.kind),
        "retry_after_ms": failure.retry_after_ms,
        "http_status": failure.http_status,
        "provider_code": failure.provider_code,
        "spent_micro_usd": failure.spent.map_or(0, |cost| cost.micro_usd),
        "message": failure.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_vendors_own_where_it_says_one() {
        let counts = Usage { input_tokens: Some(1), output_tokens: Some(2), ..Usage::default() };
        let of = |extra: &[(&str, &str)]| {
            let about = json!({
                "surface": "a", "finish": "stop", "retrieval": "unknown", "queries": [],
                "usage": counts, "warnings": [], "extra": extra,
            });
            let about: Meta = serde_json::from_value(about).unwrap();
            meta(&about)["usage"]["total_tokens"].clone()
        };
        assert_eq!(of(&[]), 3);
        assert_eq!(of(&[("page", "https://a.example"), ("total-tokens", "9")]), 9);
    }

    #[test]
    fn a_domain_is_the_host_as_it_is_written() {
        for (url, expected) in [
            ("https://WWW.Example.com/a?b#c", "example.com"),
            ("https://www.www.example.com", "www.example.com"),
            ("http://user:pass@example.com:8080/", "example.com"),
            ("https://bücher.example/x", "bücher.example"),
            ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ] {
            assert_eq!(domain(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(domain("no url"), None);
    }
}
