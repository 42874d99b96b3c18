//! A case from a call that is made now.

use crate::{
    Clock,
    config::Config,
    ids::RunId,
    providers::{
        Begin, CallEnd, CallRequest, Grant, Providers, Route,
        cases::{Asked, Recording},
    },
};
use aiv_runtime::{Plugin, types::Query};
use anyhow::{Context, bail};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which call to make.
#[derive(Debug, clap::Args)]
pub(super) struct LiveCall {
    /// Ask the vendor, with the credentials of the environment, and keep what it answers as a case.
    #[arg(long, requires = "prompt")]
    record: bool,
    /// The question.
    #[arg(long, requires = "record")]
    prompt: Option<String>,
    /// What to call the case; made from the question by default.
    #[arg(long, requires = "record")]
    name: Option<String>,
    /// Which surface to ask. The first one by default.
    #[arg(long, requires = "record")]
    surface: Option<String>,
    #[arg(long, requires = "record")]
    model: Option<String>,
    /// BCP 47, such as `en` or `pt-BR`.
    #[arg(long, requires = "record")]
    language: Option<String>,
    /// ISO 3166-1 alpha-2, such as `US`.
    #[arg(long, requires = "record")]
    country: Option<String>,
    /// The provider's settings, a JSON object.
    #[arg(long, requires = "record", default_value = "{}")]
    config: String,
}

impl LiveCall {
    pub(super) fn is_wanted(&self) -> bool {
        self.record
    }

    /// Makes the call and writes the case; its folder.
    pub(super) async fn run(self, plugin: &Plugin, cases: &Path) -> anyhow::Result<PathBuf> {
        let Self { record: _, prompt, name, surface, model, language, country, config } = self;
        let prompt = prompt.context("there is no question: give --prompt")?;
        let name = name.unwrap_or_else(|| slug(&prompt));
        let folder = cases.join(&name);
        anyhow::ensure!(!folder.exists(), "{} is there: give another --name", folder.display());
        let manifest = plugin.manifest();
        let route = Route::new(plugin, Grant::as_requested(manifest));
        let surface = match &surface {
            Some(id) => route.surface(id),
            None => route.default_surface(),
        };
        let surface = surface.with_context(|| {
            let known: Vec<_> = manifest.surfaces.iter().map(|surface| &surface.id).collect();
            format!("{} has these surfaces: {known:?}", manifest.key)
        })?;
        let query = Query {
            id: RunId::generate().to_string(),
            prompt,
            surface: surface.id.clone(),
            model,
            language,
            country,
            location: None,
            device: None,
            config,
            now_unix: 0.0,
            seed: 1,
            extra: vec![],
        };
        // A case is one moment: the call must see no other.
        let at = Clock::default().now();
        let providers = Providers::new(Arc::new(Config::load()?), Clock::fixed(at))?;
        let request = CallRequest { begin: Begin::Query(Box::new(query.clone())), attempt: 1 };
        let report = providers.call_to_end(&route, request).await;
        if report.exchanges.is_empty() {
            match report.end {
                CallEnd::Failed(failure) => bail!("nobody was asked: {}", failure.message),
                _ => bail!("nobody was asked: the component made no request"),
            }
        }
        let expect = Recording::expectation(&report.end, &report.exchanges);
        let digest = plugin.digest().to_string();
        let asked = Asked { manifest, query: &query, at, digest };
        Recording::new(&name, &asked, &report.exchanges, &expect).write(&folder)?;
        Ok(folder)
    }
}

/// The first words of a question, as the name of a folder.
fn slug(prompt: &str) -> String {
    const LONGEST: usize = 40;
    let mut slug = String::new();
    for word in prompt.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if !slug.is_empty() {
            if slug.len() + word.len() >= LONGEST {
                break;
            }
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    if slug.is_empty() { "recorded".into() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_named_after_its_question() {
        assert_eq!(slug("Which bicycle lock is the safest?"), "which-bicycle-lock-is-the-safest");
        assert_eq!(slug("自転車?"), "recorded");
        let long = slug("What would you say is the very best lock for a bicycle in town?");
        assert_eq!(long, "what-would-you-say-is-the-very-best-lock");
        assert_eq!(long.len(), 40);
    }
}
