//! An answer of Brave Answers or of research.

use aiv_sdk::json::{Json, decimal_at, u32_at};
use aiv_sdk::{
    Absence, Answer, Cost, Decimal, ErrorKind, Failure, FinishReason, HttpResponse, Meta, NoAnswer,
    Outcome, Query, Retrieval, Usage,
};

use crate::completion::Completion;
use crate::config::Config;
use crate::tags::Resolved;
use crate::{failures, request};

/// What the answer says, or why there is none.
pub(crate) fn read(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
    if !response.is_success() {
        return Err(failures::refused(response));
    }
    let config: Config = query.config()?;
    let completion = Completion::read(response)?;
    let Some(finish) = completion.finish() else {
        return Err(Failure::malformed(response, "the answer has no end"));
    };
    let mut resolved = Resolved::new(&completion.content);
    let counted = Counted::new(&resolved, response, &completion.usage);
    let cost = counted.cost(&config);
    let text = resolved.text().to_owned();
    if text.is_empty() && finish == FinishReason::ContentFilter {
        let message = "the answer was withheld by a content filter";
        let failure = Failure::new(ErrorKind::ContentBlocked, message).at(response);
        return Err(failure.code(Some("content_filter")).spent(cost));
    }
    let citations = resolved.citations();
    let searched =
        if counted.queries == Some(0) { Retrieval::NotSearched } else { Retrieval::Searched };
    let meta = Meta::of(query, Some(request::model(query)))
        .served_model(completion.model.as_deref())
        .request_id(completion.id.as_deref())
        .finish(finish)
        .searched(searched, std::mem::take(&mut resolved.queries))
        .usage(counted.usage(), u32_at(&completion.usage, "/total_tokens").filter(|_| !counted.own))
        .cost(cost)
        .warnings(std::mem::take(&mut resolved.warnings))
        .citations(&citations);
    if text.is_empty() {
        let cut = finish == FinishReason::Length;
        let reason = if cut { Absence::Truncated } else { Absence::Empty };
        return Ok(Outcome::Absent(NoAnswer { reason, meta }));
    }
    let citations = citations.into_list();
    Ok(Outcome::Answered(Answer { text, citations, related_questions: Vec::new(), meta }))
}

/// What Brave counted, wherever it said so: in a tag, in headers, or in the completion.
struct Counted {
    /// Whether Brave's own counters were there.
    own: bool,
    queries: Option<u32>,
    input: Option<u32>,
    output: Option<u32>,
    cached: Option<u32>,
    reasoning: Option<u32>,
    total_cost: Option<Decimal>,
}

impl Counted {
    fn new(resolved: &Resolved, response: &HttpResponse, usage: &Json) -> Self {
        let own = |name: &str| -> Option<Decimal> {
            let tag = resolved.usage.as_ref();
            tag.and_then(|tag| decimal_at(tag, &format!("/{name}")))
                .or_else(|| response.header(name)?.parse().ok())
        };
        let count = |name| own(name).and_then(Decimal::to_whole);
        let (input, output) = (count("X-Request-Tokens-In"), count("X-Request-Tokens-Out"));
        Self {
            own: input.is_some() || output.is_some(),
            queries: count("X-Request-Queries"),
            input: input.or_else(|| u32_at(usage, "/prompt_tokens")),
            output: output.or_else(|| u32_at(usage, "/completion_tokens")),
            cached: u32_at(usage, "/prompt_tokens_details/cached_tokens"),
            reasoning: u32_at(usage, "/completion_tokens_details/reasoning_tokens"),
            total_cost: own("X-Request-Total-Cost"),
        }
    }

    fn usage(&self) -> Option<Usage> {
        let known = self.queries.or(self.input).or(self.output).is_some();
        known.then_some(Usage {
            input_tokens: self.input,
            output_tokens: self.output,
            cached_input_tokens: self.cached,
            reasoning_tokens: self.reasoning,
            searches: self.queries,
        })
    }

    /// Without a cost of its own an answer counts as one search.
    fn cost(&self, config: &Config) -> Option<Cost> {
        if let Some(total) = self.total_cost {
            return Some(Cost::reported(total));
        }
        self.input.or(self.output)?;
        let tokens = self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0));
        Some(config.answer_price(self.queries.unwrap_or(1), tokens))
    }
}
