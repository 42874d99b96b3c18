//! What the plugin is and what it asks for.

use aiv_sdk::{ContextSupport, Manifest, Surface};

use crate::{MAX_POLLS, Surface as Kind};

pub(crate) fn manifest() -> Manifest {
    let both = |kind: Kind, name, typical_cost_micro_usd, searches| Surface {
        context: ContextSupport { language: true, country: true, city: true, device: true },
        // Google shows the whole list of sources beside the text.
        listed_is_visible: true,
        typical_cost_micro_usd,
        max_fetches: searches * (1 + MAX_POLLS),
        // The Developer plan: 1,000 searches an hour.
        requests_per_second: 0.27,
        burst: 10,
        deadline_ms: 60_000,
        ..Surface::new(kind.id(), name)
    };
    Manifest::new("aio", "Google AI Overviews", env!("CARGO_PKG_VERSION"))
        .description(
            "Google AI Overviews and AI Mode, read through SerpApi",
            "https://serpapi.com/google-ai-overview-api",
        )
        .host("serpapi.com", "api-key", "SERPAPI_KEY", "Private API key of a SerpApi account")
        .config_schema(include_str!("../config.schema.json"))
        // Somewhat more than a third of all overviews take a second search.
        .surface(both(Kind::Overview, "Google AI Overview", 20_000, 2))
        .surface(both(Kind::Mode, "Google AI Mode", 15_000, 1))
}
