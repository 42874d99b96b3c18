use super::{
    Caller, Problem, Tag,
    brands::BrandKind,
    estimate::EstimateView,
    types::Nullable,
    window::{Days, Period, window},
};
use crate::{
    App, Error, Result,
    ids::BrandId,
    metrics::{self, Scope, Window},
    store::{
        brands::{self, Brand},
        workspaces::{self, Workspace},
    },
};
use aiv_analysis::metrics::{GhostCounts, VisibilityScore};
use chrono::NaiveDate;
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};
use uuid::Uuid;

/// Which prompts count. The two kinds are never in one denominator: a prompt that names a brand
/// gets it named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum PromptKind {
    /// Prompts that name no own brand.
    #[default]
    NonBrand,
    /// Prompts that name an own brand.
    Branded,
}

/// The state of a workspace in a window, and in the one before.
#[derive(Object)]
struct MetricsOverview {
    /// IANA name of the zone that days are taken in.
    timezone: String,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    prompts: PromptKind,
    current: WindowMetrics,
    /// The window of the same length right before.
    previous: WindowMetrics,
}

/// The state of a workspace in one window.
#[derive(Object)]
struct WindowMetrics {
    window: Days,
    totals: Totals,
    /// Share of valid runs in which the engine showed an answer.
    answer_rate: EstimateView,
    /// Share of engines that name an own brand at all.
    engine_coverage: EstimateView,
    /// Share of prompts with an answer that names an own brand.
    prompt_coverage: EstimateView,
    /// Own part of all citations that a reader sees.
    citation_share: EstimateView,
    ghosts: Ghosts,
    visibility_score: Score,
    /// The tracked brands. The share of voice is taken over exactly these.
    brands: Vec<BrandMetrics>,
    engines: Vec<EngineMetrics>,
}

/// Counts of a window.
#[derive(Object)]
struct Totals {
    /// Runs with an answer.
    answered: i64,
    /// Runs in which the engine showed none.
    no_answer: i64,
    /// Runs that failed; they say nothing about a brand.
    failed: i64,
    /// Citations that a reader sees.
    citations: i64,
}

/// Answers by whether they name an own brand and cite an own site.
#[derive(Object)]
struct Ghosts {
    both: u64,
    named_only: u64,
    cited_only: u64,
    neither: u64,
}

/// One number from 0 to 100, with its parts: 100 × (0.5 mention rate + 0.2 mean reciprocal rank +
/// 0.2 citation rate + 0.1 (net sentiment + 1) / 2), averaged over engines.
#[derive(Object)]
#[oai(rename = "VisibilityScore")]
struct Score {
    value: Nullable<f64>,
    mention_rate: Nullable<f64>,
    mean_reciprocal_rank: Nullable<f64>,
    citation_rate: Nullable<f64>,
    /// −1 to 1.
    net_sentiment: Nullable<f64>,
    /// Engines that it is averaged over.
    engines: u32,
    /// Whether brands may be ordered by it.
    rankable: bool,
}

/// One brand over all engines.
#[derive(Object)]
struct BrandMetrics {
    id: Uuid,
    name: String,
    kind: BrandKind,
    /// Share of answers that name it, each prompt weighing the same.
    mention_rate: EstimateView,
    /// Its part of the answers that name tracked brands.
    share_of_voice: EstimateView,
    /// Share of answers that name it before every other tracked brand.
    first_mention_rate: EstimateView,
    /// Mean of 1 / rank over all answers; 0 where it is absent.
    mean_reciprocal_rank: EstimateView,
    /// Mean rank over the answers that name it. Flatters brands that appear rarely.
    average_position: EstimateView,
    /// Share of answers that cite one of its sites.
    citation_rate: EstimateView,
    /// (positive − negative) / all judged sentences, −1 to 1.
    net_sentiment: EstimateView,
    /// The same by engine.
    engines: Vec<BrandAtEngine>,
}

/// One brand at one engine.
#[derive(Object)]
struct BrandAtEngine {
    engine: String,
    mention_rate: EstimateView,
    share_of_voice: EstimateView,
    citation_rate: EstimateView,
    first_mention_rate: EstimateView,
}

/// One engine.
#[derive(Object)]
struct EngineMetrics {
    engine: String,
    totals: Totals,
    answer_rate: EstimateView,
    citation_share: EstimateView,
}

/// A brand day by day.
#[derive(Object)]
struct MetricsTimeseries {
    brand_id: Uuid,
    brand: String,
    window: Days,
    /// IANA name of the zone that days are taken in.
    timezone: String,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    prompts: PromptKind,
    /// Days with runs, oldest first; days without any are left out.
    data: Vec<DayMetrics>,
}

/// One day of a brand.
#[derive(Object)]
struct DayMetrics {
    day: NaiveDate,
    mention_rate: EstimateView,
    share_of_voice: EstimateView,
    citation_rate: EstimateView,
}

pub(super) mod breakdowns;

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Metrics")]
impl Api {
    /// Find the overview
    ///
    /// Every number of a window with its uncertainty, and the window before beside it.
    #[oai(path = "/metrics/overview", method = "get", operation_id = "find_metrics_overview")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn overview(
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
        /// List only this brand. The share of voice stays over all tracked brands.
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
    ) -> Result<Json<MetricsOverview>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        if let Some(id) = brand.0 {
            brands::find(&mut conn, caller.workspace, BrandId(id)).await?;
        }
        let filters = [tag, intent, topic, persona, language, country];
        let scope = scope(engine.0, filters, prompts.0);
        let current = metrics::load(&mut conn, &workspace, window, &scope).await?;
        let previous = metrics::load(&mut conn, &workspace, window.previous(), &scope).await?;
        drop(conn);
        Ok(Json(MetricsOverview {
            synthetic: workspace.synthetic,
            timezone: workspace.timezone,
            prompts: prompts.0,
            current: WindowMetrics::of(current.overview(), brand.0),
            previous: WindowMetrics::of(previous.overview(), brand.0),
        }))
    }

    /// List a brand's days
    #[oai(path = "/metrics/timeseries", method = "get", operation_id = "list_metrics_timeseries")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn timeseries(
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
    ) -> Result<Json<MetricsTimeseries>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let tracked = brands::tracked(&mut conn, caller.workspace).await?;
        let brand = choose(tracked, brand.0)?;
        let filters = [tag, intent, topic, persona, language, country];
        let scope = scope(engine.0, filters, prompts.0);
        let counts = metrics::load(&mut conn, &workspace, window, &scope).await?;
        drop(conn);
        let days = counts.timeseries(brand.id).unwrap_or_default();
        Ok(Json(MetricsTimeseries::of(&workspace, brand, window, prompts.0, days)))
    }
}

/// What a request asks for; the filters stand in the order of its parameters.
fn scope(
    engine: Option<String>,
    filters: [Query<Option<String>>; 6],
    prompts: PromptKind,
) -> Scope {
    let [tag, intent, topic, persona, language, country] = filters.map(|filter| filter.0);
    let branded = prompts == PromptKind::Branded;
    Scope { engine, tag, intent, topic, persona, language, country, branded }
}

/// The brand of this id, or the first own one.
fn choose(tracked: Vec<Brand>, id: Option<Uuid>) -> Result<Brand> {
    let wanted = |brand: &Brand| match id {
        Some(id) => brand.id.0 == id,
        None => brand.kind == brands::BrandKind::Own,
    };
    tracked.into_iter().find(wanted).ok_or(Error::NotFound("brand"))
}

impl WindowMetrics {
    fn of(overview: metrics::Overview, only: Option<Uuid>) -> Self {
        let metrics::Overview {
            window,
            synthetic: _,
            totals,
            answer_rate,
            engine_coverage,
            prompt_coverage,
            citation_share,
            ghosts,
            visibility_score,
            brands,
            engines,
        } = overview;
        let wanted = |brand: &metrics::BrandMetrics| only.is_none_or(|id| brand.brand.0 == id);
        WindowMetrics {
            window: window.into(),
            totals: totals.into(),
            answer_rate: answer_rate.into(),
            engine_coverage: engine_coverage.into(),
            prompt_coverage: prompt_coverage.into(),
            citation_share: citation_share.into(),
            ghosts: ghosts.into(),
            visibility_score: visibility_score.into(),
            brands: brands.into_iter().filter(wanted).map(Into::into).collect(),
            engines: engines.into_iter().map(Into::into).collect(),
        }
    }
}

impl MetricsTimeseries {
    fn of(
        workspace: &Workspace,
        brand: Brand,
        window: Window,
        prompts: PromptKind,
        days: Vec<metrics::DayMetrics>,
    ) -> Self {
        MetricsTimeseries {
            brand_id: brand.id.0,
            brand: brand.name,
            window: window.into(),
            timezone: workspace.timezone.clone(),
            synthetic: workspace.synthetic,
            prompts,
            data: days.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<metrics::Totals> for Totals {
    fn from(totals: metrics::Totals) -> Self {
        let metrics::Totals { answered, no_answer, failed, citations } = totals;
        Totals { answered, no_answer, failed, citations }
    }
}

impl From<GhostCounts> for Ghosts {
    fn from(counts: GhostCounts) -> Self {
        let GhostCounts { both, named_only, cited_only, neither } = counts;
        Ghosts { both, named_only, cited_only, neither }
    }
}

impl From<VisibilityScore> for Score {
    fn from(score: VisibilityScore) -> Self {
        let VisibilityScore { value, parts, engines, rankable } = score;
        Score {
            value: Nullable(value),
            mention_rate: Nullable(parts.mention_rate),
            mean_reciprocal_rank: Nullable(parts.mean_reciprocal_rank),
            citation_rate: Nullable(parts.citation_rate),
            net_sentiment: Nullable(parts.net_sentiment),
            engines,
            rankable,
        }
    }
}

impl From<metrics::BrandMetrics> for BrandMetrics {
    fn from(metrics: metrics::BrandMetrics) -> Self {
        let metrics::BrandMetrics {
            brand,
            name,
            kind,
            mention_rate,
            share_of_voice,
            first_mention_rate,
            mean_reciprocal_rank,
            average_position,
            citation_rate,
            net_sentiment,
            engines,
        } = metrics;
        BrandMetrics {
            id: brand.0,
            name,
            kind: kind.into(),
            mention_rate: mention_rate.into(),
            share_of_voice: share_of_voice.into(),
            first_mention_rate: first_mention_rate.into(),
            mean_reciprocal_rank: mean_reciprocal_rank.into(),
            average_position: average_position.into(),
            citation_rate: citation_rate.into(),
            net_sentiment: net_sentiment.into(),
            engines: engines.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<metrics::BrandAtEngine> for BrandAtEngine {
    fn from(metrics: metrics::BrandAtEngine) -> Self {
        let metrics::BrandAtEngine {
            engine,
            mention_rate,
            share_of_voice,
            citation_rate,
            first_mention_rate,
        } = metrics;
        BrandAtEngine {
            engine,
            mention_rate: mention_rate.into(),
            share_of_voice: share_of_voice.into(),
            citation_rate: citation_rate.into(),
            first_mention_rate: first_mention_rate.into(),
        }
    }
}

impl From<metrics::EngineMetrics> for EngineMetrics {
    fn from(metrics: metrics::EngineMetrics) -> Self {
        let metrics::EngineMetrics { engine, totals, answer_rate, citation_share } = metrics;
        EngineMetrics {
            engine,
            totals: totals.into(),
            answer_rate: answer_rate.into(),
            citation_share: citation_share.into(),
        }
    }
}

impl From<metrics::DayMetrics> for DayMetrics {
    fn from(metrics: metrics::DayMetrics) -> Self {
        let metrics::DayMetrics { day, mention_rate, share_of_voice, citation_rate } = metrics;
        DayMetrics {
            day,
            mention_rate: mention_rate.into(),
            share_of_voice: share_of_voice.into(),
            citation_rate: citation_rate.into(),
        }
    }
}
