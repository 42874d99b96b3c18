use super::{Context, Job};
use crate::{
    App, Result,
    ids::{ReportId, ScheduleId, WorkspaceId},
    metrics::{self, Overview, Scope, Window},
    queue::Ended,
    store::{
        Conn, costs,
        jobs::{Claimed, JobEnd, NewJob, Priority},
        reports::{self, Report, ReportState},
        workspaces,
    },
};
use aiv_analysis::metrics::Estimate;
use anyhow::Context as _;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod render;

pub use self::render::{Format, render};

/// Makes a report of what a window came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct BuildReport {
    pub workspace: WorkspaceId,
    pub report: ReportId,
}

/// What a schedule asks for, each time: the days before its slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduledReport {
    pub title: String,
    pub days: i64,
}

/// A report to make.
#[derive(Debug, Clone)]
pub struct ReportRequest {
    pub title: String,
    pub window: Window,
    pub schedule: Option<ScheduleId>,
}

/// What a window came to, as the report keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    pub workspace: String,
    pub timezone: String,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    pub synthetic: bool,
    pub current: Numbers,
    /// The window of the same length right before.
    pub previous: Numbers,
    pub domains: Vec<DomainLine>,
    pub costs: Vec<CostLine>,
}

/// The numbers of one window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Numbers {
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub answered: i64,
    pub no_answer: i64,
    pub failed: i64,
    pub citations: i64,
    /// 0 to 100.
    pub visibility_score: Option<f64>,
    pub answer_rate: Estimate,
    pub prompt_coverage: Estimate,
    pub engine_coverage: Estimate,
    pub citation_share: Estimate,
    pub brands: Vec<BrandLine>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BrandLine {
    pub name: String,
    pub own: bool,
    pub mention_rate: Estimate,
    pub share_of_voice: Estimate,
    pub first_mention_rate: Estimate,
    pub citation_rate: Estimate,
    pub net_sentiment: Estimate,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DomainLine {
    pub domain: String,
    pub answers: i64,
    /// Answers with it that name a competitor and no own brand.
    pub competitor_only: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CostLine {
    pub engine: String,
    pub micros: i64,
    pub calls: i64,
}

/// Domains of a report.
const DOMAINS: i64 = 20;

/// Writes a report that is to be made and the job that makes it; wake the queue after the commit.
pub async fn start_report(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    request: ReportRequest,
    created_by: &str,
) -> Result<Report> {
    let now = app.clock.now();
    let ReportRequest { title, window, schedule } = request;
    let report = Report {
        id: ReportId::generate(),
        workspace_id: workspace,
        title,
        from_day: window.from,
        to_day: window.to,
        schedule_id: schedule,
        state: ReportState::Queued,
        error: None,
        content: None,
        created_by: created_by.into(),
        created_at: now,
        finished_at: None,
    };
    reports::insert(conn, &report).await?;
    let priority = if schedule.is_some() { Priority::Scheduled } else { Priority::Interactive };
    let job = NewJob {
        workspace: Some(workspace),
        priority: priority.value(),
        unique_key: Some(report.id.to_string()),
        ..BuildReport { workspace, report: report.id }.queued(app)?
    };
    app.queue.enqueue(conn, &[job], now).await?;
    Ok(report)
}

impl Job for BuildReport {
    const QUEUE: &'static str = "buildReport";
    const MAX_ATTEMPTS: i64 = 3;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let app = &context.app;
        let mut conn = app.store.read().await?;
        let report = match reports::find(&mut conn, self.workspace, self.report).await {
            // Deleted before it was made.
            Err(crate::Error::NotFound(_)) => return Ok(Ended::As(JobEnd::Cancelled)),
            found => found?,
        };
        if report.state != ReportState::Queued {
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let told = gather(&mut conn, &report).await?;
        drop(conn);
        let told = serde_json::to_value(told).context("write a report")?;
        let mut tx = app.store.begin().await?;
        reports::finish(&mut tx, &report, Ok(&told), app.clock.now()).await?;
        tx.commit().await?;
        Ok(Ended::As(JobEnd::Succeeded))
    }
}

impl BuildReport {
    /// No further try helps: says so on the report.
    pub(super) async fn bury(self, app: &App, conn: &mut Conn) -> Result<()> {
        let report = match reports::find(conn, self.workspace, self.report).await {
            Err(crate::Error::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let why = "the report could not be made: its operator finds the cause in the log";
        reports::finish(conn, &report, Err(why), app.clock.now()).await?;
        Ok(())
    }
}

/// Counts what a report tells.
async fn gather(conn: &mut Conn, report: &Report) -> Result<Content> {
    let workspace = workspaces::find(conn, report.workspace_id).await?;
    let window = Window { from: report.from_day, to: report.to_day };
    let scope = Scope::default();
    let current = metrics::load(conn, &workspace, window, &scope).await?.overview();
    let previous = metrics::load(conn, &workspace, window.previous(), &scope).await?.overview();
    let domains = metrics::top_domains(conn, &workspace, window, DOMAINS).await?;
    let spent = costs::by_day_and_engine(conn, workspace.id, window.from, window.to).await?;
    let mut by_engine: BTreeMap<String, CostLine> = BTreeMap::new();
    for row in spent {
        let engine = row.engine.unwrap_or_default();
        let line =
            by_engine.entry(engine.clone()).or_insert(CostLine { engine, micros: 0, calls: 0 });
        line.micros += row.micros;
        line.calls += row.calls;
    }
    Ok(Content {
        synthetic: workspace.synthetic,
        workspace: workspace.name,
        timezone: workspace.timezone,
        current: current.into(),
        previous: previous.into(),
        domains: domains
            .into_iter()
            .map(|row| DomainLine {
                domain: row.domain,
                answers: row.answers,
                competitor_only: row.competitor_only,
            })
            .collect(),
        costs: by_engine.into_values().collect(),
    })
}

impl From<Overview> for Numbers {
    fn from(overview: Overview) -> Self {
        let Overview {
            window,
            synthetic: _,
            totals,
            answer_rate,
            engine_coverage,
            prompt_coverage,
            citation_share,
            ghosts: _,
            visibility_score,
            brands,
            engines: _,
        } = overview;
        Numbers {
            from: window.from,
            to: window.to,
            answered: totals.answered,
            no_answer: totals.no_answer,
            failed: totals.failed,
            citations: totals.citations,
            visibility_score: visibility_score.value,
            answer_rate,
            prompt_coverage,
            engine_coverage,
            citation_share,
            brands: brands
                .into_iter()
                .map(|brand| BrandLine {
                    name: brand.name,
                    own: brand.kind == crate::store::brands::BrandKind::Own,
                    mention_rate: brand.mention_rate,
                    share_of_voice: brand.share_of_voice,
                    first_mention_rate: brand.first_mention_rate,
                    citation_rate: brand.citation_rate,
                    net_sentiment: brand.net_sentiment,
                })
                .collect(),
        }
    }
}
