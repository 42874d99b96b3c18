use super::{
    Context, DailyAggregations, Job,
    analysis::{BrandAnalyzer, Place},
    run_prompt::stored_outcome,
};
use crate::{
    App, Error, Result,
    ids::{AnalysisId, WorkspaceId},
    queue::Ended,
    store::{
        Conn,
        analyses::{self, Analysis, AnalysisState, Candidate, NewAnalysis, Progress},
        citations::{self, DomainNumbers},
        daily_counts::{self, Cell},
        derived::{self, Reading, Source},
        jobs::{Claimed, JobEnd, NewJob, Priority},
        mentions::Mention,
    },
};
use aiv_runtime::types::{Answer, Outcome};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, panic::AssertUnwindSafe};

/// Reads stored answers again, with the analysis and the brands of today.
///
/// No vendor is asked. A day's counts are counted again with its last answer; until then they are
/// those of the earlier reading.
/// **Invariant:** a page of answers, what was found in it and how far the analysis is change in one
/// transaction, so that a second try goes on where the first one stopped.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReanalyseAnswers {
    pub workspace: WorkspaceId,
    pub analysis: AnalysisId,
}

/// Answers of one transaction.
const PAGE: i64 = 200;
/// Pages of one try: then others may have the worker.
const PAGES: usize = 25;

/// Writes the analysis and its job; wake the queue after the commit.
pub async fn start_analysis(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewAnalysis,
) -> Result<Analysis> {
    let now = app.clock.now();
    let analysis = analyses::insert(conn, workspace, new, now).await?;
    let job = ReanalyseAnswers { workspace, analysis: analysis.id };
    let job = NewJob {
        workspace: Some(workspace),
        priority: Priority::Backfill.value(),
        unique_key: Some(analysis.id.to_string()),
        ..job.queued(app)?
    };
    app.queue.enqueue(conn, &[job], now).await?;
    Ok(analysis)
}

impl ReanalyseAnswers {
    /// Fails the analysis of a job that nobody will try again. The day that it left half read is
    /// counted again by a job of its own.
    pub(super) async fn bury(&self, context: &Context, conn: &mut Conn, error: &str) -> Result<()> {
        let app = &context.app;
        let analysis = match analyses::find(conn, self.workspace, self.analysis).await {
            Err(Error::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let now = app.clock.now();
        let failed = AnalysisState::Failed;
        analyses::finish(conn, self.workspace, self.analysis, failed, Some(error), now).await?;
        let job = DailyAggregations { workspace: self.workspace, day: analysis.next_day };
        let job = NewJob { workspace: Some(self.workspace), ..job.queued(app)? };
        app.queue.enqueue(conn, &[job], now).await.map(drop)
    }
}

impl Job for ReanalyseAnswers {
    const QUEUE: &'static str = "reanalyseAnswers";
    const MAX_ATTEMPTS: i64 = 5;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let store = &context.app.store;
        let mut conn = store.read().await?;
        let mut analysis = analyses::find(&mut conn, self.workspace, self.analysis).await?;
        drop(conn);
        for _ in 0..PAGES {
            if analysis.finished_at.is_some() {
                // Cancelled on the way: what was read of the day shall count.
                count_again(context, &analysis).await?;
                return Ok(Ended::As(JobEnd::Succeeded));
            }
            let mut conn = store.read().await?;
            let (version, page) = analyses::page(&mut conn, &analysis, PAGE).await?;
            drop(conn);
            let went_on = if page.is_empty() {
                end_day(context, &analysis).await
            } else {
                read(context, &analysis, version, page).await
            };
            analysis = match went_on {
                Ok(analysis) => analysis,
                // Somebody cancelled it, or has it now.
                Err(Error::Changed(_)) => {
                    let mut conn = store.read().await?;
                    analyses::find(&mut conn, self.workspace, self.analysis).await?
                }
                Err(other) => return Err(other),
            };
        }
        let run_at = context.app.clock.now();
        Ok(Ended::As(JobEnd::Retry { run_at, counts: false, error: None }))
    }
}

async fn count_again(context: &Context, analysis: &Analysis) -> Result<()> {
    let mut tx = context.app.store.begin().await?;
    daily_counts::rebuild(&mut tx, analysis.workspace_id, analysis.next_day).await?;
    Ok(tx.commit().await?)
}

/// Counts a day that was read, and goes to the next one or to the end.
async fn end_day(context: &Context, analysis: &Analysis) -> Result<Analysis> {
    let app = &context.app;
    let mut tx = app.store.begin().await?;
    if analysis.after_number > 0 {
        daily_counts::rebuild(&mut tx, analysis.workspace_id, analysis.next_day).await?;
    }
    let next = analyses::day_after(&mut tx, analysis).await?;
    let moved = if let Some(day) = next {
        analyses::advance(&mut tx, analysis, (day, 0), Progress::default()).await?
    } else {
        let (workspace, id, now) = (analysis.workspace_id, analysis.id, app.clock.now());
        let completed = AnalysisState::Completed;
        analyses::finish(&mut tx, workspace, id, completed, None, now).await?;
        analyses::find(&mut tx, workspace, id).await?
    };
    tx.commit().await?;
    Ok(moved)
}

/// Reads a page of answers and writes what was found.
async fn read(
    context: &Context,
    analysis: &Analysis,
    brands_version: i64,
    page: Vec<Candidate>,
) -> Result<Analysis> {
    let workspace = analysis.workspace_id;
    let store = &context.app.store;
    let analyzer = context.analyzers.find(store, workspace, brands_version).await?;
    let last = page.last().map_or(analysis.after_number, |candidate| candidate.number);
    let mut found = Progress::default();
    let mut readings = Vec::with_capacity(page.len());
    for candidate in page {
        match read_one(&context.app, &analyzer, analysis, &candidate) {
            Some((mentions, citations)) => readings.push(Reading {
                run_number: candidate.number,
                mentions,
                citations,
                analysis_version: aiv_analysis::ANALYSIS_VERSION.into(),
                brands_version,
            }),
            None => found.unreadable += 1,
        }
    }

    let numbers: Vec<i64> = readings.iter().map(|reading| reading.run_number).collect();
    let mut tx = store.begin().await?;
    let (mentions, sources) = derived::stored(&mut tx, &numbers).await?;
    let mut changed = Vec::new();
    for reading in &readings {
        let before = mentions.get(&reading.run_number).map_or(&[][..], Vec::as_slice);
        let listed = sources.get(&reading.run_number).map_or(&[][..], Vec::as_slice);
        let now: Vec<Source> = reading.citations.iter().map(Source::from).collect();
        if before != reading.mentions || listed != now {
            changed.push(reading);
        }
        found.analysed += 1;
        found.mentions_before += count(before);
        found.mentions_after += count(&reading.mentions);
        found.citations_before += count(listed);
        found.citations_after += count(&now);
    }
    found.changed = count(&changed);
    let names: BTreeSet<&str> =
        changed.iter().flat_map(|r| &r.citations).map(|c| c.domain.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let domains: DomainNumbers = citations::domain_numbers(&mut tx, &names).await?;
    derived::replace(&mut tx, &readings, &changed, &domains).await?;
    let moved = analyses::advance(&mut tx, analysis, (analysis.next_day, last), found).await?;
    tx.commit().await?;
    Ok(moved)
}

/// What the answer says today; `None` when it cannot be read.
fn read_one(
    app: &App,
    analyzer: &BrandAnalyzer,
    analysis: &Analysis,
    candidate: &Candidate,
) -> Option<(Vec<Mention>, Vec<citations::NewCitation>)> {
    let number = candidate.number;
    let outcome = match candidate.raw.as_deref().map(stored_outcome) {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => {
            tracing::warn!(run.number = number, "a stored answer cannot be read: {error:#}");
            None
        }
        None => None,
    };
    let Some(Outcome::Answered(answer)) = outcome else { return None };
    let place = Place {
        run_number: number,
        prompt: candidate.prompt,
        cell: cell(analysis, candidate, analysis.next_day),
        listed_is_visible: listed_is_visible(app, candidate, &answer),
    };
    // A bug that one answer meets shall not keep the others from being read.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| analyzer.analyse(&answer, &place)));
    read.ok().map(|found| (found.mentions, found.citations))
}

fn cell(analysis: &Analysis, candidate: &Candidate, day: NaiveDate) -> Cell {
    Cell { workspace: analysis.workspace_id, day, engine: candidate.engine.clone() }
}

fn listed_is_visible(app: &App, candidate: &Candidate, answer: &Answer) -> bool {
    let route = app.providers.find(&candidate.engine);
    let surface = route.as_ref().and_then(|route| route.surface(&answer.meta.surface));
    surface.is_some_and(|surface| surface.listed_is_visible)
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
