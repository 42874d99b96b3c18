//! The operator's settings.

use aiv_sdk::Cost;
use serde::Deserialize;

/// What `config.schema.json` describes. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    unit_price_micro_usd: Option<u32>,
    plan: Option<Plan>,
    pub(crate) allow_cache: Option<bool>,
    pub(crate) restrict_fields: Option<bool>,
    pub(crate) google_domain: Option<String>,
    pub(crate) uule: Option<String>,
}

/// SerpApi's plans, each with its own price of a search.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Plan {
    Free,
    Starter,
    Developer,
    Production,
    BigData,
}

impl Plan {
    fn micro_usd(self) -> u32 {
        match self {
            Self::Free => 0,
            Self::Starter => 25_000,
            Self::Developer => 15_000,
            Self::Production => 10_000,
            Self::BigData => 9_167,
        }
    }
}

impl Config {
    /// The price of so many searches. SerpApi never says what one cost.
    pub(crate) fn price(&self, searches: u32) -> Cost {
        let plan = self.plan.unwrap_or(Plan::Developer);
        let unit = self.unit_price_micro_usd.unwrap_or_else(|| plan.micro_usd());
        Cost::estimated(unit.saturating_mul(searches))
    }

    /// The price of what is billed although there is no answer.
    pub(crate) fn spent(&self, searches: u32) -> Option<Cost> {
        (searches > 0).then(|| self.price(searches))
    }
}
