//! What the plugin is and what it asks for.

use aiv_sdk::{ContextSupport, Manifest, Surface};

use crate::response::MAX_POLLS;
use crate::surface::{MODELS, PRESETS, SONAR_MODELS, Surface as Kind};

pub(crate) fn manifest() -> Manifest {
    Manifest::new("perplexity", "Perplexity", env!("CARGO_PKG_VERSION"))
        .description(
            "Perplexity answers with their sources, through the Agent API",
            "https://docs.perplexity.ai/docs/agent-api",
        )
        .host("api.perplexity.ai", "api-key", "PERPLEXITY_API_KEY", "Key of the Perplexity API")
        .config_schema(include_str!("../config.schema.json"))
        .surface(Surface {
            models: names(&[MODELS.as_slice(), PRESETS.as_slice()].concat()),
            typical_cost_micro_usd: 3_000,
            // An answer may be queued although nobody asked for that.
            max_fetches: 1 + MAX_POLLS,
            deadline_ms: 120_000,
            ..surface(Kind::Agent, "Perplexity")
        })
        .surface(Surface {
            models: names(&[PRESETS.as_slice(), MODELS.as_slice()].concat()),
            typical_cost_micro_usd: 50_000,
            max_fetches: 1 + MAX_POLLS,
            deadline_ms: 900_000,
            ..surface(Kind::Background, "Perplexity (in the background)")
        })
        .surface(Surface {
            models: names(&SONAR_MODELS),
            typical_cost_micro_usd: 6_000,
            deadline_ms: 120_000,
            ..surface(Kind::Sonar, "Perplexity Sonar (retired)")
        })
        .research(&format!("{}:wide-research", Kind::Agent.id()))
        .research(&format!("{}:wide-research", Kind::Background.id()))
        .research(&format!("{}:sonar-deep-research", Kind::Sonar.id()))
}

/// The limits are those of an account that has spent nothing yet: one request per second.
fn surface(kind: Kind, name: &str) -> Surface {
    Surface {
        default_model: Some(kind.default_model().to_owned()),
        context: ContextSupport { language: true, country: true, city: true, device: false },
        ..Surface::new(kind.id(), name)
    }
}

fn names(models: &[&str]) -> Vec<String> {
    models.iter().map(|model| (*model).to_owned()).collect()
}
