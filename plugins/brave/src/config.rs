//! The operator's settings.

use aiv_sdk::Cost;
use serde::Deserialize;

/// What `config.schema.json` describes. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    search_price_micro_usd: Option<u32>,
    query_price_micro_usd: Option<u32>,
    token_price_micro_usd: Option<u32>,
    pub(crate) stream: Option<bool>,
    pub(crate) safesearch: Option<String>,
    pub(crate) search_context_size: Option<String>,
    pub(crate) max_completion_tokens: Option<u32>,
    pub(crate) region: Option<String>,
    pub(crate) timezone: Option<String>,
}

impl Config {
    /// The price of one web search; the summary of its results is free.
    pub(crate) fn search_price(&self) -> Cost {
        Cost::estimated(self.search_price_micro_usd.unwrap_or(5_000))
    }

    /// The price of an answer that came without one.
    pub(crate) fn answer_price(&self, queries: u32, tokens: u32) -> Cost {
        let query = self.query_price_micro_usd.unwrap_or(4_000);
        let token = self.token_price_micro_usd.unwrap_or(5);
        Cost::estimated(query.saturating_mul(queries).saturating_add(token.saturating_mul(tokens)))
    }
}
