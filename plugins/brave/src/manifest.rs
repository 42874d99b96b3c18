//! What the plugin is and what it asks for.

use aiv_sdk::{ContextSupport, Manifest, Surface};

use crate::Surface as Kind;
use crate::summarizer::MAX_POLLS;

pub(crate) fn manifest() -> Manifest {
    let places = ContextSupport { language: true, country: true, city: true, device: false };
    Manifest::new("brave", "Brave", env!("CARGO_PKG_VERSION"))
        .description(
            "Brave Answers with their citations, research, and the older summarizer",
            "https://api-dashboard.search.brave.com/documentation/services/answers",
        )
        .host("api.search.brave.com", "api-key", "BRAVE_API_KEY", "Brave Search subscription token")
        .config_schema(include_str!("../config.schema.json"))
        .surface(Surface {
            models: vec!["brave".to_owned()],
            default_model: Some("brave".to_owned()),
            context: places,
            typical_cost_micro_usd: 47_000,
            requests_per_second: 2.0,
            burst: 2,
            ..Surface::new(Kind::Answers.id(), "Brave Answers")
        })
        .surface(Surface {
            models: vec!["brave".to_owned()],
            default_model: Some("brave".to_owned()),
            context: places,
            // More than thirty times an answer, so it is never anyone's default.
            typical_cost_micro_usd: 1_530_000,
            requests_per_second: 2.0,
            burst: 2,
            deadline_ms: 300_000,
            ..Surface::new(Kind::Research.id(), "Brave research")
        })
        .research(Kind::Research.id())
        .surface(Surface {
            context: ContextSupport { city: false, ..places },
            typical_cost_micro_usd: 5_000,
            max_fetches: 2 + MAX_POLLS,
            requests_per_second: 50.0,
            burst: 50,
            ..Surface::new(Kind::Summarizer.id(), "Brave summarizer")
        })
}
