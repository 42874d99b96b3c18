//! What a plugin is asked.

use serde::{Deserialize, Serialize};

use super::{Event, Extra};

/// One question for one surface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Opaque and stable across retries.
    pub id: String,
    pub prompt: String,
    pub surface: String,
    pub model: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// City or free-form place.
    pub location: Option<String>,
    /// `desktop`, `mobile` or `tablet`.
    pub device: Option<String>,
    /// JSON that satisfies the manifest's `config_schema`.
    pub config: String,
    /// Host clock: a guest has none of its own.
    pub now_unix: f64,
    /// Host seed: a guest has no randomness of its own.
    pub seed: u32,
    pub extra: Extra,
}

/// The clock and the seed that a step runs under, so that the same input gives the same step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    pub now_unix: f64,
    pub seed: u32,
}

impl Moment {
    /// The moment a query starts.
    pub fn of_query(query: &Query) -> Self {
        Self { now_unix: query.now_unix, seed: query.seed }
    }

    /// The moment of an event: a response says itself when it arrived.
    #[must_use]
    pub fn at_event(self, event: &Event) -> Self {
        match event {
            Event::Response(response) => Self { now_unix: response.received_at, ..self },
            Event::TransportError(_) | Event::Resumed => self,
        }
    }
}
