//! What a step may contain: its size, and where a request may go.
//!
//! **Invariant:** a step that leaves this crate asks for nothing the manifest did not announce.
//! The operator's grant may be narrower; whoever sends the request checks that too. Where the
//! manifest announces a host that only the operator knows, it alone says which one.

use url::Url;

use crate::limits::StepLimits;
use crate::types::{Answer, Body, HttpRequest, Manifest, Meta, Outcome, Step, Value};

/// Checks a step against the limits and against the plugin's own manifest. The error says which
/// rule was broken.
pub fn check_step(
    step: &Step,
    manifest: &Manifest,
    limits: &StepLimits,
    allow_http: bool,
) -> Result<(), String> {
    match step {
        Step::Fetch { state, request } => {
            at_most("state", state.len(), limits.state_bytes, "bytes")?;
            check_request(request, manifest, limits, allow_http)
        }
        Step::Pause { state, delay_ms } => {
            at_most("state", state.len(), limits.state_bytes, "bytes")?;
            let longest = usize::try_from(limits.pause.as_millis()).unwrap_or(usize::MAX);
            at_most("pause", *delay_ms as usize, longest, "ms")
        }
        Step::Done(Outcome::Answered(answer)) => check_answer(answer, limits),
        Step::Done(Outcome::Absent(absent)) => {
            check_meta(&absent.meta, limits)?;
            at_most("meta", meta_bytes(&absent.meta), limits.other_bytes, "bytes")
        }
        Step::Failed(failure) => {
            let bytes = failure.message.len() + text(failure.provider_code.as_ref());
            at_most("failure", bytes, limits.pairs_bytes, "bytes")
        }
    }
}

/// Checks one request: https, an announced host, announced credentials on their own hosts. With a
/// host setting, any other host is left to the grant.
pub fn check_request(
    request: &HttpRequest,
    manifest: &Manifest,
    limits: &StepLimits,
    allow_http: bool,
) -> Result<(), String> {
    at_most("url", request.url.len(), limits.url_bytes, "bytes")?;
    let (url, host) = read_url(&request.url)?;
    let announced = manifest.allowed_hosts.contains(&host);
    let is_own = manifest.host_setting().is_some()
        && (!announced || url.scheme() != "https" || url.port().is_some());
    if !is_own {
        check_public(&url, allow_http)?;
        if !announced {
            return Err(format!("{host} is not in the manifest's allowed-hosts"));
        }
    }
    at_most("query", request.query.len(), limits.pairs, "parameters")?;
    at_most("headers", request.headers.len(), limits.pairs, "headers")?;
    let body = request.body.as_ref().map_or(0, Body::len);
    at_most("body", body, limits.request_body_bytes, "bytes")?;
    let mut bytes = 0;
    for (name, value) in request.query.iter().chain(&request.headers) {
        bytes += name.len() + value.text_len();
        if let Some(secret) = value.secret() {
            check_secret(secret, (!is_own).then_some(&host), manifest)?;
        }
    }
    if let Some((name, _)) = request.headers.iter().find(|(name, value)| !is_plain(name, value)) {
        return Err(format!("the header {name:?} holds a control character"));
    }
    at_most("query and headers", bytes, limits.pairs_bytes, "bytes")
}

fn read_url(text: &str) -> Result<(Url, String), String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL has user info: credentials are named, not written".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL has a query or fragment: parameters go into `query`".to_owned());
    }
    let host = url.host_str().map(str::to_owned).ok_or_else(|| format!("{text:?} has no host"))?;
    Ok((url, host))
}

fn check_public(url: &Url, allow_http: bool) -> Result<(), String> {
    if url.scheme() != "https" && !(allow_http && url.scheme() == "http") {
        return Err(format!("the URL's scheme is {:?}: only https is allowed", url.scheme()));
    }
    if url.port().is_some() && !allow_http {
        return Err("the URL names a port: only the default port is allowed".to_owned());
    }
    Ok(())
}

/// Neither a line break, which would begin another header, nor any other control character.
fn is_plain(name: &str, value: &Value) -> bool {
    let texts = match value {
        Value::Text(text) | Value::PrefixedSecret(text, _) => [name, text.as_str()],
        Value::Secret(_) => [name, ""],
    };
    texts.iter().all(|text| !text.contains(|c: char| c.is_ascii_control() && c != '\t'))
}

/// `host` is nobody's when the grant says where a credential may go.
fn check_secret(name: &str, host: Option<&String>, manifest: &Manifest) -> Result<(), String> {
    let Some(request) = manifest.credentials.iter().find(|request| request.name == name) else {
        return Err(format!("the credential {name:?} is not in the manifest"));
    };
    match host {
        Some(host) if !request.hosts.contains(host) => {
            Err(format!("the credential {name:?} is not for {host}"))
        }
        _ => Ok(()),
    }
}

fn check_answer(answer: &Answer, limits: &StepLimits) -> Result<(), String> {
    at_most("text", answer.text.len(), limits.text_bytes, "bytes")?;
    at_most("citations", answer.citations.len(), limits.citations, "items")?;
    at_most("related questions", answer.related_questions.len(), limits.list, "items")?;
    check_meta(&answer.meta, limits)?;
    let citations = answer.citations.iter().map(|citation| {
        let optional = [&citation.title, &citation.snippet, &citation.published];
        let optional: usize = optional.into_iter().map(|field| text(field.as_ref())).sum();
        citation.url.len() + optional + texts(&citation.markers)
    });
    let bytes = citations.sum::<usize>() + texts(&answer.related_questions);
    at_most("answer", bytes + meta_bytes(&answer.meta), limits.other_bytes, "bytes")?;
    match answer.citations.iter().find(|citation| citation.markers.len() > limits.list) {
        Some(citation) => Err(format!("citation {} has too many markers", citation.position)),
        None => Ok(()),
    }
}

fn check_meta(meta: &Meta, limits: &StepLimits) -> Result<(), String> {
    at_most("queries", meta.queries.len(), limits.list, "items")?;
    at_most("warnings", meta.warnings.len(), limits.list, "items")?;
    at_most("extra", meta.extra.len(), limits.list, "items")
}

fn meta_bytes(meta: &Meta) -> usize {
    let Meta { surface, requested_model, served_model, request_id, location_used, .. } = meta;
    let optional = [requested_model, served_model, request_id, location_used];
    surface.len()
        + optional.into_iter().map(|field| text(field.as_ref())).sum::<usize>()
        + texts(&meta.queries)
        + texts(&meta.warnings)
        + meta.extra.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
}

fn at_most(what: &str, size: usize, limit: usize, unit: &str) -> Result<(), String> {
    if size <= limit {
        return Ok(());
    }
    Err(format!("{what} has {size} {unit}, at most {limit} are allowed"))
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn texts(texts: &[String]) -> usize {
    texts.iter().map(String::len).sum()
}
