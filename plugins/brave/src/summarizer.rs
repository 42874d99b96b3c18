//! The older summarizer: a search that tells a key, then the summary of that key.

use aiv_sdk::json::{Json, items_at, str_at, strings_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, ErrorKind, Event, Failure, HttpResponse, Meta, Next,
    NoAnswer, Outcome, Retrieval, Source, Usage,
};

use crate::config::Config;
use crate::{State, Surface, failures, request};

/// Looks at a summary in the making before it counts as timed out.
pub(crate) const MAX_POLLS: u32 = 15;
const POLL_DELAY_MS: u32 = 1_000;

/// The step after an event. The search is paid for even if the summary then fails.
pub(crate) fn next(state: State, event: Event) -> Result<Next<State>, Failure> {
    let config: Config = state.query.config()?;
    let spent = state.summary_key.is_some().then(|| config.search_price());
    step(state, event, &config).map_err(|failure| failure.spent(spent))
}

fn step(state: State, event: Event, config: &Config) -> Result<Next<State>, Failure> {
    let response = event.into_response()?;
    if !response.is_success() {
        return Err(failures::refused(&response));
    }
    let body = response.json()?;
    if let Some(failure) = failures::inside(&response, &body) {
        return Err(failure);
    }
    match state.summary_key {
        None => found(state, &response, &body, config),
        Some(_) => summarised(state, &response, &body, config),
    }
}

/// No key means that Brave shows no summary for this query.
fn found(
    mut state: State,
    response: &HttpResponse,
    body: &Json,
    config: &Config,
) -> Result<Next<State>, Failure> {
    if let Some(key) = str_at(body, "/summarizer/key") {
        let request = request::summary(key);
        state.summary_key = Some(key.to_owned());
        return Ok(Next::Fetch(state, request));
    }
    if !["type", "query", "web", "mixed"].iter().any(|key| body.get(key).is_some()) {
        return Err(Failure::malformed(response, "body is not a search result"));
    }
    let meta = meta(&state, config);
    Ok(Next::Done(Outcome::Absent(NoAnswer { reason: Absence::NotTriggered, meta })))
}

fn summarised(
    mut state: State,
    response: &HttpResponse,
    body: &Json,
    config: &Config,
) -> Result<Next<State>, Failure> {
    match str_at(body, "/status") {
        Some("complete" | "completed") => {}
        Some("failed") => {
            let failure = Failure::new(ErrorKind::UpstreamUnavailable, "the summary failed");
            return Err(failure.at(response).code(Some("failed")));
        }
        None if body.get("summary").is_some_and(Json::is_array) => {}
        None if !body.is_object() => {
            return Err(Failure::malformed(response, "body is not a summary"));
        }
        _ => {
            state.polls += 1;
            if state.polls > MAX_POLLS {
                let failure = Failure::new(ErrorKind::Timeout, "the summary did not get ready");
                return Err(failure.at(response));
            }
            return Ok(Next::Pause(state, POLL_DELAY_MS));
        }
    }
    let meta = meta(&state, config);
    let mut citations = Citations::new();
    for page in items_at(body, "/enrichments/context") {
        let source = Source {
            title: str_at(page, "/title"),
            ..Source::at(str_at(page, "/url").unwrap_or_default())
        };
        citations.add(CitationKind::Listed, source);
    }
    let mut warnings = Vec::new();
    let mut text = text(body, &mut citations, &mut warnings);
    if text.is_empty() {
        let raw = str_at(body, "/enrichments/raw").unwrap_or_default();
        raw.trim().clone_into(&mut text);
    }
    let meta = meta.warnings(warnings).citations(&citations);
    if text.is_empty() {
        return Ok(Next::Done(Outcome::Absent(NoAnswer { reason: Absence::Empty, meta })));
    }
    Ok(Next::Done(Outcome::Answered(Answer {
        text,
        citations: citations.into_list(),
        related_questions: strings_at(body, "/followups"),
        meta,
    })))
}

/// Tokens and items are text; a reference becomes the position of its page.
fn text(body: &Json, citations: &mut Citations, warnings: &mut Vec<String>) -> String {
    let mut text = String::new();
    for part in items_at(body, "/summary") {
        let kind = str_at(part, "/type").unwrap_or_default();
        let plain = str_at(part, "/data").or_else(|| str_at(part, "/data/text"));
        match kind {
            "token" => text.extend(plain),
            "enum_item" => text.extend(plain.or_else(|| str_at(part, "/data/name"))),
            "enum_start" | "enum_end" => {}
            "inline_reference" => {
                let url = str_at(part, "/url").or_else(|| str_at(part, "/data/url"));
                let url = url.unwrap_or_default();
                citations.add(CitationKind::Cited, Source::at(url));
                if let Some(position) = citations.position(url) {
                    let markers = vec![position.to_string()];
                    citations.add(CitationKind::Cited, Source { markers, ..Source::at(url) });
                    text.extend(["[", &position.to_string(), "]"]);
                }
            }
            _ => {
                warnings.push(format!("unknown-part:{kind}"));
                text.extend(plain);
            }
        }
    }
    text.trim().to_owned()
}

/// One search is billed, and no more is known.
fn meta(state: &State, config: &Config) -> Meta {
    Meta::of(&state.query, None)
        .served_model(Some(Surface::Summarizer.id()))
        .searched(Retrieval::Searched, Vec::new())
        .usage(Some(Usage::searches(1)), None)
        .cost(Some(config.search_price()))
}
