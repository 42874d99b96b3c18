//! The operator's settings.

use std::collections::BTreeMap;

use aiv_sdk::json::{Json, decimal_at};
use aiv_sdk::{Decimal, Query};
use serde::Deserialize;

/// The model for queries and settings that name none.
pub(crate) const DEFAULT_MODEL: &str = "gpt-5-mini";

/// What `config.schema.json` describes. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    model: Option<String>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) require_search: Option<bool>,
    pub(crate) search_context_size: Option<String>,
    pub(crate) allowed_domains: Option<Vec<String>>,
    pub(crate) region: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) reasoning_effort: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) search_price_micro_usd: Option<u32>,
    model_prices: BTreeMap<String, Json>,
}

/// Dollars per million tokens, which is micro-dollars per token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Price {
    pub(crate) input: Decimal,
    pub(crate) cached_input: Decimal,
    pub(crate) output: Decimal,
}

impl Config {
    /// The model to ask for: the query's, else the operator's, else the default.
    pub(crate) fn model<'a>(&'a self, query: &'a Query) -> &'a str {
        let named = [query.model.as_deref(), self.model.as_deref()].into_iter().flatten();
        named.map(str::trim).find(|model| !model.is_empty()).unwrap_or(DEFAULT_MODEL)
    }

    /// The operator's price of the first of these models that has one. Cached tokens cost as much
    /// as others unless said.
    pub(crate) fn price(&self, models: &[&str]) -> Option<Price> {
        let price = models.iter().find_map(|model| self.model_prices.get(*model))?;
        let input = decimal_at(price, "/input")?;
        Some(Price {
            input,
            cached_input: decimal_at(price, "/cached_input").unwrap_or(input),
            output: decimal_at(price, "/output")?,
        })
    }
}
