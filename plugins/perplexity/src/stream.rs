//! Streams, put together to the body that would have come without streaming.

use aiv_sdk::json::{Json, str_at};
use aiv_sdk::{Failure, HttpResponse, sse};
use serde_json::{Map, json};

use crate::failures;

/// The body that the events add up to.
pub(crate) fn assemble(response: &HttpResponse, text: &str) -> Result<Json, Failure> {
    let mut items = Vec::new();
    let mut chat = Chat::default();
    // An event that is cut off cannot be the one that ends the stream.
    let events = sse::events(text);
    for event in events.iter().filter_map(|event| serde_json::from_str::<Json>(&event.data).ok()) {
        let kind = str_at(&event, "/type").unwrap_or_default();
        if let Some(status @ ("completed" | "incomplete" | "failed" | "cancelled")) =
            kind.strip_prefix("response.")
        {
            return Ok(finished(&event, status, items));
        }
        if kind == "response.output_item.done" {
            items.extend(event.get("item").cloned());
        } else if event.get("choices").is_some_and(Json::is_array) {
            chat.add(&event);
        } else if let Some(error) = error(&event, kind) {
            return Err(failures::failure(response, error));
        }
    }
    chat.body()
        .ok_or_else(|| Failure::malformed(response, "the stream ends before the answer does"))
}

/// The last event holds the whole response; what it lacks is known from the events before.
fn finished(event: &Json, status: &str, items: Vec<Json>) -> Json {
    let mut body = event.get("response").and_then(Json::as_object).cloned().unwrap_or_default();
    if body.get("status").is_none_or(Json::is_null) {
        body.insert("status".into(), json!(status));
    }
    if !items.is_empty() && body.get("output").and_then(Json::as_array).is_none_or(Vec::is_empty) {
        body.insert("output".into(), Json::Array(items));
    }
    Json::Object(body)
}

fn error<'a>(event: &'a Json, kind: &str) -> Option<&'a Json> {
    let inner = event.get("error").filter(|error| !error.is_null());
    inner.or_else(|| (kind == "error").then_some(event))
}

/// A chat completion in the making.
#[derive(Default)]
struct Chat {
    /// The latest value of everything but the choices.
    fields: Map<String, Json>,
    deltas: String,
    /// The whole text, where a chunk has it.
    message: Option<String>,
    finish: Option<String>,
}

impl Chat {
    fn add(&mut self, chunk: &Json) {
        let object = str_at(chunk, "/object").unwrap_or_default();
        for (key, value) in chunk.as_object().into_iter().flatten() {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !empty && key != "choices" {
                self.fields.insert(key.clone(), value.clone());
            }
        }
        // What a reasoning chunk says is thought, not answer.
        if object.starts_with("chat.reasoning") {
            return;
        }
        let delta = str_at(chunk, "/choices/0/delta/content");
        let message = str_at(chunk, "/choices/0/message/content");
        if object == "chat.completion.done" {
            if let Some(message) = message {
                message.clone_into(&mut self.deltas);
            }
        } else {
            self.deltas.extend(delta);
            self.message = message.map(str::to_owned).or(self.message.take());
        }
        let finish = str_at(chunk, "/choices/0/finish_reason");
        self.finish = finish.map(str::to_owned).or(self.finish.take());
    }

    /// The completion, unless the stream held no chunk at all.
    fn body(mut self) -> Option<Json> {
        if self.fields.is_empty() {
            return None;
        }
        let text = if self.deltas.is_empty() { self.message } else { Some(self.deltas) };
        let choice = json!({"message": {"content": text}, "finish_reason": self.finish});
        self.fields.insert("choices".into(), json!([choice]));
        Some(Json::Object(self.fields))
    }
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;

    use super::*;

    fn assembled(events: &[Json]) -> Result<Json, Failure> {
        let body: Vec<String> = events.iter().map(|e| format!("data: {e}\r\n\r\n")).collect();
        let body = body.concat();
        let response = testing::stream(format!(": hello\r\n\r\n{body}data: [DONE]"));
        assemble(&response, response.event_stream().unwrap())
    }

    fn chunk(object: &str, content: &str) -> Json {
        json!({"object": object, "choices": [{"delta": {"content": content}}]})
    }

    #[test]
    fn thoughts_of_a_chat_stream_are_left_out() {
        let body = assembled(&[
            chunk("chat.reasoning", "hm"),
            chunk("chat.completion.chunk", "Y"),
            json!({"object": "chat.completion.chunk", "citations": ["https://a.example/"],
                "choices": [{"delta": {"content": "es"}, "finish_reason": null}]}),
            json!({"object": "chat.completion.done", "citations": [], "usage": {"total_tokens": 3},
                "choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}),
        ])
        .unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "Yes");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["citations"][0], "https://a.example/");
        assert_eq!(body["usage"]["total_tokens"], 3);
    }

    #[test]
    fn the_last_event_is_completed_from_the_others() {
        let body = assembled(&[
            json!({"type": "response.output_item.done", "item": {"type": "message"}}),
            json!({"type": "response.completed", "response": {"id": "r", "output": []}}),
        ])
        .unwrap();
        assert_eq!(
            body,
            json!({"id": "r", "output": [{"type": "message"}], "status": "completed"})
        );
    }

    #[test]
    fn a_stream_without_end_or_with_an_error_fails() {
        let cut = assembled(&[json!({"type": "response.created", "response": {"id": "r"}})]);
        assert_eq!(cut.unwrap_err().kind, aiv_sdk::ErrorKind::MalformedResponse);
        let error = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"});
        let failure = assembled(&[error]).unwrap_err();
        assert_eq!(failure.kind, aiv_sdk::ErrorKind::RateLimited);
        assert_eq!(failure.provider_code.as_deref(), Some("rate_limit_exceeded"));
    }
}
