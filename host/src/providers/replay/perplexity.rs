//! Perplexity's Agent API.

use super::{Incoming, dice::Dice, dollars, draft::Draft, is_in_trouble, json};
use crate::providers::transport::CallContext;
use serde_json::{Value, json};

const CREATED: u64 = 1_793_500_000;

pub(super) fn agent(body: &[u8], call: CallContext) -> Option<Incoming> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let prompt = prompt(&request)?;
    if is_in_trouble("perplexity", &prompt, call) {
        let page = "<html><head><title>502: Bad gateway</title></head><body></body></html>";
        return Some(Incoming {
            status: 502,
            headers: vec![("content-type".into(), "text/html; charset=UTF-8".into())],
            body: page.into(),
        });
    }
    let response = response(&request, &prompt, call.seed);
    if request["stream"] == true {
        let event = json!({ "type": "response.completed", "response": response });
        return Some(Incoming {
            status: 200,
            headers: vec![("content-type".into(), "text/event-stream; charset=utf-8".into())],
            body: format!("event: response.completed\ndata: {event}\n\n").into_bytes(),
        });
    }
    let limits = [("x-ratelimit-limit", "50"), ("x-ratelimit-remaining", "49")];
    Some(json(200, &limits, &response))
}

pub(super) fn models() -> Incoming {
    json(200, &[], &json!({ "object": "list", "data": [{ "id": "perplexity/sonar" }] }))
}

/// The input is a text or a list of messages, of which the last one asks.
fn prompt(request: &Value) -> Option<String> {
    let input = &request["input"];
    let content = match input.as_array() {
        Some(messages) => &messages.last()?["content"],
        None => input,
    };
    match content.as_array() {
        Some(parts) => Some(parts.iter().filter_map(|part| part["text"].as_str()).collect()),
        None => content.as_str().map(ToOwned::to_owned),
    }
}

fn response(request: &Value, prompt: &str, seed: u32) -> Value {
    let mut dice = Dice::new(&["perplexity", prompt, &seed.to_string()]);
    let draft = Draft::new(prompt, "perplexity", seed);
    let text = draft.markdown(|source| format!("[{}]", source + 1));
    let results: Vec<Value> = draft
        .sources
        .iter()
        .enumerate()
        .map(|(i, source)| {
            let mut result = json!({
                "id": i + 1, "url": source.url, "title": source.title, "snippet": "…",
                "source": "web",
            });
            if let Some(day) = &source.published {
                result["date"] = json!(day);
            }
            result
        })
        .collect();
    let tokens_in = 2_000 + dice.word() % 3_000;
    let tokens_out = u32::try_from(text.len() / 4).unwrap_or(u32::MAX);
    // List price, rounded to the five decimals that the vendor reports.
    let (input, output) = (tokens_in / 40 * 10, tokens_out * 5 / 20 * 10);
    let model = request["model"].as_str().unwrap_or("perplexity/sonar");
    json!({
        "id": format!("resp_{}", dice.uuid()),
        "object": "response",
        "created_at": CREATED,
        "completed_at": CREATED + 3,
        "status": "completed",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "model": model,
        "output": [
            { "type": "search_results", "queries": [prompt], "results": results },
            {
                "type": "message",
                "id": format!("msg_{}", dice.uuid()),
                "role": "assistant",
                "status": "completed",
                "content": [{ "type": "output_text", "text": text, "annotations": [] }],
            },
        ],
        "usage": {
            "input_tokens": tokens_in,
            "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": tokens_out,
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": tokens_in + tokens_out,
            "tool_calls_details": { "search_web": { "invocation": 1, "cost_usd": 0.0025 } },
            "cost": {
                "currency": "USD",
                "input_cost": dollars(input),
                "output_cost": dollars(output),
                "tool_calls_cost": 0.0025,
                "total_cost": dollars(2_500 + input + output),
            },
        },
    })
}
