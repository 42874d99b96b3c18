//! What an answer cost. OpenAI counts tokens and searches and names no price, and its list changes
//! with every model: without the operator's prices the cost is not known.

use aiv_sdk::json::{Json, str_at, u32_at};
use aiv_sdk::{Cost, Decimal};

use crate::config::Config;
use crate::response;

/// $10 for a thousand searches.
const SEARCH_PRICE_MICRO_USD: u32 = 10_000;

/// Tokens and searches at the operator's prices.
pub(crate) fn cost(body: &Json, config: &Config, requested: &str) -> Option<Cost> {
    let price = config.price(&[str_at(body, "/model").unwrap_or_default(), requested])?;
    let input = u32_at(body, "/usage/input_tokens")?;
    let cached = u32_at(body, "/usage/input_tokens_details/cached_tokens").unwrap_or(0);
    let output = u32_at(body, "/usage/output_tokens")?;
    let search = config.search_price_micro_usd.unwrap_or(SEARCH_PRICE_MICRO_USD);
    let sum = price
        .input
        .times(input.saturating_sub(cached))
        .plus(price.cached_input.times(cached))
        .plus(price.output.times(output))
        .plus(Decimal::new(search, 0).times(response::billed_searches(body)));
    Some(Cost::estimated(sum.round()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_searches_proper_are_billed() {
        let body = json!({
            "model": "gpt-5-mini-2025-08-07",
            "usage": {"input_tokens": 1000, "output_tokens": 10,
                "input_tokens_details": {"cached_tokens": 400}},
            "output": [
                {"type": "web_search_call", "action": {"type": "search"}},
                {"type": "web_search_call", "action": {"type": "open_page"}},
            ],
        });
        let config: Config = serde_json::from_str(
            r#"{"model_prices": {"gpt-5-mini": {"input": 0.25, "cached_input": "0.025", "output": 2}}}"#,
        )
        .unwrap();
        // 600 x 0.25 + 400 x 0.025 + 10 x 2 + 10,000
        assert_eq!(cost(&body, &config, "gpt-5-mini"), Some(Cost::estimated(10_180)));
        assert_eq!(cost(&body, &config, "gpt-5"), None);
        assert_eq!(cost(&body, &Config::default(), "gpt-5-mini"), None);
    }
}
