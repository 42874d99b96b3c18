use super::{
    Body, Caller, Problem, Tag,
    types::Timestamp,
    window::{Days, Period, window},
};
use crate::{
    App, Error, metrics,
    store::{audit_logs, citation_opportunities, citations as store, workspaces},
};
use aiv_analysis::citations::{self, snippet};
use chrono::NaiveDate;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON,
};
use serde_json::json;
use uuid::Uuid;

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
pub(super) enum SourceKind {
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

/// Where answers of a window cite a domain.
#[derive(Object)]
struct SnippetList {
    domain: String,
    window: Days,
    /// The newest first.
    data: Vec<Snippet>,
}

/// One citation of a domain, with the words around it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Snippet {
    /// Id of the run.
    answer_id: Uuid,
    prompt_id: Uuid,
    /// Key of the engine.
    engine: String,
    day: NaiveDate,
    url: String,
    title: Option<String>,
    /// From 1, in the order of the engine.
    position: i64,
    /// A reader sees it: cited inline, or listed where the whole list is shown.
    visible: bool,
    /// The words of the answer at which it is cited; absent when it is only listed.
    text: Option<String>,
}

/// Domains that answers cite when they name a competitor and no own brand.
#[derive(Object)]
struct OpportunityList {
    window: Days,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    synthetic: bool,
    /// The best first.
    data: Vec<Opportunity>,
}

/// A domain that answers cite when they name a competitor and no own brand. All of it is observed;
/// nothing is assumed about the domain.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Opportunity {
    /// Registrable domain.
    domain: String,
    kind: SourceKind,
    /// Answers with it that name a competitor and no own brand.
    answers: i64,
    /// Engines that gave such answers.
    engines: i64,
    last_seen: NaiveDate,
    /// Answers × share of the engines asked × ½ for every 14 days since it was last seen.
    score: f64,
    status: OpportunityStatus,
    note: Option<String>,
    updated_by: Option<String>,
    updated_at: Option<Timestamp>,
}

/// What the workspace decided about an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum OpportunityStatus {
    /// Nothing yet.
    Open,
    /// Not worth the effort.
    Dismissed,
    /// Something was done about it.
    Done,
}

/// What was decided about a domain.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct OpportunityDecision {
    domain: String,
    status: OpportunityStatus,
    note: Option<String>,
    updated_by: String,
    updated_at: Timestamp,
}

/// A decision about an opportunity.
#[derive(Object)]
struct OpportunityPatch {
    status: OpportunityStatus,
    /// Why, or what was done.
    #[oai(validator(max_length = 1000))]
    note: Option<String>,
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
    /// List a domain's citations
    ///
    /// Where answers of the window cite it, with the words around, newest first.
    #[oai(path = "/citations/:domain/snippets", method = "get", operation_id = "list_snippets")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn snippets(
        &self,
        caller: Caller,
        /// Registrable domain, as in the list of top domains.
        domain: Path<String>,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
        /// How many citations.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<SnippetList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let domain = domain.0.to_lowercase();
        let days = (window.from, window.to);
        let engine = engine.0.as_deref();
        let limit = limit.0.into();
        let rows = store::places(&mut conn, caller.workspace, &domain, days, engine, limit).await?;
        if rows.is_empty() {
            return Err(Error::NotFound("citation of this domain in the window").into());
        }
        let data = rows.into_iter().map(Into::into).collect();
        Ok(Json(SnippetList { domain, window: window.into(), data }))
    }

    /// List the citation opportunities
    ///
    /// Domains that answers cite when they name a competitor and no own brand.
    #[oai(
        path = "/citations/opportunities",
        method = "get",
        operation_id = "list_citation_opportunities"
    )]
    async fn opportunities(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only those with this status.
        status: Query<Option<OpportunityStatus>>,
        /// How many domains.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<OpportunityList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let status = status.0.map(Into::into);
        let limit = limit.0 as usize;
        let found = metrics::opportunities(&mut conn, &workspace, window, status, limit).await?;
        Ok(Json(OpportunityList {
            window: window.into(),
            synthetic: workspace.synthetic,
            data: found.into_iter().map(Into::into).collect(),
        }))
    }

    /// Update a citation opportunity
    ///
    /// Notes what was decided about it. The decision stays when new answers come in.
    #[oai(
        path = "/citations/opportunities/:domain",
        method = "patch",
        operation_id = "update_citation_opportunity"
    )]
    async fn decide(
        &self,
        caller: Caller,
        /// Registrable domain.
        domain: Path<String>,
        patch: Body<OpportunityPatch>,
    ) -> Result<Json<OpportunityDecision>, Problem> {
        let OpportunityPatch { status, note } = patch.0;
        let domain = domain.0.to_lowercase();
        let (by, now) = (caller.label(), self.0.clock.now());
        let decision = (status.into(), note.as_deref());
        let mut tx = self.0.store.begin().await?;
        let workspace = caller.workspace;
        citation_opportunities::save(&mut tx, workspace, &domain, decision, &by, now).await?;
        let what = json!({"status": status.to_json()});
        let action = "citation_opportunity.update";
        audit_logs::note(&mut tx, &caller.actor(), action, &domain, what, now).await?;
        tx.commit().await?;
        Ok(Json(OpportunityDecision {
            domain,
            status,
            note,
            updated_by: by,
            updated_at: now.into(),
        }))
    }
}

impl From<store::Place> for Snippet {
    fn from(row: store::Place) -> Self {
        let store::Place { run, prompt, engine, day, url, title, position, visible, markers, text } =
            row;
        let text = snippet(&text, &url, &markers);
        Snippet {
            answer_id: run.0,
            prompt_id: prompt.0,
            engine,
            day,
            url,
            title,
            position,
            visible,
            text,
        }
    }
}

impl From<metrics::Opportunity> for Opportunity {
    fn from(row: metrics::Opportunity) -> Self {
        let metrics::Opportunity {
            domain,
            kind,
            answers,
            engines,
            last_seen,
            score,
            status,
            decision,
        } = row;
        let (note, by, at) = decision.map_or((None, None, None), |said| {
            (said.note, Some(said.updated_by), Some(said.updated_at.into()))
        });
        Opportunity {
            domain,
            kind: kind.into(),
            answers,
            engines,
            last_seen,
            score,
            status: status.into(),
            note,
            updated_by: by,
            updated_at: at,
        }
    }
}

impl From<OpportunityStatus> for citation_opportunities::OpportunityStatus {
    fn from(status: OpportunityStatus) -> Self {
        match status {
            OpportunityStatus::Open => citation_opportunities::OpportunityStatus::Open,
            OpportunityStatus::Dismissed => citation_opportunities::OpportunityStatus::Dismissed,
            OpportunityStatus::Done => citation_opportunities::OpportunityStatus::Done,
        }
    }
}

impl From<citation_opportunities::OpportunityStatus> for OpportunityStatus {
    fn from(status: citation_opportunities::OpportunityStatus) -> Self {
        match status {
            citation_opportunities::OpportunityStatus::Open => OpportunityStatus::Open,
            citation_opportunities::OpportunityStatus::Dismissed => OpportunityStatus::Dismissed,
            citation_opportunities::OpportunityStatus::Done => OpportunityStatus::Done,
        }
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
