use super::{
    Caller, Problem, Tag,
    window::{Days, Period, window},
};
use crate::{App, metrics, store::workspaces};
use aiv_analysis::citations;
use chrono::NaiveDate;
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};

/// The domains that readers saw most.
#[derive(Object)]
struct TopDomainList {
    window: Days,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    /// Most seen first.
    data: Vec<TopDomain>,
}

/// A domain that answers give as a source.
#[derive(Object)]
struct TopDomain {
    /// Registrable domain.
    domain: String,
    kind: SourceKind,
    /// Answers in which a reader sees it.
    answers: i64,
    /// Inline references.
    cited: i64,
    /// Times that it was only listed as a source.
    listed: i64,
    /// Answers with it that name a competitor and no own brand.
    competitor_only: i64,
    /// Engines that gave it.
    engines: Vec<String>,
    last_seen: NaiveDate,
}

/// What sort of site a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum SourceKind {
    OwnSite,
    CompetitorSite,
    News,
    Reference,
    ReviewDirectory,
    ForumSocial,
    Video,
    GovEdu,
    Commerce,
    Other,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Metrics")]
impl Api {
    /// List the top domains
    ///
    /// The domains that readers saw in most answers, most seen first.
    #[oai(path = "/citations/top-domains", method = "get", operation_id = "list_top_domains")]
    async fn top_domains(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// How many domains.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<TopDomainList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let domains = metrics::top_domains(&mut conn, &workspace, window, limit.0.into()).await?;
        Ok(Json(TopDomainList {
            window: window.into(),
            synthetic: workspace.synthetic,
            data: domains.into_iter().map(Into::into).collect(),
        }))
    }
}

impl From<metrics::TopDomain> for TopDomain {
    fn from(row: metrics::TopDomain) -> Self {
        let metrics::TopDomain {
            domain,
            kind,
            answers,
            cited,
            listed,
            competitor_only,
            engines,
            last_seen,
        } = row;
        let kind = kind.into();
        TopDomain { domain, kind, answers, cited, listed, competitor_only, engines, last_seen }
    }
}

impl From<citations::SourceKind> for SourceKind {
    fn from(kind: citations::SourceKind) -> Self {
        match kind {
            citations::SourceKind::OwnSite => SourceKind::OwnSite,
            citations::SourceKind::CompetitorSite => SourceKind::CompetitorSite,
            citations::SourceKind::News => SourceKind::News,
            citations::SourceKind::Reference => SourceKind::Reference,
            citations::SourceKind::ReviewDirectory => SourceKind::ReviewDirectory,
            citations::SourceKind::ForumSocial => SourceKind::ForumSocial,
            citations::SourceKind::Video => SourceKind::Video,
            citations::SourceKind::GovEdu => SourceKind::GovEdu,
            citations::SourceKind::Commerce => SourceKind::Commerce,
            citations::SourceKind::Other => SourceKind::Other,
        }
    }
}
