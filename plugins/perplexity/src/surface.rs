//! The ways to ask Perplexity, and the model each of them asks for.

use aiv_sdk::{Failure, Query};

use crate::config::Config;

/// Presets of the Agent API: each stands for a model, its tools and its limits.
pub(crate) const PRESETS: [&str; 6] = ["fast", "low", "medium", "high", "xhigh", "wide-research"];
/// Models that can be named directly.
pub(crate) const MODELS: [&str; 2] = ["perplexity/sonar", "openai/gpt-6-luna"];
/// Models of the retired chat completions.
pub(crate) const SONAR_MODELS: [&str; 4] =
    ["sonar", "sonar-pro", "sonar-reasoning-pro", "sonar-deep-research"];

/// Which of Perplexity's endpoints, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// Answered in one request.
    Agent,
    /// Queued, then asked for until it is ready: for the deep presets.
    Background,
    /// The retired chat completions, for the keys and gateways that still have them.
    Sonar,
}

impl Surface {
    pub(crate) fn of(query: &Query) -> Result<Self, Failure> {
        match query.surface.as_str() {
            "" | "perplexity-agent" => Ok(Self::Agent),
            "perplexity-agent-background" => Ok(Self::Background),
            "perplexity-sonar-legacy" => Ok(Self::Sonar),
            other => Err(Failure::invalid(format!("unknown surface {other}"))),
        }
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Agent => "perplexity-agent",
            Self::Background => "perplexity-agent-background",
            Self::Sonar => "perplexity-sonar-legacy",
        }
    }

    pub(crate) fn default_model(self) -> &'static str {
        match self {
            Self::Agent => "perplexity/sonar",
            Self::Background => "high",
            Self::Sonar => "sonar",
        }
    }

    /// The model or preset to ask for: the query's, else the operator's, else the surface's.
    pub(crate) fn model<'a>(self, query: &'a Query, config: &'a Config) -> &'a str {
        let named = [query.model.as_deref(), config.model.as_deref()].into_iter().flatten();
        named.map(str::trim).find(|model| !model.is_empty()).unwrap_or(self.default_model())
    }
}
