//! From SerpApi's bodies to the next step.

use aiv_sdk::json::{Json, items_at, str_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, ErrorKind, Event, Failure, HttpResponse, Meta, Next,
    NoAnswer, Outcome, Retrieval, Source, Usage,
};

use crate::blocks::{self, Rendered};
use crate::config::Config;
use crate::{MAX_POLLS, POLL_DELAY_MS, State, Surface, failures, request};

/// The step after an event of a search. Whatever was billed before is told by a failure.
pub(crate) fn next(state: State, event: Event) -> Result<Next<State>, Failure> {
    let config: Config = state.query.config()?;
    let billed = state.billed;
    read(state, event, &config).map_err(|failure| {
        let spent = failure.spent;
        Failure { spent: spent.or_else(|| config.spent(billed)), ..failure }
    })
}

fn read(mut state: State, event: Event, config: &Config) -> Result<Next<State>, Failure> {
    let response = event.into_response()?;
    if !response.is_success() {
        return Err(failures::refused(&response, state.following));
    }
    let body = response.json()?;
    let status = str_at(&body, "/search_metadata/status").unwrap_or_default();
    match status.to_ascii_lowercase().as_str() {
        "processing" | "queued" => return wait(state, &response, &body),
        "error" if failures::message(&body).is_none() => {
            return Err(failures::failure(
                &response,
                "the search failed at SerpApi",
                state.following,
            ));
        }
        _ => {}
    }
    state.pending = None;
    remember(&mut state, &body);
    let surface = Surface::of(&state.query)?;
    let answer = match surface {
        Surface::Overview => body.get("ai_overview").filter(|overview| !overview.is_null()),
        Surface::Mode => Some(&body),
    };
    if let Some(message) = failures::message(&body) {
        let has_text = answer.is_some_and(|answer| !items_at(answer, "/text_blocks").is_empty());
        if failures::is_no_results(message) {
            state.billed += 1;
            return Ok(absent(&state, &body, config, Absence::NoResults));
        }
        if !has_text {
            return Err(failures::failure(&response, message, state.following));
        }
    }
    if !is_search(&body) {
        return Err(Failure::malformed(&response, "body is not a search result"));
    }
    state.billed += 1;
    let Some(answer) = answer else {
        return Ok(absent(&state, &body, config, Absence::NotTriggered));
    };
    if surface == Surface::Overview && items_at(answer, "/text_blocks").is_empty() {
        if let Some(token) = str_at(answer, "/page_token") {
            return follow(state, token, config, &response);
        }
        if let Some(message) = str_at(answer, "/error") {
            return refused_overview(&state, &body, message, config, &response);
        }
    }
    Ok(answered(state, &body, answer, config))
}

/// SerpApi is not finished: its archive will have the result, and the look there is free.
fn wait(mut state: State, response: &HttpResponse, body: &Json) -> Result<Next<State>, Failure> {
    let id = str_at(body, "/search_metadata/id")
        .ok_or_else(|| Failure::malformed(response, "an unfinished search without id"))?;
    state.pending = Some(id.to_owned());
    state.polls += 1;
    if state.polls > MAX_POLLS {
        return Err(
            Failure::new(ErrorKind::Timeout, "SerpApi did not finish the search").at(response)
        );
    }
    Ok(Next::Pause(state, POLL_DELAY_MS))
}

/// The token works once and for about a minute, so it is used now and never again.
fn follow(
    mut state: State,
    token: &str,
    config: &Config,
    response: &HttpResponse,
) -> Result<Next<State>, Failure> {
    if state.following {
        let failure = Failure::new(ErrorKind::UpstreamUnavailable, "a token led to another token");
        return Err(failure.at(response).spent(config.spent(state.billed)));
    }
    state.following = true;
    state.polls = 0;
    Ok(Next::Fetch(state, request::overview(token, config)))
}

/// Google shows a sentence instead of an overview: for good, or only for now.
fn refused_overview(
    state: &State,
    body: &Json,
    message: &str,
    config: &Config,
    response: &HttpResponse,
) -> Result<Next<State>, Failure> {
    if failures::is_no_results(message) {
        return Ok(absent(state, body, config, Absence::NoResults));
    }
    if message.to_lowercase().contains("not available") {
        return Ok(absent(state, body, config, Absence::Declined));
    }
    let failure = Failure::new(ErrorKind::UpstreamUnavailable, message).at(response);
    Err(failure.spent(config.spent(state.billed)))
}

fn remember(state: &mut State, body: &Json) {
    let place = str_at(body, "/search_parameters/location_used");
    state.location_used = place.map(str::to_owned).or(state.location_used.take());
    let questions = items_at(body, "/related_questions").iter();
    let questions = questions.filter_map(|item| str_at(item, "/question").map(str::to_owned));
    state.related_questions.extend(questions);
}

/// A body without any of these is something else than a search result.
fn is_search(body: &Json) -> bool {
    ["search_metadata", "search_parameters", "search_information", "ai_overview", "text_blocks"]
        .iter()
        .any(|key| body.get(key).is_some_and(|part| !part.is_null()))
}

fn meta(state: &State, body: &Json, config: &Config) -> Meta {
    let surface = Surface::of(&state.query).map_or("", Surface::id);
    let meta = Meta::of(&state.query, None)
        .served_model(Some(surface))
        .request_id(str_at(body, "/search_metadata/id"))
        .searched(Retrieval::Searched, Vec::new())
        .usage(Some(Usage::searches(state.billed)), None)
        .cost(Some(config.price(state.billed)))
        .location_used(state.location_used.as_deref());
    if config.allow_cache == Some(true) {
        return meta.extra("cache-allowed", &Json::Bool(true));
    }
    meta
}

fn absent(state: &State, body: &Json, config: &Config, reason: Absence) -> Next<State> {
    Next::Done(Outcome::Absent(NoAnswer { reason, meta: meta(state, body, config) }))
}

fn answered(state: State, body: &Json, answer: &Json, config: &Config) -> Next<State> {
    let Rendered { mut text, cited, links, warnings } =
        blocks::render(items_at(answer, "/text_blocks"));
    if text.is_empty() {
        let markdown = str_at(answer, "/reconstructed_markdown").unwrap_or_default();
        markdown.trim().clone_into(&mut text);
    }
    if text.is_empty() {
        return absent(&state, body, config, Absence::Empty);
    }
    let mut citations = Citations::new();
    for (at, reference) in items_at(answer, "/references").iter().enumerate() {
        // The number of a reference is its own, not its place in the list.
        let index = reference.get("index").and_then(blocks::index).unwrap_or(at as u64);
        let kind = if cited.contains(&index) { CitationKind::Cited } else { CitationKind::Listed };
        let source = Source {
            title: str_at(reference, "/title"),
            snippet: str_at(reference, "/snippet"),
            markers: vec![index.to_string()],
            ..Source::at(str_at(reference, "/link").unwrap_or_default())
        };
        citations.add(kind, source);
    }
    for (title, link) in &links {
        let title = (!title.is_empty()).then_some(title.as_str());
        citations.add(CitationKind::InlineLink, Source { title, ..Source::at(link) });
    }
    let meta = meta(&state, body, config).warnings(warnings).citations(&citations);
    Next::Done(Outcome::Answered(Answer {
        text,
        citations: citations.into_list(),
        related_questions: state.related_questions,
        meta,
    }))
}
