//! An honest answer: a chat completion with search results, as vendors send it.

use serde::Deserialize;

use crate::aiv::provider::types::{Failure, Outcome, *};
use crate::exports::aiv::provider::engine::*;
use crate::meta;

#[derive(Deserialize)]
struct Completion {
    id: String,
    model: String,
    choices: Vec<Choice>,
    search_results: Vec<SearchResult>,
    usage: Tokens,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct SearchResult {
    title: String,
    url: String,
    date: Option<String>,
    snippet: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u32,
    completion_tokens: u32,
}

pub fn read(body: &str) -> Step {
    let Ok(completion) = serde_json::from_str::<Completion>(body) else {
        return Step::Failed(Failure {
            kind: ErrorKind::MalformedResponse,
            message: "not a chat completion".into(),
            http_status: None,
            provider_code: None,
            retry_after_ms: None,
            spent: None,
        });
    };
    let citations = completion.search_results.into_iter().zip(1..).map(|(result, position)| Citation {
        position,
        url: result.url,
        title: Some(result.title),
        snippet: result.snippet,
        published: result.date,
        kind: CitationKind::Cited,
        markers: vec![position.to_string()],
    });
    let usage = Usage {
        input_tokens: Some(completion.usage.prompt_tokens),
        output_tokens: Some(completion.usage.completion_tokens),
        cached_input_tokens: None,
        reasoning_tokens: None,
        searches: None,
    };
    let text = completion.choices.into_iter().next().map(|choice| choice.message.content);
    Step::Done(Outcome::Answered(Answer {
        text: text.unwrap_or_default(),
        citations: citations.collect(),
        related_questions: vec![],
        meta: Meta {
            served_model: Some(completion.model),
            request_id: Some(completion.id),
            usage: Some(usage),
            ..meta()
        },
    }))
}
