//! An answer of the Responses API.
//!
//! `output` is an open set: searches and messages are read, all else is passed over.

use aiv_sdk::json::{Json, items_at, str_at, strings_at, u32_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, ErrorKind, Failure, FinishReason, HttpResponse, Meta,
    NoAnswer, Outcome, Query, Retrieval, Source, Usage,
};

use crate::config::Config;
use crate::{failures, pricing};

/// What the response says.
pub(crate) fn read(
    query: &Query,
    config: &Config,
    response: &HttpResponse,
) -> Result<Outcome, Failure> {
    let body = response.json()?;
    let model = config.model(query);
    let cost = pricing::cost(&body, config, model);
    let finish = match str_at(&body, "/status") {
        Some("completed") => FinishReason::Stop,
        Some("incomplete") => incomplete(&body),
        Some("failed") => {
            let error = body.get("error").unwrap_or(&Json::Null);
            return Err(failures::failure(response, error).spent(cost));
        }
        Some(status) => {
            let message = format!("the answer is not finished: {status}");
            return Err(Failure::malformed(response, message).code(Some(status)).spent(cost));
        }
        None => return Err(Failure::malformed(response, "body is no response")),
    };
    let text = text(&body);
    let is_empty = text.trim().is_empty();
    if is_empty && let Some(message) = blocked(&body, finish) {
        let failure = Failure::new(ErrorKind::ContentBlocked, message).at(response);
        return Err(failure.spent(cost));
    }
    let citations = citations(&body, &text);
    let searches = calls(&body).count();
    let retrieval = if searches > 0 { Retrieval::Searched } else { Retrieval::NotSearched };
    let usage = body.get("usage").filter(|usage| usage.is_object());
    let meta = Meta::of(query, Some(model))
        .served_model(str_at(&body, "/model"))
        .request_id(str_at(&body, "/id"))
        .finish(finish)
        .searched(retrieval, queries(&body))
        .usage(
            usage.map(|usage| read_usage(usage, searches)),
            usage.and_then(|usage| u32_at(usage, "/total_tokens")),
        )
        .cost(cost)
        .location_used(place(&body).as_deref())
        .citations(&citations);
    if is_empty {
        let complete = finish == FinishReason::Stop;
        let reason = if complete { Absence::Empty } else { Absence::Truncated };
        return Ok(Outcome::Absent(NoAnswer { reason, meta }));
    }
    let citations = citations.into_list();
    Ok(Outcome::Answered(Answer { text, citations, related_questions: Vec::new(), meta }))
}

/// Searches, also those that opened a page or looked for something in it.
fn calls(body: &Json) -> impl Iterator<Item = &Json> {
    of_type(body, "web_search_call")
}

/// Searches proper: what OpenAI bills.
pub(crate) fn billed_searches(body: &Json) -> u32 {
    let billed = calls(body).filter(|call| str_at(call, "/action/type") == Some("search"));
    u32::try_from(billed.count()).unwrap_or(u32::MAX)
}

fn of_type<'a>(body: &'a Json, kind: &'static str) -> impl Iterator<Item = &'a Json> {
    items_at(body, "/output").iter().filter(move |item| str_at(item, "/type") == Some(kind))
}

fn parts(body: &Json) -> impl Iterator<Item = &Json> {
    of_type(body, "message").flat_map(|message| items_at(message, "/content"))
}

fn incomplete(body: &Json) -> FinishReason {
    match str_at(body, "/incomplete_details/reason") {
        Some("content_filter") => FinishReason::ContentFilter,
        None | Some("max_output_tokens") => FinishReason::Length,
        Some(_) => FinishReason::Other,
    }
}

fn blocked(body: &Json, finish: FinishReason) -> Option<String> {
    let refusal = parts(body).find_map(|part| str_at(part, "/refusal")).map(str::to_owned);
    let filtered = finish == FinishReason::ContentFilter;
    refusal.or_else(|| filtered.then(|| "the answer was withheld by a content filter".to_owned()))
}

/// The parts of a message belong together, messages stand apart.
fn text(body: &Json) -> String {
    let texts = of_type(body, "message").map(|message| {
        let parts = items_at(message, "/content").iter();
        let parts = parts.filter(|part| str_at(part, "/type") == Some("output_text"));
        parts.filter_map(|part| str_at(part, "/text")).collect::<String>()
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn queries(body: &Json) -> Vec<String> {
    let of_call = |call: &Json| {
        let many = strings_at(call, "/action/queries");
        if many.is_empty() {
            str_at(call, "/action/query").map(str::to_owned).into_iter().collect()
        } else {
            many
        }
    };
    calls(body).flat_map(of_call).collect()
}

/// First what the text cites, in its order, then what was only found.
fn citations(body: &Json, text: &str) -> Citations {
    let mut citations = Citations::new();
    for annotation in parts(body).flat_map(|part| items_at(part, "/annotations")) {
        if str_at(annotation, "/type") == Some("url_citation") {
            let title = str_at(annotation, "/title");
            let url = str_at(annotation, "/url").unwrap_or_default();
            citations.add(CitationKind::Cited, Source { title, ..Source::at(url) });
        }
    }
    for source in calls(body).flat_map(|call| items_at(call, "/action/sources")) {
        // Feeds of weather, sports and the like have a name and no address.
        if let Some(url) = str_at(source, "/url") {
            let title = str_at(source, "/title");
            citations.add(CitationKind::Listed, Source { title, ..Source::at(url) });
        }
    }
    citations.add_links(text);
    citations
}

fn read_usage(usage: &Json, searches: usize) -> Usage {
    Usage {
        input_tokens: u32_at(usage, "/input_tokens"),
        output_tokens: u32_at(usage, "/output_tokens"),
        cached_input_tokens: u32_at(usage, "/input_tokens_details/cached_tokens"),
        reasoning_tokens: u32_at(usage, "/output_tokens_details/reasoning_tokens"),
        searches: u32::try_from(searches).ok(),
    }
}

/// The place that the tool was given, as OpenAI repeats it.
fn place(body: &Json) -> Option<String> {
    let tool = items_at(body, "/tools").iter().find_map(|tool| tool.get("user_location"))?;
    let parts = ["/city", "/region", "/country"].into_iter().filter_map(|part| str_at(tool, part));
    let place = parts.collect::<Vec<_>>().join(", ");
    (!place.is_empty()).then_some(place)
}
