//! Brave's Answers API: a stream whose text carries tags, cut wherever a chunk happens to end.

use super::{
    Incoming,
    dice::Dice,
    dollars,
    draft::{Block, Draft, Entry, Passage, Source},
    is_in_trouble, json,
};
use crate::providers::transport::CallContext;
use serde_json::{Value, json};
use std::fmt::Write;

const CREATED: u64 = 1_793_500_000;
const LIMITS: [(&str, &str); 4] = [
    ("x-ratelimit-limit", "2, 0"),
    ("x-ratelimit-policy", "2;w=1, 0;w=2592000"),
    ("x-ratelimit-remaining", "1, 0"),
    ("x-ratelimit-reset", "1, 1419704"),
];

pub(super) fn answers(body: &[u8], call: CallContext) -> Option<Incoming> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let prompt = request["messages"].as_array()?.last()?["content"].as_str()?;
    if is_in_trouble("brave", prompt, call) {
        return Some(Incoming {
            status: 503,
            headers: vec![("content-type".into(), "text/html; charset=UTF-8".into())],
            body: "<html><body><h1>503 Service Unavailable</h1></body></html>".into(),
        });
    }
    let mut dice = Dice::new(&["brave", prompt, &call.seed.to_string()]);
    let draft = Draft::new(prompt, "brave", call.seed);
    let id = dice.uuid();
    let usage = Usage::of(&draft, &mut dice);
    // Streaming is the vendor's default, and the only way to get citations.
    if request["stream"] == false {
        return Some(blocking(&draft, &id, &usage));
    }
    let mut text = if request["enable_citations"] == true {
        tagged(&draft, request["enable_entities"] == true)
    } else {
        draft.markdown(|_| String::new())
    };
    let _ = write!(text, "<usage>{}</usage>", usage.tag());
    Some(stream(&text, &id, &usage, &mut dice))
}

struct Usage {
    tokens_in: u32,
    tokens_out: u32,
}

impl Usage {
    fn of(draft: &Draft, dice: &mut Dice) -> Self {
        let length = draft.markdown(|_| String::new()).len();
        Self {
            tokens_in: 4_000 + dice.word() % 5_000,
            tokens_out: u32::try_from(length / 4).unwrap_or(u32::MAX),
        }
    }

    fn total_micros(&self) -> u32 {
        4_000 + 5 * (self.tokens_in + self.tokens_out)
    }

    fn tag(&self) -> Value {
        json!({
            "X-Request-Requests": 1,
            "X-Request-Queries": 1,
            "X-Request-Tokens-In": self.tokens_in,
            "X-Request-Tokens-Out": self.tokens_out,
            "X-Request-Requests-Cost": 0.0,
            "X-Request-Queries-Cost": 0.004,
            "X-Request-Tokens-In-Cost": dollars(5 * self.tokens_in),
            "X-Request-Tokens-Out-Cost": dollars(5 * self.tokens_out),
            "X-Request-Total-Cost": dollars(self.total_micros()),
        })
    }

    fn counts(&self) -> Value {
        json!({
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": self.tokens_in + self.tokens_out,
            "completion_tokens_details": { "reasoning_tokens": 0 },
        })
    }
}

fn blocking(draft: &Draft, id: &str, usage: &Usage) -> Incoming {
    let message = json!({ "role": "assistant", "content": draft.markdown(|_| String::new()) });
    let body = json!({
        "id": id,
        "object": "chat.completion",
        "created": CREATED,
        "model": "brave",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": usage.counts(),
    });
    let mut response = json(200, &LIMITS, &body);
    let counts = [
        ("x-request-requests", "1".to_owned()),
        ("x-request-queries", "1".to_owned()),
        ("x-request-tokens-in", usage.tokens_in.to_string()),
        ("x-request-tokens-out", usage.tokens_out.to_string()),
        ("x-request-total-cost", dollars(usage.total_micros()).to_string()),
    ];
    response.headers.extend(counts.map(|(name, value)| (name.to_owned(), value)));
    response
}

fn tagged(draft: &Draft, entities: bool) -> String {
    let cited = |passage: &Passage| {
        passage.sources.iter().fold(passage.text.clone(), |text, &n| {
            text + &format!("<citation>{}</citation>", citation(n, &draft.sources[n]))
        })
    };
    let mut text = String::new();
    for block in &draft.blocks {
        if !text.is_empty() {
            text += "\n\n";
        }
        match block {
            Block::Paragraph(passage) => text += &cited(passage),
            Block::List { entries, numbered } if entities => {
                let kind = if *numbered { "ol" } else { "ul" };
                let _ = write!(text, "<enum_start>{}</enum_start>", json!({ "type": kind }));
                for (i, entry) in entries.iter().enumerate() {
                    let bullet = if *numbered { format!("{}.", i + 1) } else { "-".into() };
                    let item = entity(entry, &bullet, draft);
                    let _ = write!(text, "<enum_item>{item}</enum_item>");
                }
                text += "<enum_end>{}</enum_end>";
            }
            Block::List { entries, .. } => {
                let lines: Vec<_> = entries
                    .iter()
                    .map(|entry| format!("- **{}**: {}", entry.title, cited(&entry.passage)))
                    .collect();
                text += &lines.join("\n");
            }
            Block::Heading(_) | Block::Table { .. } => {
                let alone = Draft { blocks: vec![block.clone()], sources: Vec::new() };
                text += &alone.markdown(|_| String::new());
            }
        }
    }
    text
}

fn entity(entry: &Entry, bullet: &str, draft: &Draft) -> Value {
    let passage = &entry.passage;
    let markers = passage.sources.iter().fold(String::new(), |text, n| text + &marker(*n));
    let citations: Vec<_> =
        passage.sources.iter().map(|&n| citation(n, &draft.sources[n])).collect();
    json!({
        "uuid": "0",
        "name": entry.title,
        "href": entry.home,
        "extra_text": "",
        "original_tokens": format!("{bullet} **{}**: {}{markers}\n", entry.title, passage.text),
        "instance_of": [],
        "images": [],
        "citations": citations,
    })
}

fn marker(n: usize) -> String {
    format!("[{}]", n + 1)
}

fn citation(n: usize, source: &Source) -> Value {
    json!({
        "start_index": 0,
        "end_index": 1,
        "number": n + 1,
        "url": source.url,
        "favicon": "https://imgs.search.brave.com/favicon",
        "snippet": source.title,
    })
}

fn stream(text: &str, id: &str, usage: &Usage, dice: &mut Dice) -> Incoming {
    let mut body = String::new();
    let mut event = |delta: &str, finish: Option<&str>, usage: &Value| {
        let chunk = json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": "brave-pro",
            "system_fingerprint": "",
            "choices": [{
                "delta": { "role": "assistant", "content": delta },
                "finish_reason": finish,
            }],
            "usage": usage,
        });
        let _ = write!(body, "data: {chunk}\n\n");
    };
    let mut rest = text;
    while !rest.is_empty() {
        let wanted = 12 + dice.below(60);
        let cut = rest.char_indices().nth(wanted).map_or(rest.len(), |(at, _)| at);
        let (delta, after) = rest.split_at(cut);
        event(delta, None, &Value::Null);
        rest = after;
    }
    event("", Some("stop"), &usage.counts());
    body += "data: [DONE]\n\n";
    let mut headers =
        vec![("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned())];
    headers.extend(LIMITS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Incoming { status: 200, headers, body: body.into_bytes() }
}
