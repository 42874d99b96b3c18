//! What an answer cost when Perplexity does not say: the price list of November 2026.

use aiv_sdk::json::{Json, decimal_at, str_at, u32_at};
use aiv_sdk::{Cost, Decimal};

use crate::config::{Config, Price};

/// The cost of an Agent answer: reported, else worked out for the models whose price is known.
pub(crate) fn agent(usage: &Json, model: &str, config: &Config) -> Option<Cost> {
    if let Some(total) = decimal_at(usage, "/cost/total_cost") {
        return Some(Cost::reported(total));
    }
    let price = config.price(model).or_else(|| list_price(model))?;
    let input = u32_at(usage, "/input_tokens")?;
    let details = |name| u32_at(usage, &format!("/input_tokens_details/{name}"));
    let read = details("cache_read_input_tokens").or(details("cached_tokens")).unwrap_or(0);
    let written = details("cache_creation_input_tokens").unwrap_or(0);
    let fresh = input.saturating_sub(read).saturating_sub(written);
    let tokens = [
        (price.input, fresh),
        (price.output, u32_at(usage, "/output_tokens").unwrap_or(0)),
        (price.cache_read, read),
        (price.cache_write, written),
    ];
    let sum = tokens.into_iter().fold(tools(usage), |sum, (price, n)| sum.plus(price.times(n)));
    Some(Cost::estimated(sum.round()))
}

fn list_price(model: &str) -> Option<Price> {
    match model {
        "perplexity/sonar" => Some(Price {
            input: Decimal::new(25, 2),
            output: Decimal::new(25, 1),
            cache_read: Decimal::new(625, 4),
            cache_write: Decimal::new(25, 2),
        }),
        "openai/gpt-6-luna" => Some(Price {
            input: Decimal::new(1, 1),
            output: Decimal::new(5, 1),
            cache_read: Decimal::new(1, 2),
            cache_write: Decimal::new(125, 3),
        }),
        _ => None,
    }
}

/// What the tools cost, in micro-dollars.
fn tools(usage: &Json) -> Decimal {
    let details = usage.get("tool_calls_details").and_then(Json::as_object);
    details.into_iter().flatten().fold(Decimal::ZERO, |sum, (tool, calls)| {
        if let Some(usd) = decimal_at(calls, "/cost_usd") {
            return sum.plus(usd.times(1_000_000));
        }
        let price = match tool.as_str() {
            "search_web" | "web_search" => 2_500,
            "fetch_url" => 500,
            "people_search" | "finance_search" => 5_000,
            "sandbox" => 30_000,
            _ => 0,
        };
        sum.plus(Decimal::new(price, 0).times(u32_at(calls, "/invocation").unwrap_or(0)))
    })
}

/// The cost of a chat completion: reported, else tokens plus the fee of a request.
pub(crate) fn chat(usage: &Json, model: &str, config: &Config) -> Option<Cost> {
    if let Some(total) = decimal_at(usage, "/cost/total_cost") {
        return Some(Cost::reported(total));
    }
    let (input, output, fees) = match model {
        "sonar" => (1, 1, [5_000, 8_000, 12_000]),
        "sonar-pro" => (3, 15, [6_000, 10_000, 14_000]),
        "sonar-reasoning-pro" => (2, 8, [6_000, 10_000, 14_000]),
        "sonar-deep-research" => (2, 8, [0, 0, 0]),
        _ => return None,
    };
    let (input, output) = match config.price(model) {
        Some(price) => (price.input, price.output),
        None => (Decimal::new(input, 0), Decimal::new(output, 0)),
    };
    let count = |name| u32_at(usage, name).unwrap_or(0);
    let size = str_at(usage, "/search_context_size").or(config.search_context_size.as_deref());
    let fee = match size {
        Some("high") => fees[2],
        Some("medium") => fees[1],
        _ => fees[0],
    };
    let mut sum = input.times(u32_at(usage, "/prompt_tokens")?);
    sum = sum.plus(output.times(count("/completion_tokens"))).plus(Decimal::new(fee, 0));
    if model == "sonar-deep-research" {
        sum = sum.plus(Decimal::new(2, 0).times(count("/citation_tokens")));
        sum = sum.plus(Decimal::new(3, 0).times(count("/reasoning_tokens")));
        sum = sum.plus(Decimal::new(5_000, 0).times(count("/num_search_queries")));
    }
    Some(Cost::estimated(sum.round()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reported_cost_is_taken_as_it_is() {
        let usage = json!({"cost": {"total_cost": 0.00125}});
        assert_eq!(
            agent(&usage, "any", &Config::default()),
            Some(Cost { micro_usd: 1_250, basis: aiv_sdk::CostBasis::Reported })
        );
    }

    #[test]
    fn the_agent_price_counts_cached_tokens_and_tools() {
        let usage = json!({
            "input_tokens": 1000,
            "output_tokens": 100,
            "input_tokens_details": {"cached_tokens": 400},
            "tool_calls_details": {"search_web": {"invocation": 2}, "fetch_url": {"cost_usd": 0.0005}},
        });
        // 600 x 0.25 + 100 x 2.5 + 400 x 0.0625 + 2 x 2,500 + 500
        let cost = agent(&usage, "perplexity/sonar", &Config::default());
        assert_eq!(cost, Some(Cost::estimated(5_925)));
        assert_eq!(agent(&usage, "acme/unknown", &Config::default()), None);
        let prices = r#"{"model_prices": {"acme/unknown": {"input": "1", "output": 2}}}"#;
        let config: Config = serde_json::from_str(prices).unwrap();
        assert_eq!(agent(&usage, "acme/unknown", &config), Some(Cost::estimated(6_700)));
    }

    #[test]
    fn the_chat_price_depends_on_the_size_of_the_context() {
        let usage = |size| json!({"prompt_tokens": 10, "completion_tokens": 20, "search_context_size": size});
        let cost = |model, size| chat(&usage(size), model, &Config::default()).unwrap().micro_usd;
        assert_eq!(cost("sonar", "low"), 5_030);
        assert_eq!(cost("sonar-pro", "medium"), 10_330);
        assert_eq!(cost("sonar-reasoning-pro", "high"), 14_180);
        let deep = json!({"prompt_tokens": 10, "completion_tokens": 20, "citation_tokens": 100,
            "reasoning_tokens": 1000, "num_search_queries": 3});
        let cost = chat(&deep, "sonar-deep-research", &Config::default());
        assert_eq!(cost, Some(Cost::estimated(18_380)));
    }
}
