//! The chat completion around an answer, be it one body or a stream of chunks.

use aiv_sdk::json::{Json, items_at, str_at};
use aiv_sdk::{Failure, FinishReason, HttpResponse, sse};

use crate::failures;

/// An answer as it was written, tags and all.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    pub(crate) content: String,
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) usage: Json,
    finish: Option<String>,
}

impl Completion {
    /// Reads a response of either form.
    pub(crate) fn read(response: &HttpResponse) -> Result<Self, Failure> {
        let mut completion = Self::default();
        match response.event_stream() {
            Some(text) => {
                // A chunk that is cut off cannot be the one that ends the answer.
                let chunks = sse::events(text).into_iter();
                for chunk in chunks.filter_map(|e| serde_json::from_str::<Json>(&e.data).ok()) {
                    completion.add(response, &chunk)?;
                }
            }
            None => completion.add(response, &response.json()?)?,
        }
        Ok(completion)
    }

    fn add(&mut self, response: &HttpResponse, chunk: &Json) -> Result<(), Failure> {
        if let Some(failure) = failures::inside(response, chunk) {
            return Err(failure);
        }
        for choice in items_at(chunk, "/choices").iter().take(1) {
            let text =
                str_at(choice, "/delta/content").or_else(|| str_at(choice, "/message/content"));
            self.content.extend(text);
            keep(&mut self.finish, str_at(choice, "/finish_reason"));
        }
        keep(&mut self.model, str_at(chunk, "/model"));
        keep(&mut self.id, str_at(chunk, "/id"));
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage = usage.clone();
        }
        Ok(())
    }

    /// Why it ended; nothing when it did not.
    pub(crate) fn finish(&self) -> Option<FinishReason> {
        Some(match self.finish.as_deref()? {
            "stop" => FinishReason::Stop,
            "length" | "max_tokens" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other,
        })
    }
}

fn keep(field: &mut Option<String>, value: Option<&str>) {
    if let Some(value) = value {
        *field = Some(value.to_owned());
    }
}
