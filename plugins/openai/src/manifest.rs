//! What the plugin is and what it asks for.

use aiv_sdk::{ContextSupport, Manifest, Surface};

use crate::SURFACE;
use crate::config::DEFAULT_MODEL;

/// Models that can search; any other can be asked for by its name.
const MODELS: [&str; 5] = [DEFAULT_MODEL, "gpt-5", "gpt-5-nano", "gpt-4.1", "gpt-4.1-mini"];

pub(crate) fn manifest() -> Manifest {
    Manifest::new("openai", "OpenAI", env!("CARGO_PKG_VERSION"))
        .description(
            "OpenAI answers with their sources, through the Responses API with web search",
            "https://platform.openai.com/docs/guides/tools-web-search",
        )
        .host("api.openai.com", "api-key", "OPENAI_API_KEY", "Key of an OpenAI project")
        .config_schema(include_str!("../config.schema.json"))
        .surface(Surface {
            models: MODELS.map(str::to_owned).into(),
            default_model: Some(DEFAULT_MODEL.to_owned()),
            context: ContextSupport { language: false, country: true, city: true, device: false },
            // Two searches, and some thousand tokens of what they found.
            typical_cost_micro_usd: 30_000,
            requests_per_second: 2.0,
            burst: 5,
            // A reasoning model that searches may take minutes.
            deadline_ms: 300_000,
            ..Surface::new(SURFACE, "OpenAI (web search)")
        })
}
