//! The instrument: what was asked of what, and what answered.

use crate::json::Json;
use crate::{Citations, Cost, FinishReason, Meta, Query, Retrieval, Usage};

impl Meta {
    /// Nothing known yet but what was asked for.
    pub fn of(query: &Query, requested_model: Option<&str>) -> Self {
        Self {
            surface: query.surface.clone(),
            requested_model: requested_model.map(str::to_owned),
            served_model: None,
            request_id: None,
            finish: FinishReason::Unspecified,
            retrieval: Retrieval::Unknown,
            queries: Vec::new(),
            usage: None,
            cost: None,
            location_used: None,
            warnings: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// The model that answered, which need not be the one asked for.
    #[must_use]
    pub fn served_model(mut self, model: Option<&str>) -> Self {
        self.served_model = model.map(str::to_owned);
        self
    }

    /// The vendor's id of the request.
    #[must_use]
    pub fn request_id(mut self, id: Option<&str>) -> Self {
        self.request_id = id.map(str::to_owned);
        self
    }

    /// Why the engine stopped.
    #[must_use]
    pub fn finish(mut self, finish: FinishReason) -> Self {
        self.finish = finish;
        self
    }

    /// Whether the engine searched, and for what; a query counts once.
    #[must_use]
    pub fn searched(mut self, retrieval: Retrieval, queries: Vec<String>) -> Self {
        self.retrieval = retrieval;
        for query in queries {
            if !self.queries.contains(&query) {
                self.queries.push(query);
            }
        }
        self
    }

    /// What the vendor counted. A total that is not input plus output is kept in `extra`.
    #[must_use]
    pub fn usage(mut self, usage: Option<Usage>, total_tokens: Option<u32>) -> Self {
        let sum = usage.as_ref().and_then(|u| u.input_tokens?.checked_add(u.output_tokens?));
        if let Some(total) = total_tokens.filter(|total| Some(*total) != sum) {
            self.extra.push(("total-tokens".to_owned(), total.to_string()));
        }
        self.usage = usage;
        self
    }

    /// What it cost.
    #[must_use]
    pub fn cost(mut self, cost: Option<Cost>) -> Self {
        self.cost = cost;
        self
    }

    /// The place that the engine took into account.
    #[must_use]
    pub fn location_used(mut self, place: Option<&str>) -> Self {
        self.location_used = place.map(str::to_owned);
        self
    }

    /// Adds what a person should know about skipped shapes.
    #[must_use]
    pub fn warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Adds the warnings of the citations.
    #[must_use]
    pub fn citations(self, citations: &Citations) -> Self {
        self.warnings(citations.warnings())
    }

    /// Adds a further fact.
    #[must_use]
    pub fn extra(mut self, key: &str, json: &Json) -> Self {
        self.extra.push((key.to_owned(), json.to_string()));
        self
    }
}

impl Usage {
    /// Only the number of searches is known.
    pub fn searches(count: u32) -> Self {
        Self {
            input_tokens: None,
            output_tokens: None,
            cached_input_tokens: None,
            reasoning_tokens: None,
            searches: Some(count),
        }
    }
}
