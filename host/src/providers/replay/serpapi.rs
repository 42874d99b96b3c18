//! Google by way of SerpApi: AI Overviews in one or two calls, and AI Mode.

use super::{
    Incoming,
    dice::Dice,
    draft::{Block, Draft, Passage},
    is_in_trouble, json,
};
use crate::providers::transport::CallContext;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use url::Url;

/// What the second call needs to know about the first: the vendor's token is as opaque.
#[derive(Serialize, Deserialize)]
struct PageToken {
    prompt: String,
    seed: u32,
}

pub(super) fn search(url: &Url, call: CallContext) -> Option<Incoming> {
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    let engine = query.get("engine").map_or("google", String::as_str);
    if engine == "google_ai_overview" {
        let token = query.get("page_token")?;
        let Some(PageToken { prompt, seed }) = read(token) else {
            return Some(json(400, &[], &json!({ "error": "Invalid `page_token`." })));
        };
        let mut body = frame(&prompt, seed, "second");
        body["search_parameters"] = json!({ "engine": engine, "page_token": token });
        body["ai_overview"] = overview(&Draft::new(&prompt, "aio", seed));
        return Some(json(200, &[], &body));
    }
    let prompt = query.get("q")?;
    if is_in_trouble("aio", prompt, call) {
        let busy = json!({ "error": "Service temporarily unavailable." });
        return Some(json(503, &[], &busy));
    }
    let mut body = frame(prompt, call.seed, "first");
    let mut parameters = json!({ "engine": engine, "q": prompt, "google_domain": "google.com" });
    for name in ["hl", "gl", "device", "location"] {
        if let Some(value) = query.get(name) {
            parameters[name] = json!(value);
        }
    }
    if let Some(location) = query.get("location") {
        parameters["location_requested"] = json!(location);
        parameters["location_used"] = json!(location);
    }
    body["search_parameters"] = parameters;
    match engine {
        "google" => results(&mut body, prompt, call.seed),
        "google_ai_mode" => {
            let draft = Draft::new(prompt, "aio", call.seed);
            let overview = overview(&draft);
            body["text_blocks"] = overview["text_blocks"].clone();
            body["references"] = overview["references"].clone();
            body["reconstructed_markdown"] = json!(draft.markdown(|_| String::new()));
        }
        _ => {
            let unknown = json!({ "error": format!("Unsupported `{engine}` search engine.") });
            return Some(json(400, &[], &unknown));
        }
    }
    Some(json(200, &[], &body))
}

pub(super) fn account() -> Incoming {
    json(
        200,
        &[],
        &json!({
            "plan_name": "Replay",
            "searches_per_month": 5_000,
            "plan_searches_left": 4_900,
            "total_searches_left": 4_900,
            "this_hour_searches": 1,
            "account_rate_limit_per_hour": 1_000,
        }),
    )
}

fn read(token: &str) -> Option<PageToken> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn frame(prompt: &str, seed: u32, call: &str) -> Value {
    let mut dice = Dice::new(&["serpapi", prompt, &seed.to_string(), call]);
    json!({
        "search_metadata": {
            "id": dice.hex(24),
            "status": "Success",
            "created_at": "2026-11-01 09:00:00 UTC",
            "processed_at": "2026-11-01 09:00:00 UTC",
            "total_time_taken": f64::from(150 + dice.word() % 400) / 100.0,
        },
    })
}

/// The result page around an overview that may be there, be one call away, or be missing.
fn results(body: &mut Value, prompt: &str, seed: u32) {
    body["search_information"] = json!({
        "query_displayed": prompt,
        "total_results": 48_000_000,
        "organic_results_state": "Results for exact spelling",
    });
    let draft = Draft::new(prompt, "aio", seed);
    let organic = draft.sources.iter().enumerate().map(|(i, source)| {
        json!({ "position": i + 1, "title": source.title, "link": source.url, "snippet": "…" })
    });
    body["organic_results"] = organic.collect();
    // Belongs to another question: following it would be an answer to the wrong prompt.
    body["related_questions"] = json!([{
        "question": "What do project teams need?", "type": "ai_overview", "page_token": "other",
    }]);
    let mut dice = Dice::new(&["overview", prompt, &seed.to_string()]);
    let shyness = Dice::new(&["shyness", prompt]).unit() * 0.3;
    let luck = dice.unit();
    if luck < shyness {
        return;
    }
    body["ai_overview"] = if luck < shyness + 0.03 {
        json!({ "error": "An AI Overview is not available for this search" })
    } else if dice.chance(0.45) {
        let token = PageToken { prompt: prompt.to_owned(), seed };
        let token = URL_SAFE_NO_PAD.encode(json!(token).to_string());
        let link =
            format!("https://serpapi.com/search.json?engine=google_ai_overview&page_token={token}");
        json!({ "page_token": token, "serpapi_link": link })
    } else {
        overview(&draft)
    };
}

fn overview(draft: &Draft) -> Value {
    let blocks: Vec<Value> = draft
        .blocks
        .iter()
        .map(|block| match block {
            Block::Paragraph(passage) => snippet("paragraph", passage),
            Block::Heading(text) => json!({ "type": "heading", "snippet": text }),
            Block::List { entries, .. } => {
                let list: Vec<Value> = entries
                    .iter()
                    .map(|entry| {
                        let mut item = snippet("", &entry.passage);
                        item["title"] = json!(format!("{}:", entry.title));
                        item
                    })
                    .collect();
                json!({ "type": "list", "list": list })
            }
            Block::Table { rows } => json!({ "type": "table", "table": rows }),
        })
        .collect();
    let references = draft.sources.iter().enumerate().map(|(i, source)| {
        let publisher = Url::parse(&source.url).ok();
        let publisher = publisher.as_ref().and_then(Url::host_str).unwrap_or_default();
        json!({
            "title": source.title,
            "link": format!("{}#:~:text={}", source.url, "see%20here"),
            "snippet": "…",
            "source": publisher,
            "index": i,
        })
    });
    json!({ "text_blocks": blocks, "references": references.collect::<Vec<_>>() })
}

fn snippet(kind: &str, passage: &Passage) -> Value {
    // The page shows its own emphasis: Markdown does not occur in a snippet.
    let mut block = json!({ "snippet": passage.text.replace("**", "") });
    if !kind.is_empty() {
        block["type"] = json!(kind);
    }
    if !passage.sources.is_empty() {
        block["reference_indexes"] = json!(passage.sources);
    }
    block
}
