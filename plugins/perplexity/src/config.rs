//! The operator's settings.

use std::collections::BTreeMap;

use aiv_sdk::Decimal;
use aiv_sdk::json::{Json, decimal_at};
use serde::Deserialize;

/// What `config.schema.json` describes. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) model: Option<String>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) web_search: Option<bool>,
    pub(crate) search_context_size: Option<String>,
    pub(crate) search_type: Option<String>,
    pub(crate) max_results: Option<u32>,
    pub(crate) search_recency_filter: Option<String>,
    pub(crate) search_domain_filter: Option<Vec<String>>,
    pub(crate) region: Option<String>,
    pub(crate) latitude: Option<Json>,
    pub(crate) longitude: Option<Json>,
    pub(crate) reasoning_effort: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) stream: Option<bool>,
    pub(crate) background: Option<bool>,
    model_prices: BTreeMap<String, Json>,
}

/// Dollars per million tokens, which is micro-dollars per token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Price {
    pub(crate) input: Decimal,
    pub(crate) output: Decimal,
    pub(crate) cache_read: Decimal,
    pub(crate) cache_write: Decimal,
}

impl Config {
    /// The operator's own price of a model. Cached tokens cost as much as others unless said.
    pub(crate) fn price(&self, model: &str) -> Option<Price> {
        let price = self.model_prices.get(model)?;
        let input = decimal_at(price, "/input")?;
        Some(Price {
            input,
            output: decimal_at(price, "/output")?,
            cache_read: decimal_at(price, "/cache_read").unwrap_or(input),
            cache_write: decimal_at(price, "/cache_write").unwrap_or(input),
        })
    }
}
