//! A case made of a call that took place: what was asked, what came back, how it ended.
//!
//! **Invariant:** there is no credential in a case. Exchanges have none, and `<key>` stands in its
//! place; of the headers that came back, those about the account, the session and the way are left
//! out.

use super::{case::SEED, observed};
use crate::providers::{CallEnd, Exchange, ExchangeResult};
use aiv_runtime::types::{Body, Manifest, Outcome, Query, TransportError};
use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use url::Url;

/// Headers that say how a response came, and nothing about the answer.
const OF_THE_WAY: [&str; 26] = [
    "age",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "date",
    "etag",
    "expect-ct",
    "expires",
    "keep-alive",
    "last-modified",
    "nel",
    "permissions-policy",
    "pragma",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "server",
    "server-timing",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "via",
    "x-powered-by",
];
const FAMILIES_OF_THE_WAY: [&str; 13] = [
    "access-control-",
    "cf-",
    "cross-origin-",
    "sec-",
    "x-amz",
    "x-cache",
    "x-cdn",
    "x-content-type",
    "x-envoy-",
    "x-frame",
    "x-served-by",
    "x-timer",
    "x-xss",
];
/// Headers with such a word in their name say who asked.
const OF_THE_ACCOUNT: [&str; 7] =
    ["account", "api-key", "cookie", "organization", "project", "session", "user"];

/// A call's question, and the component that asked it.
pub struct Asked<'a> {
    pub manifest: &'a Manifest,
    pub query: &'a Query,
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
}

/// A case as files.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `case.json`.
    pub case: Value,
    /// The bodies of the responses, by the names that the case has for them.
    pub bodies: BTreeMap<String, Body>,
}

impl Recording {
    /// A case called `id` of a call and what came of it.
    pub fn new(id: &str, asked: &Asked<'_>, exchanges: &[Exchange], expect: &Value) -> Self {
        let Asked { manifest, query, at, digest } = asked;
        let mut bodies = BTreeMap::new();
        let mut steps = Vec::new();
        // What the host itself refuses is never sent, so nobody answers it.
        let sent = exchanges.iter().filter(|exchange| !is_refused(exchange));
        for (exchange, number) in sent.zip(1..) {
            steps.push(step(number, exchange, manifest, &mut bodies));
        }
        let mut config: Value = serde_json::from_str(&query.config).unwrap_or(Value::Null);
        if !config.is_object() {
            config = json!({});
        }
        #[expect(clippy::cast_precision_loss, reason = "microseconds of our time fit 53 bits")]
        let now = at.timestamp_micros() as f64 / 1e6;
        config["now_epoch_s"] = json!(now);
        let Query { prompt, surface, model, seed, .. } = query;
        let mut case = json!({
            "id": id,
            "provider": manifest.key,
            "surface": surface,
            "prompt": prompt,
            "origin": { "kind": "recorded", "at": at, "component": digest },
            "config": config,
            "steps": steps,
            "expect": expect,
        });
        if let Some(model) = model {
            case["model"] = json!(model);
        }
        if *seed != SEED {
            case["seed"] = json!(seed);
        }
        let place = [
            ("language", &query.language),
            ("country", &query.country),
            ("location", &query.location),
            ("device", &query.device),
        ];
        let place: Map<_, _> = place
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))))
            .collect();
        if !place.is_empty() {
            case["location"] = Value::Object(place);
        }
        Self { case, bodies }
    }

    /// What a case expects of a call that ended so.
    pub fn expectation(end: &CallEnd, exchanges: &[Exchange]) -> Value {
        let mut expect = observed::document(end);
        if let CallEnd::Done(outcome) = end {
            expect["warnings"] = json!(outcome.meta().warnings);
        }
        if !is_answered(exchanges)
            && let Some(error) = expect["error"].as_object_mut()
        {
            // Why there is no response is told in other words where there is a recording.
            error.remove("message");
        }
        expect
    }

    /// What a case expects of a call of which this is stored.
    pub fn stored_expectation(
        outcome: Option<Outcome>,
        kind: Option<&str>,
        message: Option<&str>,
        exchanges: &[Exchange],
    ) -> Value {
        if let Some(outcome) = outcome {
            return Self::expectation(&CallEnd::Done(outcome), exchanges);
        }
        let mut error = Map::new();
        if let Some(kind) = kind {
            error.insert("kind".into(), json!(kind));
        }
        if let Some(message) = message.filter(|_| is_answered(exchanges)) {
            error.insert("message".into(), json!(message));
        }
        json!({ "outcome": "error", "error": error })
    }

    /// Writes it into a folder that must not be there yet.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let shown = folder.display();
        ensure!(!folder.exists(), "{shown} is there already: choose another name");
        fs::create_dir_all(folder).with_context(|| format!("create {shown}"))?;
        let mut case = serde_json::to_string_pretty(&self.case).context("write a case")?;
        case.push('\n');
        let mut files = vec![("case.json", case.as_bytes())];
        files.extend(self.bodies.iter().map(|(name, body)| (name.as_str(), bytes(body))));
        for (name, content) in files {
            let path = folder.join(name);
            fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

fn bytes(body: &Body) -> &[u8] {
    match body {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
    }
}

fn is_refused(exchange: &Exchange) -> bool {
    matches!(
        exchange.result,
        ExchangeResult::TransportError { error: TransportError::RefusedByPolicy, .. }
    )
}

/// Whether the last request got a response.
fn is_answered(exchanges: &[Exchange]) -> bool {
    exchanges.last().is_some_and(|exchange| exchange.status().is_some())
}

fn step(
    number: usize,
    exchange: &Exchange,
    manifest: &Manifest,
    bodies: &mut BTreeMap<String, Body>,
) -> Value {
    let Exchange { method, url, request_headers, result, .. } = exchange;
    let mut request = json!({ "method": method.to_ascii_uppercase() });
    if let Ok(url) = Url::parse(url) {
        request["path"] = json!(url.path());
        let pairs = url.query_pairs().map(|(name, value)| (name.into_owned(), value));
        request["query"] =
            first_of_each(pairs.map(|(name, value)| (name, value.into_owned())), manifest);
    }
    request["headers"] = first_of_each(request_headers.iter().cloned(), manifest);
    match result {
        ExchangeResult::TransportError { error, .. } => {
            json!({ "request": request, "transport": error })
        }
        ExchangeResult::Response { status, headers, body, .. } => {
            let kept: Vec<_> = headers.iter().filter(|(name, _)| is_kept(name)).collect();
            let kind = kept.iter().find(|(name, _)| name == "content-type");
            let name = format!("resp-{number}.{}", extension(kind.map(|(_, kind)| kind), body));
            let headers: Map<_, _> =
                kept.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            bodies.insert(name.clone(), body.clone());
            let response = json!({ "status": status, "headers": headers, "body": name });
            json!({ "request": request, "response": response })
        }
    }
}

/// Pairs as an object: a case compares the first one of each name.
fn first_of_each(pairs: impl Iterator<Item = (String, String)>, manifest: &Manifest) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        object.entry(name).or_insert_with(|| json!(with_key(&value, manifest)));
    }
    Value::Object(object)
}

/// A value of a request as a case has it: an exchange has a credential's name where it was put in,
/// at the end of the value.
fn with_key(value: &str, manifest: &Manifest) -> String {
    let before = manifest.credentials.iter().find_map(|credential| {
        value.strip_suffix(']')?.strip_suffix(&credential.name)?.strip_suffix('[')
    });
    before.map_or_else(|| value.to_owned(), |before| format!("{before}<key>"))
}

fn is_kept(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !OF_THE_WAY.contains(&name.as_str())
        && !FAMILIES_OF_THE_WAY.iter().any(|family| name.starts_with(family))
        && !OF_THE_ACCOUNT.iter().any(|word| name.contains(word))
}

fn extension(kind: Option<&String>, body: &Body) -> &'static str {
    let kind = kind.map(|kind| kind.to_ascii_lowercase()).unwrap_or_default();
    let known = [("json", "json"), ("event-stream", "sse"), ("html", "html")];
    let known = known.into_iter().find(|(part, _)| kind.contains(part));
    match (known, body) {
        (Some((_, extension)), _) => extension,
        (None, Body::Text(text)) if text.trim_start().starts_with('{') => "json",
        (None, Body::Text(_)) => "txt",
        (None, Body::Binary(_)) => "bin",
    }
}
