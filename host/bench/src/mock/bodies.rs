//! Bodies in the vendors' formats of today.

use super::{
    dice::Dice,
    material::{address, clause, product, ranking, sentences, site},
    older_bodies,
    question::{Question, Shape, page_token},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{fmt::Write, sync::OnceLock};

/// Different answers of each kind.
pub(super) const VARIANTS: usize = 48;

/// Stands in the bodies where the id of an answer belongs, as long as one.
pub(super) const ID: &str = "the-id-of-answer-";

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// A body that lacks the id of its answer.
struct Template {
    body: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    fn new(body: Vec<u8>) -> Self {
        let places = body
            .windows(ID.len())
            .enumerate()
            .filter(|(_, at)| *at == ID.as_bytes())
            .map(|(at, _)| at)
            .collect();
        Self { body, places }
    }

    /// No two prompts get the same bytes, as with the vendors: what is named by its content would
    /// otherwise be stored once for many.
    fn fill(&self, id: &str) -> Bytes {
        let mut body = self.body.clone();
        for place in &self.places {
            body[*place..*place + ID.len()].copy_from_slice(id.as_bytes());
        }
        body.into()
    }
}

/// All bodies, each kind made when it is first asked for.
#[derive(Default)]
pub(super) struct Bodies {
    agent: OnceLock<Vec<Template>>,
    chat_completion: OnceLock<Vec<Template>>,
    search: OnceLock<Vec<Template>>,
    overview: OnceLock<Vec<Template>>,
    mode: OnceLock<Vec<Template>>,
    answers: OnceLock<Vec<Template>>,
    web_search: OnceLock<Vec<Template>>,
    summary: OnceLock<Vec<Template>>,
}

impl Bodies {
    /// The answer to a question, with its content type.
    pub(super) fn find(&self, question: &Question, by_token: bool) -> (&'static str, Bytes) {
        let (variant, id) = question.variant(VARIANTS);
        let of = |kind: &OnceLock<Vec<Template>>, make: fn(&mut Dice) -> Vec<u8>| {
            let made = kind.get_or_init(|| {
                let one = |at: usize| make(&mut Dice::new(&[b"body", &at.to_le_bytes()]));
                (0..VARIANTS).map(|at| Template::new(one(at))).collect()
            });
            made[variant].fill(&id)
        };
        let body = match question.shape {
            Shape::Agent => of(&self.agent, agent),
            Shape::Models => models(),
            Shape::ChatCompletion => of(&self.chat_completion, older_bodies::chat_completion),
            Shape::Search if by_token => first_search(&question.prompt, &id),
            Shape::Search => of(&self.search, search),
            Shape::Overview => of(&self.overview, second_search),
            Shape::Mode => of(&self.mode, mode),
            Shape::Account => account(),
            Shape::Answers => return (EVENTS, of(&self.answers, answers)),
            Shape::WebSearch => of(&self.web_search, older_bodies::web_search),
            Shape::Summary => of(&self.summary, older_bodies::summary),
        };
        (JSON, body)
    }
}

/// Millionths of a dollar as vendors write them.
fn dollars(micros: usize) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e6
}

fn agent(dice: &mut Dice) -> Vec<u8> {
    let sources = dice.between(8, 14);
    let entries = dice.between(5, 9);
    let marker =
        |dice: &mut Dice| format!("[{}][{}]", dice.between(1, sources), dice.between(1, sources));
    let mut text = ranking(dice, entries, marker);
    let closing = dice.between(5, 9);
    let _ = write!(text, "\n## In short\n\n{}\n", sentences(dice, closing));
    let results: Vec<Value> = (1..=sources)
        .map(|id| {
            let length = dice.between(4, 8);
            json!({
                "id": id, "url": address(dice), "title": format!("{} review", product(dice)),
                "snippet": sentences(dice, length), "date": "2026-09-14",
                "last_updated": "2026-10-02", "source": "web",
            })
        })
        .collect();
    let (input, output) = (dice.between(1500, 4000), text.len() / 4);
    let body = json!({
        "id": format!("resp_{ID}"), "object": "response", "created_at": 1_793_500_000,
        "completed_at": 1_793_500_003, "status": "completed", "background": false, "error": null,
        "incomplete_details": null, "model": "perplexity/sonar",
        "output": [
            {
                "type": "search_results", "queries": ["project management tools"],
                "results": results,
            },
            {
                "type": "message", "id": format!("msg_{ID}"), "role": "assistant",
                "status": "completed",
                "content": [{ "type": "output_text", "text": text, "annotations": [] }],
            },
        ],
        "usage": {
            "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + output,
            "tool_calls_details": { "search_web": { "invocation": 1, "cost_usd": 0.0025 } },
            "cost": {
                "currency": "USD", "input_cost": dollars(input / 4),
                "output_cost": dollars(output * 5 / 2), "tool_calls_cost": 0.0025,
                "total_cost": dollars(2500 + input / 4 + output * 5 / 2),
            },
        },
    });
    body.to_string().into_bytes()
}

fn models() -> Bytes {
    json!({ "object": "list", "data": [{ "id": "perplexity/sonar" }] }).to_string().into()
}

fn account() -> Bytes {
    let account = json!({
        "plan_name": "Bench", "searches_per_month": 1_000_000, "plan_searches_left": 1_000_000,
        "total_searches_left": 1_000_000, "this_hour_searches": 0,
        "account_rate_limit_per_hour": 1_000_000,
    });
    account.to_string().into()
}

/// The frame of every search, and what surrounds an overview on the page.
fn page(dice: &mut Dice, id: &str, engine: &str) -> Value {
    json!({
        "search_metadata": {
            "id": id, "status": "Success", "created_at": "2026-11-01 09:00:00 UTC",
            "processed_at": "2026-11-01 09:00:00 UTC", "total_time_taken": 2.31,
        },
        "search_parameters": { "engine": engine, "google_domain": "google.com", "device": "desktop" },
        "search_information": {
            "total_results": dice.between(1_000_000, 90_000_000),
            "organic_results_state": "Results for exact spelling",
        },
    })
}

fn overview(dice: &mut Dice) -> Value {
    let sources = dice.between(6, 13);
    let indexes = |dice: &mut Dice| json!([dice.below(sources), dice.below(sources)]);
    let mut blocks = vec![json!({
        "type": "paragraph", "snippet": sentences(dice, 3), "reference_indexes": indexes(dice),
    })];
    let list: Vec<Value> = (0..dice.between(4, 7))
        .map(|_| {
            json!({
                "title": format!("{}:", product(dice)), "snippet": sentences(dice, 2),
                "reference_indexes": indexes(dice),
            })
        })
        .collect();
    blocks.push(json!({ "type": "list", "list": list }));
    for _ in 0..dice.below(4) {
        blocks.push(json!({ "type": "heading", "snippet": "What to look for" }));
        blocks.push(json!({
            "type": "paragraph", "snippet": sentences(dice, 4), "reference_indexes": indexes(dice),
        }));
    }
    let references: Vec<Value> = (0..sources)
        .map(|index| {
            json!({
                "title": format!("{} compared", product(dice)), "link": address(dice),
                "snippet": sentences(dice, 2), "source": site(dice), "index": index,
                "source_icon": "https://icons.pictures.example/128/favicon.png",
            })
        })
        .collect();
    json!({ "text_blocks": blocks, "references": references })
}

/// A page of results with its overview.
fn search(dice: &mut Dice) -> Vec<u8> {
    let mut page = page(dice, ID, "google");
    page["ai_overview"] = overview(dice);
    page["organic_results"] = (1..=10)
        .map(|position| {
            json!({
                "position": position, "title": format!("{} in practice", product(dice)),
                "link": address(dice), "displayed_link": site(dice), "source": site(dice),
                "redirect_link": "https://www.google.com/url?sa=t&source=web&rct=j&url=x",
                "snippet": sentences(dice, 6), "snippet_highlighted_words": [product(dice)],
                "sitelinks": { "inline": [
                    { "title": product(dice), "link": address(dice) },
                    { "title": product(dice), "link": address(dice) },
                ] },
            })
        })
        .collect();
    page["related_questions"] = (0..dice.between(4, 8))
        .map(|_| {
            json!({
                "question": format!("Is {} better than {}?", product(dice), product(dice)),
                "snippet": sentences(dice, 12), "title": clause(dice), "link": address(dice),
                "next_page_token": "of-another-question",
            })
        })
        .collect();
    page["related_searches"] = (0..8)
        .map(|_| json!({ "query": format!("{} vs {}", product(dice), product(dice)) }))
        .collect();
    page.to_string().into_bytes()
}

/// A page whose overview is one search away.
fn first_search(prompt: &str, id: &str) -> Bytes {
    let dice = &mut Dice::new(&[prompt.as_bytes()]);
    let mut page = page(dice, id, "google");
    page["ai_overview"] = json!({ "page_token": page_token(prompt) });
    page["organic_results"] = (1..=10)
        .map(|position| {
            json!({
                "position": position, "title": product(dice), "link": address(dice),
                "snippet": sentences(dice, 3),
            })
        })
        .collect();
    page.to_string().into()
}

fn second_search(dice: &mut Dice) -> Vec<u8> {
    let mut page = page(dice, ID, "google_ai_overview");
    page["ai_overview"] = overview(dice);
    page.to_string().into_bytes()
}

fn mode(dice: &mut Dice) -> Vec<u8> {
    let mut page = page(dice, ID, "google_ai_mode");
    let mut overview = overview(dice);
    page["text_blocks"] = overview["text_blocks"].take();
    page["references"] = overview["references"].take();
    page.to_string().into_bytes()
}

/// A stream of chunks with tags in the text, cut wherever a chunk ends.
fn answers(dice: &mut Dice) -> Vec<u8> {
    let entries = dice.between(4, 6);
    let mut number = 0;
    let citation = |dice: &mut Dice| {
        number += 1;
        let citation = json!({
            "start_index": 0, "end_index": 0, "number": number, "url": address(dice),
            "favicon": "https://icons.pictures.example/32/favicon.png",
            "snippet": sentences(dice, 1),
        });
        format!("<citation>{citation}</citation>")
    };
    let mut text = ranking(dice, entries, citation);
    let (input, output) = (dice.between(3000, 9000), text.len() / 4);
    let usage = json!({
        "X-Request-Requests": 1, "X-Request-Queries": 1, "X-Request-Tokens-In": input,
        "X-Request-Tokens-Out": output, "X-Request-Total-Cost": dollars(4000 + 5 * (input + output)),
    });
    text.push_str(&sentences(dice, 3));
    let _ = write!(text, "<usage>{usage}</usage>");

    let mut stream = String::new();
    let mut chunk = |content: &str, finish: Value| {
        let chunk = json!({
            "model": "brave-pro", "system_fingerprint": "", "object": "chat.completion.chunk",
            "choices": [{
                "delta": { "role": "assistant", "content": content }, "finish_reason": finish,
            }],
            "created": 1_793_500_000, "id": ID, "usage": null,
        });
        let _ = write!(stream, "data: {chunk}\n\n");
    };
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let mut end = dice.between(24, 60).min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        chunk(&rest[..end], Value::Null);
        rest = &rest[end..];
    }
    chunk("", json!("stop"));
    stream.push_str("data: [DONE]\n\n");
    stream.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Vendor;

    #[test]
    fn bodies_are_as_large_as_the_vendors_and_always_the_same() {
        let question =
            |shape| Question { vendor: Vendor::Brave, shape, prompt: "which tool?".into() };
        for shape in
            [Shape::Agent, Shape::Search, Shape::Answers, Shape::ChatCompletion, Shape::WebSearch]
        {
            let (bodies, others) = (Bodies::default(), Bodies::default());
            for at in 0..VARIANTS {
                let question = Question { prompt: format!("{at}"), ..question(shape) };
                let (_, body) = bodies.find(&question, false);
                assert!((6_000..=41_000).contains(&body.len()), "{shape:?}: {}", body.len());
                assert_eq!(body, others.find(&question, false).1);
            }
        }
    }
}
