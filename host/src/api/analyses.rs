use super::{
    Accepted, Begun, Body, Caller, Once, Paging, Problem, Tag, page,
    types::Timestamp,
    window::{Days, Period, in_body, window},
};
use crate::{
    App, Error,
    ids::{AnalysisId, RunId},
    jobs::start_analysis,
    store::{
        analyses::{self, AnalysisState, NewAnalysis},
        audit_logs, runs, workspaces,
    },
};
use chrono::NaiveDate;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// How far a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AnalysisState", rename_all = "snake_case")]
enum State {
    /// Answers are being read.
    Running,
    Completed,
    /// Cancelled; what was read until then counts.
    Cancelled,
    /// It could not go on; `error` says why. What was read until then counts.
    Failed,
}

/// A second reading of stored answers, with the analysis and the brands of today. No engine is
/// asked, and nothing is paid.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Analysis {
    id: Uuid,
    state: State,
    window: Days,
    /// Only this engine.
    engine: Option<String>,
    /// Only this answer.
    answer_id: Option<Uuid>,
    /// Also answers that are up to date.
    everything: bool,
    /// Answers to read, counted at the start.
    planned: i64,
    /// Answers read.
    analysed: i64,
    /// Answers in which something else was found than before.
    changed: i64,
    /// Answers whose raw payload is gone or cannot be read. They stay as they were.
    unreadable: i64,
    /// Share of the planned answers that were read or could not be, from 0 to 1.
    progress: f64,
    mentions: BeforeAfter,
    citations: BeforeAfter,
    error: Option<String>,
    created_by: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// What was found in the answers read, before and after.
#[derive(Object)]
struct BeforeAfter {
    before: i64,
    after: i64,
}

/// Which stored answers to read again.
#[derive(Object)]
#[oai(rename = "NewAnalysis")]
struct Wanted {
    /// The last days; 30 when no window is named.
    period: Option<Period>,
    /// First day, instead of `period`.
    from: Option<NaiveDate>,
    /// Last day; today when absent. At most 366 days.
    to: Option<NaiveDate>,
    /// Only answers of this engine.
    #[oai(validator(min_length = 1, max_length = 100))]
    engine: Option<String>,
    /// Also answers that today's analysis has read with today's brands.
    #[oai(default)]
    everything: bool,
}

page! {
    /// A page of analyses, newest first.
    AnalysisPage of Analysis
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Runs")]
impl Api {
    /// Create an analysis
    ///
    /// Reads stored answers again in the background: after an alias changed, a competitor was
    /// added or the analysis grew better. Mentions, citations and counts of the answers follow,
    /// day by day. A workspace has one at a time.
    #[oai(path = "/analyses", method = "post", operation_id = "create_analysis")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        wanted: Body<Wanted>,
    ) -> Result<Accepted<Analysis>, Problem> {
        let Wanted { period, from, to, engine, everything } = wanted.0;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Accepted::again(record)),
        };
        let workspace = workspaces::find(&mut tx, caller.workspace).await?;
        let window = in_body(window(&workspace, now, period, from, to))?;
        let new = NewAnalysis {
            from_day: window.from,
            to_day: window.to,
            engine,
            run: None,
            everything,
            created_by: caller.label(),
        };
        let row = start_analysis(&self.0, &mut tx, caller.workspace, new).await?;
        let what = json!({"from": row.from_day, "to": row.to_day, "planned": row.planned});
        audit_logs::note(&mut tx, &caller.actor(), "analysis.create", row.id, what, now).await?;
        let accepted = Accepted::new(format!("/v1/analyses/{}", row.id), &Analysis::from(row));
        doing.finish(&mut tx, &accepted).await?;
        tx.commit().await?;
        self.0.queue.wake();
        Ok(accepted)
    }

    /// Reanalyse an answer
    ///
    /// Reads it again with the analysis and the brands of today, whether it is up to date or not.
    #[oai(path = "/answers/:answer/reanalyse", method = "post", operation_id = "reanalyse_answer")]
    async fn reanalyse(
        &self,
        caller: Caller,
        /// Id of the run.
        answer: Path<Uuid>,
    ) -> Result<Accepted<Analysis>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let run = runs::find(&mut tx, caller.workspace, RunId(answer.0)).await?;
        let answered = run.outcome == Some(runs::RunOutcome::Answer);
        let day = run.day.filter(|_| answered).ok_or(Error::NotFound("answer"))?;
        let new = NewAnalysis {
            from_day: day,
            to_day: day,
            engine: None,
            run: Some(run.id),
            everything: true,
            created_by: caller.label(),
        };
        let row = start_analysis(&self.0, &mut tx, caller.workspace, new).await?;
        let what = json!({"answer": run.id});
        audit_logs::note(&mut tx, &caller.actor(), "analysis.create", row.id, what, now).await?;
        tx.commit().await?;
        self.0.queue.wake();
        Ok(Accepted::new(format!("/v1/analyses/{}", row.id), &Analysis::from(row)))
    }

    /// List the analyses
    #[oai(path = "/analyses", method = "get", operation_id = "list_analyses")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AnalysisPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "analyses", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = analyses::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find an analysis
    #[oai(path = "/analyses/:analysis", method = "get", operation_id = "find_analysis")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the analysis.
        analysis: Path<Uuid>,
    ) -> Result<Json<Analysis>, Problem> {
        let mut conn = self.0.store.read().await?;
        let id = AnalysisId(analysis.0);
        Ok(Json(analyses::find(&mut conn, caller.workspace, id).await?.into()))
    }

    /// Cancel an analysis
    ///
    /// What was read until then counts.
    #[oai(path = "/analyses/:analysis/cancel", method = "post", operation_id = "cancel_analysis")]
    async fn cancel(
        &self,
        caller: Caller,
        /// Id of the analysis.
        analysis: Path<Uuid>,
    ) -> Result<Json<Analysis>, Problem> {
        let (workspace, id, now) = (caller.workspace, AnalysisId(analysis.0), self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        analyses::find(&mut tx, workspace, id).await?;
        let cancelled = AnalysisState::Cancelled;
        if !analyses::finish(&mut tx, workspace, id, cancelled, None, now).await? {
            return Err(Error::Conflict("the analysis has ended".into()).into());
        }
        audit_logs::note(&mut tx, &caller.actor(), "analysis.cancel", id, json!({}), now).await?;
        let row = analyses::find(&mut tx, workspace, id).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }
}

impl From<analyses::Analysis> for Analysis {
    #[expect(clippy::cast_precision_loss, reason = "a share of some millions of answers")]
    fn from(row: analyses::Analysis) -> Self {
        let done = row.analysed + row.unreadable;
        let progress = match (row.state, row.planned) {
            (AnalysisState::Completed, _) => 1.0,
            (_, 0) => 0.0,
            (_, planned) => (done as f64 / planned as f64).min(1.0),
        };
        Analysis {
            id: row.id.0,
            state: match row.state {
                AnalysisState::Running => State::Running,
                AnalysisState::Completed => State::Completed,
                AnalysisState::Cancelled => State::Cancelled,
                AnalysisState::Failed => State::Failed,
            },
            window: Days { from: row.from_day, to: row.to_day },
            engine: row.engine,
            answer_id: row.run_id.map(|id| id.0),
            everything: row.everything,
            planned: row.planned,
            analysed: row.analysed,
            changed: row.changed,
            unreadable: row.unreadable,
            progress,
            mentions: BeforeAfter { before: row.mentions_before, after: row.mentions_after },
            citations: BeforeAfter { before: row.citations_before, after: row.citations_after },
            error: row.error,
            created_by: row.created_by,
            created_at: row.created_at.into(),
            finished_at: row.finished_at.map(Into::into),
        }
    }
}
