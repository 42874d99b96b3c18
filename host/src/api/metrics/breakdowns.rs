//! The same numbers by engine, by prompt, by brand and by source.

use super::{BrandKind, BrandMetrics, PromptKind, Totals, choose, scope};
use crate::{
    App, Error, Result,
    api::{
        Caller, Paging, Problem, Tag,
        citations::SourceKind,
        estimate::EstimateView,
        page,
        window::{Days, Period, window},
    },
    ids::PromptId,
    metrics,
    store::{brands, workspaces},
};
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A brand by engine, in a window and in the one before.
#[derive(Object)]
struct EngineMetricsList {
    brand_id: Uuid,
    brand: String,
    window: Days,
    previous: Days,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    prompts: PromptKind,
    /// Engines with runs in one of the windows, by key.
    data: Vec<EngineComparison>,
}

/// One engine in two windows.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct EngineComparison {
    engine: String,
    /// Absent when it had no run.
    current: Option<AtEngine>,
    /// Absent when it had no run.
    previous: Option<AtEngine>,
}

/// One engine in one window.
#[derive(Object)]
struct AtEngine {
    totals: Totals,
    answer_rate: EstimateView,
    citation_share: EstimateView,
    mention_rate: EstimateView,
    share_of_voice: EstimateView,
    first_mention_rate: EstimateView,
    mean_reciprocal_rank: EstimateView,
    average_position: EstimateView,
    citation_rate: EstimateView,
    net_sentiment: EstimateView,
}

/// A brand at one prompt. One prompt says nothing of the market: its intervals are those of asking
/// the same prompt again.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct PromptMetrics {
    prompt_id: Uuid,
    text: String,
    intent: Option<String>,
    topic: Option<String>,
    persona: Option<String>,
    tags: Vec<String>,
    totals: Totals,
    answer_rate: EstimateView,
    mention_rate: EstimateView,
    first_mention_rate: EstimateView,
    citation_rate: EstimateView,
}

page! {
    /// A page of prompts with runs in the window, oldest first.
    PromptMetricsPage of PromptMetrics
}

/// The tracked brands beside each other, in a window and in the one before.
#[derive(Object)]
struct BrandMetricsList {
    window: Days,
    previous: Days,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    prompts: PromptKind,
    /// The set that shares of voice are taken over, whatever is listed. Another set is another
    /// series.
    tracked: Vec<Uuid>,
    data: Vec<BrandComparison>,
}

/// One brand in two windows.
#[derive(Object)]
struct BrandComparison {
    current: BrandMetrics,
    previous: BrandMetrics,
}

/// What kinds of source the answers of a window rest on.
#[derive(Object)]
struct SourceList {
    window: Days,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    /// Citations of all kinds: cited and listed.
    citations: i64,
    /// The most used first.
    data: Vec<SourceCounts>,
}

/// One kind of source. Counts and no rates: sources are counted by day and engine, which is too
/// coarse for an interval.
#[derive(Object)]
struct SourceCounts {
    kind: SourceKind,
    /// Different domains.
    domains: i64,
    /// Inline references.
    cited: i64,
    /// Times one was only listed as a source.
    listed: i64,
}

pub(in crate::api) struct Api(pub(in crate::api) App);

#[OpenApi(tag = "Tag::Metrics")]
impl Api {
    /// List a brand's engines
    ///
    /// Every engine with its numbers, and the window of the same length before beside them.
    #[oai(path = "/metrics/engines", method = "get", operation_id = "list_engine_metrics")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn engines(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// The brand; the workspace's first own one when absent.
        brand: Query<Option<Uuid>>,
        /// Only prompts with this tag.
        tag: Query<Option<String>>,
        /// Only prompts of this intent.
        intent: Query<Option<String>>,
        /// Only prompts about this topic.
        topic: Query<Option<String>>,
        /// Only prompts that this persona asks.
        persona: Query<Option<String>>,
        /// Only prompts asked in this language.
        language: Query<Option<String>>,
        /// Only prompts asked from this country.
        country: Query<Option<String>>,
        /// Which prompts count.
        #[oai(default)]
        prompts: Query<PromptKind>,
    ) -> Result<Json<EngineMetricsList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let tracked = brands::tracked(&mut conn, caller.workspace).await?;
        let brand = choose(tracked, brand.0)?;
        let filters = [tag, intent, topic, persona, language, country];
        let scope = scope(None, filters, prompts.0);
        let current = metrics::load(&mut conn, &workspace, window, &scope).await?;
        let previous = metrics::load(&mut conn, &workspace, window.previous(), &scope).await?;
        drop(conn);
        let mut engines: BTreeMap<String, EngineComparison> = BTreeMap::new();
        for (counts, is_current) in [(current, true), (previous, false)] {
            for found in counts.at_engines(brand.id).unwrap_or_default() {
                let engine = found.engine.clone();
                let row = engines.entry(engine.clone()).or_insert_with(|| EngineComparison {
                    engine,
                    current: None,
                    previous: None,
                });
                let side = if is_current { &mut row.current } else { &mut row.previous };
                *side = Some(found.into());
            }
        }
        Ok(Json(EngineMetricsList {
            brand_id: brand.id.0,
            brand: brand.name,
            window: window.into(),
            previous: window.previous().into(),
            synthetic: workspace.synthetic,
            prompts: prompts.0,
            data: engines.into_values().collect(),
        }))
    }

    /// List a brand's prompts
    ///
    /// Every prompt that has runs in the window, with the brand's numbers at it.
    #[oai(path = "/metrics/prompts", method = "get", operation_id = "list_prompt_metrics")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn prompts(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
        /// The brand; the workspace's first own one when absent.
        brand: Query<Option<Uuid>>,
        /// Only prompts with this tag.
        tag: Query<Option<String>>,
        /// Only prompts of this intent.
        intent: Query<Option<String>>,
        /// Only prompts about this topic.
        topic: Query<Option<String>>,
        /// Only prompts that this persona asks.
        persona: Query<Option<String>>,
        /// Only prompts asked in this language.
        language: Query<Option<String>>,
        /// Only prompts asked from this country.
        country: Query<Option<String>>,
        /// Which prompts count.
        #[oai(default)]
        prompts: Query<PromptKind>,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PromptMetricsPage>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let tracked = brands::tracked(&mut conn, caller.workspace).await?;
        let brand = choose(tracked, brand.0)?;
        let filters = [tag, intent, topic, persona, language, country];
        let scope = scope(engine.0, filters, prompts.0);
        let bound = (window, brand.id, &scope);
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "prompt_metrics", &bound, limit.0, cursor)?;
        let counts = metrics::load(&mut conn, &workspace, window, &scope).await?;
        drop(conn);
        let fetch = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
        let rows = counts.at_prompts(brand.id, page.after, fetch);
        let rows = rows.ok_or(Error::NotFound("brand"))?;
        Ok(Json(
            page.close(rows, |row: &metrics::AtPrompt<'_>| -> PromptId { row.prompt.id })?.into(),
        ))
    }

    /// List the brands' numbers
    ///
    /// The tracked brands beside each other, and the window of the same length before.
    #[oai(path = "/metrics/brands", method = "get", operation_id = "list_brand_metrics")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn brands(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
        /// List only own brands, or only competitors.
        kind: Query<Option<BrandKind>>,
        /// Only prompts with this tag.
        tag: Query<Option<String>>,
        /// Only prompts of this intent.
        intent: Query<Option<String>>,
        /// Only prompts about this topic.
        topic: Query<Option<String>>,
        /// Only prompts that this persona asks.
        persona: Query<Option<String>>,
        /// Only prompts asked in this language.
        language: Query<Option<String>>,
        /// Only prompts asked from this country.
        country: Query<Option<String>>,
        /// Which prompts count.
        #[oai(default)]
        prompts: Query<PromptKind>,
    ) -> Result<Json<BrandMetricsList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let filters = [tag, intent, topic, persona, language, country];
        let scope = scope(engine.0, filters, prompts.0);
        let current = metrics::load(&mut conn, &workspace, window, &scope).await?;
        let previous = metrics::load(&mut conn, &workspace, window.previous(), &scope).await?;
        drop(conn);
        let (current, previous) = (current.overview().brands, previous.overview().brands);
        let wanted = |brand: &metrics::BrandMetrics| {
            kind.0.is_none_or(|kind| BrandKind::from(brand.kind) == kind)
        };
        Ok(Json(BrandMetricsList {
            window: window.into(),
            previous: window.previous().into(),
            synthetic: workspace.synthetic,
            prompts: prompts.0,
            tracked: current.iter().map(|brand| brand.brand.0).collect(),
            // Both were taken over the brands of this moment, in their order.
            data: current
                .into_iter()
                .zip(previous)
                .filter(|(brand, _)| wanted(brand))
                .map(|(current, previous)| BrandComparison {
                    current: current.into(),
                    previous: previous.into(),
                })
                .collect(),
        }))
    }

    /// List the kinds of source
    ///
    /// What the answers of a window rest on: own sites, competitors, news, forums and so on.
    #[oai(path = "/metrics/sources", method = "get", operation_id = "list_source_metrics")]
    async fn sources(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
    ) -> Result<Json<SourceList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let found = metrics::sources(&mut conn, &workspace, window, engine.0.as_deref()).await?;
        Ok(Json(SourceList {
            window: window.into(),
            synthetic: workspace.synthetic,
            citations: found.iter().map(|counts| counts.cited + counts.listed).sum(),
            data: found.into_iter().map(Into::into).collect(),
        }))
    }
}

impl From<metrics::AtEngine> for AtEngine {
    fn from(at: metrics::AtEngine) -> Self {
        let metrics::AtEngine {
            engine: _,
            totals,
            answer_rate,
            citation_share,
            mention_rate,
            share_of_voice,
            first_mention_rate,
            mean_reciprocal_rank,
            average_position,
            citation_rate,
            net_sentiment,
        } = at;
        AtEngine {
            totals: totals.into(),
            answer_rate: answer_rate.into(),
            citation_share: citation_share.into(),
            mention_rate: mention_rate.into(),
            share_of_voice: share_of_voice.into(),
            first_mention_rate: first_mention_rate.into(),
            mean_reciprocal_rank: mean_reciprocal_rank.into(),
            average_position: average_position.into(),
            citation_rate: citation_rate.into(),
            net_sentiment: net_sentiment.into(),
        }
    }
}

impl From<metrics::AtPrompt<'_>> for PromptMetrics {
    fn from(at: metrics::AtPrompt<'_>) -> Self {
        let metrics::AtPrompt {
            prompt,
            totals,
            answer_rate,
            mention_rate,
            first_mention_rate,
            citation_rate,
        } = at;
        PromptMetrics {
            prompt_id: prompt.id.0,
            text: prompt.text.clone(),
            intent: prompt.intent.clone(),
            topic: prompt.topic.clone(),
            persona: prompt.persona.clone(),
            tags: prompt.tags.0.clone(),
            totals: totals.into(),
            answer_rate: answer_rate.into(),
            mention_rate: mention_rate.into(),
            first_mention_rate: first_mention_rate.into(),
            citation_rate: citation_rate.into(),
        }
    }
}

impl From<metrics::SourceCounts> for SourceCounts {
    fn from(counts: metrics::SourceCounts) -> Self {
        let metrics::SourceCounts { kind, domains, cited, listed } = counts;
        SourceCounts { kind: kind.into(), domains, cited, listed }
    }
}
