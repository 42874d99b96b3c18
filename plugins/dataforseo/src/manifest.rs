//! What the plugin is and what it asks for.

use aiv_sdk::{ContextSupport, Manifest, Surface};

use crate::SURFACE;
use crate::request::HOST;

pub(crate) fn manifest() -> Manifest {
    Manifest::new("dataforseo", "Google AI Overviews (DataForSEO)", env!("CARGO_PKG_VERSION"))
        .description(
            "Google AI Overviews, read through DataForSEO",
            "https://docs.dataforseo.com/v3/serp/google/organic/live/advanced/",
        )
        .host(
            HOST,
            "credentials",
            "DATAFORSEO_CREDENTIALS",
            "Login and password of the DataForSEO API, as base64 of login:password",
        )
        .config_schema(include_str!("../config.schema.json"))
        .surface(Surface {
            context: ContextSupport { language: true, country: true, city: true, device: true },
            // Google shows the whole list of sources beside the text.
            listed_is_visible: true,
            // A live search, and as much again for an overview that loads late.
            typical_cost_micro_usd: 4_000,
            requests_per_second: 10.0,
            burst: 30,
            deadline_ms: 120_000,
            ..Surface::new(SURFACE, "Google AI Overview")
        })
}
