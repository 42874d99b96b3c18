//! A finished answer of the Agent API.
//!
//! `output` is an open set: searches, fetched pages and messages are read, all else is passed over.

use aiv_sdk::json::{Json, items_at, str_at, strings_at, u32_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, Cost, ErrorKind, Failure, FinishReason, HttpResponse,
    Meta, NoAnswer, Outcome, Query, Retrieval, Source, Usage,
};

use crate::config::Config;
use crate::markers::{self, markers};
use crate::pricing;
use crate::surface::Surface;

/// What the answer says, or why there is none.
pub(crate) fn read(
    query: &Query,
    config: &Config,
    response: &HttpResponse,
    body: &Json,
) -> Result<Outcome, Failure> {
    let text = text(body);
    let finish = finish(body);
    let cost = cost(body, config);
    if text.trim().is_empty() {
        let refusal = refusal(body).map(|refusal| (refusal, "refusal"));
        let filtered = (finish == FinishReason::ContentFilter)
            .then_some(("the answer was withheld by a content filter", "content_filter"));
        if let Some((message, code)) = filtered.or(refusal) {
            let failure = Failure::new(ErrorKind::ContentBlocked, message).at(response);
            return Err(failure.code(Some(code)).spent(cost));
        }
    }
    let citations = citations(body, &text);
    let surface = Surface::of(query)?;
    let usage = body.get("usage").filter(|usage| usage.is_object());
    let meta = Meta::of(query, Some(surface.model(query, config)))
        .served_model(str_at(body, "/model"))
        .request_id(str_at(body, "/id"))
        .finish(finish)
        .searched(retrieval(body), queries(body))
        .usage(usage.map(read_usage), usage.and_then(|usage| u32_at(usage, "/total_tokens")))
        .cost(cost)
        .citations(&citations);
    if text.trim().is_empty() {
        let complete = finish == FinishReason::Stop;
        let reason = if complete { Absence::Empty } else { Absence::Truncated };
        return Ok(Outcome::Absent(NoAnswer { reason, meta }));
    }
    let citations = citations.into_list();
    Ok(Outcome::Answered(Answer { text, citations, related_questions: Vec::new(), meta }))
}

/// What the response cost, finished or not.
pub(crate) fn cost(body: &Json, config: &Config) -> Option<Cost> {
    pricing::agent(body.get("usage")?, str_at(body, "/model").unwrap_or_default(), config)
}

fn of_type<'a>(body: &'a Json, kind: &'static str) -> impl Iterator<Item = &'a Json> {
    items_at(body, "/output").iter().filter(move |item| str_at(item, "/type") == Some(kind))
}

fn messages(body: &Json) -> impl Iterator<Item = &Json> {
    of_type(body, "message")
        .filter(|message| str_at(message, "/role").is_none_or(|role| role == "assistant"))
}

/// The parts of a message belong together, messages stand apart.
fn text(body: &Json) -> String {
    let texts = messages(body).map(|message| match message.get("content") {
        Some(Json::String(text)) => text.clone(),
        _ => items_at(message, "/content")
            .iter()
            .filter(|part| matches!(str_at(part, "/type"), Some("output_text" | "text") | None))
            .filter_map(|part| str_at(part, "/text"))
            .collect(),
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn refusal(body: &Json) -> Option<&str> {
    messages(body)
        .flat_map(|message| items_at(message, "/content"))
        .find_map(|part| str_at(part, "/refusal"))
}

fn finish(body: &Json) -> FinishReason {
    let reason = str_at(body, "/incomplete_details/reason").unwrap_or_default();
    match str_at(body, "/status") {
        Some("completed") => FinishReason::Stop,
        _ if reason.contains("content_filter") => FinishReason::ContentFilter,
        _ if reason.is_empty() || reason.contains("max") || reason == "length" => {
            FinishReason::Length
        }
        _ => FinishReason::Other,
    }
}

/// A model that was given no tool answers from memory.
fn retrieval(body: &Json) -> Retrieval {
    let looked = of_type(body, "search_results").chain(of_type(body, "fetch_url_results")).next();
    if looked.is_some() || body.get("usage").and_then(searches).unwrap_or(0) > 0 {
        Retrieval::Searched
    } else {
        Retrieval::NotSearched
    }
}

fn queries(body: &Json) -> Vec<String> {
    of_type(body, "search_results").flat_map(|item| strings_at(item, "/queries")).collect()
}

fn searches(usage: &Json) -> Option<u32> {
    let calls = |tool| u32_at(usage, &format!("/tool_calls_details/{tool}/invocation"));
    calls("search_web").or_else(|| calls("web_search"))
}

fn read_usage(usage: &Json) -> Usage {
    Usage {
        input_tokens: u32_at(usage, "/input_tokens"),
        output_tokens: u32_at(usage, "/output_tokens"),
        cached_input_tokens: u32_at(usage, "/input_tokens_details/cached_tokens"),
        reasoning_tokens: u32_at(usage, "/output_tokens_details/reasoning_tokens"),
        // Tools that were not called are left out of the details.
        searches: Some(searches(usage).unwrap_or(0)),
    }
}

fn citations(body: &Json, text: &str) -> Citations {
    let in_text = markers(text);
    let mut citations = Citations::new();
    let mut add = |page: &Json, markers: Vec<String>| {
        let kind = if markers.is_empty() { CitationKind::Listed } else { CitationKind::Cited };
        let source = Source {
            title: str_at(page, "/title"),
            snippet: str_at(page, "/snippet"),
            published: str_at(page, "/date"),
            markers,
            ..Source::at(str_at(page, "/url").unwrap_or_default())
        };
        citations.add(kind, source);
    };
    let results = of_type(body, "search_results").flat_map(|item| items_at(item, "/results"));
    let mut seen = Vec::new();
    for (result, place) in results.zip(1_u32..) {
        // Numbers go on from one search to the next; where one comes twice, the first has it.
        let number = u32_at(result, "/id").unwrap_or(place);
        let markers =
            if seen.contains(&number) { Vec::new() } else { markers::of_number(&in_text, number) };
        seen.push(number);
        add(result, markers);
    }
    let fetched = of_type(body, "fetch_url_results").flat_map(|item| items_at(item, "/contents"));
    for (page, place) in fetched.zip(0_u32..) {
        // Fetched pages are numbered, from zero, only when nothing was searched.
        let marker = format!("web:{place}");
        let points = seen.is_empty() && in_text.iter().any(|(known, _)| *known == marker);
        add(page, if points { vec![marker] } else { Vec::new() });
    }
    for part in messages(body).flat_map(|message| items_at(message, "/content")) {
        for annotation in items_at(part, "/annotations") {
            let inner = annotation.get("url_citation").unwrap_or(annotation);
            if let Some(url) = str_at(inner, "/url") {
                let title = str_at(inner, "/title");
                citations.add(CitationKind::Cited, Source { title, ..Source::at(url) });
            }
        }
    }
    citations.add_links(text);
    citations
}
