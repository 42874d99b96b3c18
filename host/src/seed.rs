//! Fills a workspace with what it needs to be measured.

use crate::{
    Result,
    ids::WorkspaceId,
    providers::{Providers, replay::DemoSet},
    store::{
        Conn,
        brands::{self, Alias, BrandKind, NewBrand},
        engines::{self, NewEngine},
        prompts::{self, NewPrompt},
    },
};
use chrono::{DateTime, Utc};

/// Adds the brands and prompts of `set`, and every engine whose credentials are there.
pub async fn fill(
    conn: &mut Conn,
    workspace: WorkspaceId,
    set: &DemoSet,
    providers: &Providers,
    now: DateTime<Utc>,
) -> Result<()> {
    let competitors = set.competitors.iter().map(|brand| (brand, BrandKind::Competitor));
    for (brand, kind) in std::iter::once((&set.brand, BrandKind::Own)).chain(competitors) {
        let new = NewBrand {
            name: brand.name.clone(),
            kind,
            aliases: brand.aliases.iter().map(Alias::plain).collect(),
            domains: brand.domains.clone(),
        };
        brands::insert(conn, workspace, new, now).await?;
    }
    for prompt in &set.prompts {
        let new = NewPrompt {
            text: prompt.text.clone(),
            intent: Some(prompt.intent.clone()),
            language: Some("en".into()),
            country: Some("US".into()),
            tags: prompt.tags.clone(),
            active: true,
            ..NewPrompt::default()
        };
        prompts::insert(conn, workspace, new, now).await?;
    }
    for route in providers.list() {
        let callable = providers.missing_credentials(&route).is_empty();
        if let Some(surface) = route.default_surface().filter(|_| callable) {
            let engine = NewEngine::with_defaults(route.key(), &surface.id);
            engines::save(conn, workspace, None, engine, now).await?;
        }
    }
    Ok(())
}
