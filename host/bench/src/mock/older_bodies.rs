//! Bodies in formats that vendors have retired and older clients still read.

use super::{
    bodies::ID,
    dice::Dice,
    material::{address, product, ranking, sentences, site},
};
use serde_json::{Value, json};
use std::fmt::Write;

/// Perplexity's chat completion.
pub(super) fn chat_completion(dice: &mut Dice) -> Vec<u8> {
    let citations: Vec<String> = (0..dice.between(8, 14)).map(|_| address(dice)).collect();
    let entries = dice.between(5, 9);
    let sources = citations.len();
    let marker =
        |dice: &mut Dice| format!("[{}][{}]", dice.between(1, sources), dice.between(1, sources));
    let mut text = ranking(dice, entries, marker);
    let closing = dice.between(4, 8);
    let _ = write!(text, "\n## In short\n\n{}\n", sentences(dice, closing));
    let results: Vec<Value> = citations
        .iter()
        .map(|url| {
            let length = dice.between(4, 8);
            json!({
                "title": format!("{} review", product(dice)), "url": url, "date": "2026-09-14",
                "last_updated": "2026-10-02", "snippet": sentences(dice, length), "source": "web",
            })
        })
        .collect();
    let output = text.len() / 4;
    let body = json!({
        "id": ID, "object": "chat.completion", "model": "sonar-pro",
        "created": 1_793_500_000, "citations": citations, "search_results": results,
        "usage": {
            "prompt_tokens": 18, "completion_tokens": output, "total_tokens": output + 18,
            "search_context_size": "low", "cost": { "request_cost": 0.006, "total_cost": 0.0178 },
        },
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": text },
        }],
    });
    body.to_string().into_bytes()
}

/// Brave's web search, with the key of a summary.
pub(super) fn web_search(dice: &mut Dice) -> Vec<u8> {
    let results: Vec<Value> = (0..10)
        .map(|_| {
            let snippets: Vec<String> =
                (0..dice.between(1, 4)).map(|_| sentences(dice, 6)).collect();
            json!({
                "title": format!("{} in practice", product(dice)), "url": address(dice),
                "description": sentences(dice, 2), "page_age": "2026-08-01T00:00:00",
                "language": "en", "family_friendly": true, "type": "search_result",
                "subtype": "article", "is_source_local": false, "is_source_both": false,
                "profile": { "name": product(dice), "long_name": site(dice) },
                "meta_url": { "scheme": "https", "hostname": site(dice), "path": "› planners" },
                "thumbnail": { "src": "https://icons.pictures.example/200/thumbnail.png" },
                "extra_snippets": snippets,
            })
        })
        .collect();
    let body = json!({
        "type": "search",
        "query": { "original": "project management tools", "more_results_available": true },
        "summarizer": { "type": "summarizer", "key": ID },
        "web": { "type": "search", "results": results, "family_friendly": true },
    });
    body.to_string().into_bytes()
}

/// Brave's summary of a search.
pub(super) fn summary(dice: &mut Dice) -> Vec<u8> {
    let context: Vec<Value> = (0..8)
        .map(|_| json!({ "title": product(dice), "url": address(dice), "meta_url": {} }))
        .collect();
    let body = json!({
        "type": "summarizer", "status": "complete", "title": "Project management tools",
        "summary": [{ "type": "token", "data": sentences(dice, 12) }],
        "enrichments": { "context": context },
    });
    body.to_string().into_bytes()
}
