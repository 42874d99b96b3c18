use super::{note, print, report};
use crate::{
    Clock, app,
    config::{Config, ProviderMode},
    ids::RunId,
    providers::{Begin, CallEnd, CallRequest, Providers, registry, replay},
};
use aiv_analysis::{
    citations::normalise,
    mentions::{Alias, Matcher, TrackedBrand},
};
use aiv_runtime::types::{Answer, CitationKind, Meta, Outcome, Query};
use anyhow::Context;
use serde_json::json;
use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
    sync::Arc,
};

#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// The question, as a person would type it.
    prompt: String,
    /// Key of the engine, such as `perplexity`.
    #[arg(long)]
    engine: String,
    /// Brand to mark in the answer; may be given several times.
    #[arg(long = "brand", value_name = "NAME")]
    brands: Vec<String>,
    /// Which product of the engine to ask. Its first one by default.
    #[arg(long)]
    surface: Option<String>,
    #[arg(long)]
    model: Option<String>,
    /// BCP 47, such as `en` or `pt-BR`.
    #[arg(long)]
    language: Option<String>,
    /// ISO 3166-1 alpha-2, such as `US`.
    #[arg(long)]
    country: Option<String>,
    /// Answer from recordings instead of the vendor.
    #[arg(long)]
    replay: bool,
}

impl Ask {
    pub(super) async fn run(self, mut config: Config, json: bool) -> anyhow::Result<ExitCode> {
        if self.replay {
            config.providers.mode = ProviderMode::Replay;
        }
        let runtime = app::runtime(&config)?;
        let folder = config.providers.plugin_dir.clone();
        let routes = registry::load_folder(&runtime, &folder).await?;
        let providers = Providers::new(Arc::new(config), Clock::default())?;
        let keys: Vec<_> = routes.iter().map(|route| route.key().to_owned()).collect();
        providers.replace(routes);
        let route = providers.find(&self.engine).with_context(|| {
            format!(
                "no component for {:?} in {}; there are {keys:?}",
                self.engine,
                folder.display()
            )
        })?;
        let surface = match &self.surface {
            Some(id) => route.surface(id).with_context(|| {
                let known: Vec<_> = route.manifest.surfaces.iter().map(|s| &s.id).collect();
                format!("{} has no surface {id:?}; it has {known:?}", self.engine)
            })?,
            None => route.default_surface().context("the component has no surface")?,
        };
        let query = Query {
            id: RunId::generate().to_string(),
            prompt: self.prompt.clone(),
            surface: surface.id.clone(),
            model: self.model.clone(),
            language: self.language.clone(),
            country: self.country.clone(),
            location: None,
            device: None,
            config: "{}".into(),
            now_unix: 0.0,
            seed: replay::seed(&self.prompt, &self.engine, 1),
            extra: vec![],
        };
        let request = CallRequest { begin: Begin::Query(Box::new(query)), attempt: 1 };
        let report = providers.call_to_end(&route, request).await;
        match report.end {
            CallEnd::Done(Outcome::Answered(answer)) => {
                self.show(&answer, json)?;
                Ok(ExitCode::SUCCESS)
            }
            CallEnd::Done(Outcome::Absent(absent)) => {
                if json {
                    print(serde_json::to_string_pretty(&absent)?)?;
                } else {
                    print(format_args!("No answer: {}.", absent.reason.as_str()))?;
                    print(cost_line(&absent.meta))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            CallEnd::Failed(failure) => {
                anyhow::bail!("{}: {}", failure.kind.as_str(), failure.message)
            }
            CallEnd::Paused { .. } => anyhow::bail!("the engine did not come to an end"),
        }
    }

    fn show(&self, answer: &Answer, json: bool) -> anyhow::Result<()> {
        let tracked: Vec<_> = (0..)
            .zip(&self.brands)
            .map(|(id, name)| TrackedBrand { id, aliases: vec![Alias::new(name)] })
            .collect();
        let mentions = Matcher::new(&tracked)?.find(&answer.text);
        if json {
            print(serde_json::to_string_pretty(&json!({
                "text": answer.text,
                "mentions": mentions,
                "citations": answer.citations,
                "related_questions": answer.related_questions,
                "meta": answer.meta,
            }))?)?;
            return Ok(());
        }
        let (before, after) =
            if stdout().is_terminal() { ("\u{1b}[1;7m", "\u{1b}[0m") } else { ("»", "«") };
        let mut marked = String::with_capacity(answer.text.len());
        let mut at = 0;
        for mention in &mentions {
            let start = mention.start as usize;
            let end = start + mention.len as usize;
            marked.push_str(&answer.text[at..start]);
            marked.push_str(before);
            marked.push_str(&answer.text[start..end]);
            marked.push_str(after);
            at = end;
        }
        marked.push_str(&answer.text[at..]);
        print(marked)?;
        print("")?;
        for citation in &answer.citations {
            let domain = normalise(&citation.url).map(|url| url.domain).unwrap_or_default();
            let title = citation.title.as_deref().unwrap_or(&citation.url);
            print(format_args!(
                "[{}] {domain}: {title} ({})",
                citation.position,
                kind(citation.kind)
            ))?;
        }
        if self.brands.is_empty() {
            note("Name brands with --brand to have them marked.");
        }
        print(cost_line(&answer.meta))?;
        Ok(())
    }
}

fn kind(kind: CitationKind) -> &'static str {
    match kind {
        CitationKind::Cited => "cited",
        CitationKind::Listed => "listed",
        CitationKind::InlineLink => "link in the text",
    }
}

fn cost_line(meta: &Meta) -> String {
    let model = meta.served_model.as_deref().unwrap_or("an unnamed model");
    match &meta.cost {
        Some(cost) => format!(
            "\n{model}, {} ({})",
            report::dollars(cost.micro_usd.into()),
            cost.basis.as_str()
        ),
        None => format!("\n{model}, cost unknown"),
    }
}
