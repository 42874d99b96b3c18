//! A chat completion, the shape of the retired Sonar API.

use aiv_sdk::json::{Json, items_at, str_at, strings_at, u32_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, ErrorKind, Failure, FinishReason, HttpResponse, Meta,
    NoAnswer, Outcome, Query, Retrieval, Source, Usage,
};

use crate::config::Config;
use crate::markers::{self, markers};
use crate::pricing;
use crate::surface::Surface;

/// What the completion says, or why there is none.
pub(crate) fn read(
    query: &Query,
    config: &Config,
    response: &HttpResponse,
    body: &Json,
) -> Result<Outcome, Failure> {
    let finish = match str_at(body, "/choices/0/finish_reason") {
        Some("stop") => FinishReason::Stop,
        Some("length" | "max_tokens") => FinishReason::Length,
        Some("content_filter") => FinishReason::ContentFilter,
        Some(_) => FinishReason::Other,
        None => return Err(Failure::malformed(response, "the completion has no end")),
    };
    let text = without_thoughts(&content(body)).to_owned();
    let model = str_at(body, "/model");
    let usage = body.get("usage").filter(|usage| usage.is_object());
    let cost = usage.and_then(|usage| pricing::chat(usage, model.unwrap_or_default(), config));
    if finish == FinishReason::ContentFilter && text.trim().is_empty() {
        let message = "the answer was withheld by a content filter";
        let failure = Failure::new(ErrorKind::ContentBlocked, message).at(response);
        return Err(failure.code(Some("content_filter")).spent(cost));
    }
    let citations = citations(body, &text);
    let surface = Surface::of(query)?;
    let meta = Meta::of(query, Some(surface.model(query, config)))
        .served_model(model)
        .request_id(str_at(body, "/id"))
        .finish(finish)
        .searched(retrieval(body), Vec::new())
        .usage(usage.map(read_usage), usage.and_then(|usage| u32_at(usage, "/total_tokens")))
        .cost(cost)
        .citations(&citations);
    if text.trim().is_empty() {
        let cut = finish == FinishReason::Length;
        let reason = if cut { Absence::Truncated } else { Absence::Empty };
        return Ok(Outcome::Absent(NoAnswer { reason, meta }));
    }
    let citations = citations.into_list();
    let related_questions = strings_at(body, "/related_questions");
    Ok(Outcome::Answered(Answer { text, citations, related_questions, meta }))
}

fn content(body: &Json) -> String {
    match body.pointer("/choices/0/message/content") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => parts.iter().filter_map(|part| str_at(part, "/text")).collect(),
        _ => String::new(),
    }
}

/// Reasoning models put their thoughts before the answer. Thoughts without an end are all there is.
fn without_thoughts(content: &str) -> &str {
    match content.trim_start().strip_prefix("<think>") {
        Some(thoughts) => thoughts.split_once("</think>").map_or("", |(_, text)| text.trim_start()),
        None => content,
    }
}

fn retrieval(body: &Json) -> Retrieval {
    let has_sources =
        ["/citations", "/search_results"].iter().any(|p| !items_at(body, p).is_empty());
    match u32_at(body, "/usage/num_search_queries") {
        _ if has_sources => Retrieval::Searched,
        Some(0) => Retrieval::NotSearched,
        Some(_) => Retrieval::Searched,
        None => Retrieval::Unknown,
    }
}

fn read_usage(usage: &Json) -> Usage {
    let reasoning = u32_at(usage, "/reasoning_tokens");
    Usage {
        input_tokens: u32_at(usage, "/prompt_tokens"),
        output_tokens: u32_at(usage, "/completion_tokens"),
        cached_input_tokens: u32_at(usage, "/prompt_tokens_details/cached_tokens"),
        reasoning_tokens: reasoning
            .or_else(|| u32_at(usage, "/completion_tokens_details/reasoning_tokens")),
        searches: u32_at(usage, "/num_search_queries"),
    }
}

/// `citations` is what markers count, from one; `search_results` knows titles and dates. Either
/// may be missing.
fn citations(body: &Json, text: &str) -> Citations {
    let marked = markers(text);
    let mut citations = Citations::new();
    let cited = items_at(body, "/citations");
    let results = items_at(body, "/search_results");
    let numbered = if cited.is_empty() { results } else { cited };
    let unnumbered = if cited.is_empty() { &[] } else { results };
    for (page, number) in numbered.iter().zip(1..) {
        let markers = markers::of_number(&marked, number);
        let kind = if markers.is_empty() { CitationKind::Listed } else { CitationKind::Cited };
        citations.add(kind, Source { markers, ..source(page) });
    }
    for page in unnumbered {
        citations.add(CitationKind::Listed, source(page));
    }
    citations.add_links(text);
    citations
}

fn source(page: &Json) -> Source<'_> {
    Source {
        title: str_at(page, "/title"),
        snippet: str_at(page, "/snippet"),
        published: str_at(page, "/date"),
        ..Source::at(page.as_str().or_else(|| str_at(page, "/url")).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_go_and_the_answer_stays() {
        assert_eq!(
            without_thoughts("<think>hm</think>\n\nYes <think>x</think>"),
            "Yes <think>x</think>"
        );
        assert_eq!(without_thoughts(" plain "), " plain ");
        assert_eq!(without_thoughts("<think>never ends"), "");
    }
}
