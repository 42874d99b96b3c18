use super::{
    Accepted, Begun, Body, Caller, Deleted, Once, Paging, Problem, Tag, page,
    rules::Rules,
    types::Timestamp,
    window::{Days, in_body, window},
};
use crate::{
    App, Error, Result,
    ids::ReportId,
    jobs::build_report::{Content, Format, ReportRequest, render, start_report},
    metrics::Window,
    store::{
        audit_logs,
        reports::{self, ReportState},
        workspaces,
    },
};
use anyhow::Context as _;
use chrono::NaiveDate;
use poem::{IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Any, Type},
};
use serde_json::json;
use uuid::Uuid;

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ReportState", rename_all = "snake_case")]
enum State {
    /// It is being made.
    Queued,
    Ready,
    Failed,
}

/// What a report can be had as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ReportFormat {
    Json,
    Csv,
    Markdown,
    Html,
}

/// What a window came to, as it was known when the report was made.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Report {
    id: Uuid,
    title: String,
    window: Days,
    /// The schedule that asked for it.
    schedule_id: Option<Uuid>,
    state: State,
    /// Why it could not be made.
    error: Option<String>,
    /// The numbers of the window and of the one before, the sources and the costs, once it is
    /// ready. Lists leave it out.
    content: Option<Any<serde_json::Value>>,
    created_by: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// A report to make.
#[derive(Object)]
struct NewReport {
    #[oai(default = "title", validator(min_length = 1, max_length = 200))]
    title: String,
    /// First day; 30 days before `to` when absent.
    from: Option<NaiveDate>,
    /// Last day, in the workspace's time zone; yesterday when both are absent, else today.
    to: Option<NaiveDate>,
}

fn title() -> String {
    "Report".into()
}

page! {
    /// A page of reports, newest first.
    ReportPage of Report
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Reports")]
impl Api {
    /// Create a report
    ///
    /// It is made in the background from the metrics of the window, the window before, the sources
    /// and the costs. A schedule makes one again and again: `POST /v1/schedules` with a `report`.
    #[oai(path = "/reports", method = "post", operation_id = "create_report")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewReport>,
    ) -> Result<Accepted<Report>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let NewReport { title, from, to } = new.0;
        let mut rules = Rules::default();
        rules.name("/title", &title);
        rules.check()?;
        let mut tx = app.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Accepted::again(record)),
        };
        let workspace = workspaces::find(&mut tx, caller.workspace).await?;
        let window = match (from, to) {
            (None, None) => {
                let today = workspace.day(now);
                Window::last(30, today.pred_opt().unwrap_or(today))
            }
            (None, Some(to)) => Window::last(30, to),
            (from, to) => in_body(window(&workspace, now, None, from, to))?,
        };
        let request = ReportRequest { title: title.trim().into(), window, schedule: None };
        let row = start_report(app, &mut tx, caller.workspace, request, &caller.label()).await?;
        let what = json!({"title": row.title, "from": row.from_day, "to": row.to_day});
        audit_logs::note(&mut tx, &caller.actor(), "report.create", row.id, what, now).await?;
        let accepted = Accepted::new(format!("/v1/reports/{}", row.id), &Report::from(row));
        doing.finish(&mut tx, &accepted).await?;
        tx.commit().await?;
        app.queue.wake();
        Ok(accepted)
    }

    /// List the reports
    #[oai(path = "/reports", method = "get", operation_id = "list_reports")]
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
    ) -> Result<Json<ReportPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "reports", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = reports::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a report
    #[oai(path = "/reports/:report", method = "get", operation_id = "find_report")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the report.
        report: Path<Uuid>,
    ) -> Result<Json<Report>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = reports::find(&mut conn, caller.workspace, ReportId(report.0)).await?;
        Ok(Json(row.into()))
    }

    /// Download a report
    #[oai(path = "/reports/:report/download", method = "get", operation_id = "download_report")]
    async fn download(
        &self,
        caller: Caller,
        /// Id of the report.
        report: Path<Uuid>,
        /// What it is to be.
        #[oai(default = "html")]
        format: Query<ReportFormat>,
    ) -> Result<Download, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = reports::find(&mut conn, caller.workspace, ReportId(report.0)).await?;
        drop(conn);
        let Some(content) = row.content else {
            let detail = "the report is not ready: look at its state";
            return Err(Error::Conflict(detail.into()).into());
        };
        let read = || -> Result<Content> {
            Ok(serde_json::from_value(content.0.clone()).context("read a report")?)
        };
        let text = match format.0 {
            ReportFormat::Json => content.0.to_string(),
            ReportFormat::Csv => render(&row.title, &read()?, Format::Csv),
            ReportFormat::Markdown => render(&row.title, &read()?, Format::Markdown),
            ReportFormat::Html => render(&row.title, &read()?, Format::Html),
        };
        Ok(Download { format: format.0, name: format!("report-{}", row.id), text })
    }

    /// Delete a report
    #[oai(path = "/reports/:report", method = "delete", operation_id = "delete_report")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the report.
        report: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let (now, id) = (self.0.clock.now(), ReportId(report.0));
        let mut tx = self.0.store.begin().await?;
        reports::delete(&mut tx, caller.workspace, id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "report.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

fn html() -> ReportFormat {
    ReportFormat::Html
}

/// 200: a report as a file.
struct Download {
    format: ReportFormat,
    name: String,
    text: String,
}

impl ReportFormat {
    const ALL: [ReportFormat; 4] =
        [ReportFormat::Json, ReportFormat::Csv, ReportFormat::Markdown, ReportFormat::Html];

    const fn media_type(self) -> &'static str {
        match self {
            ReportFormat::Json => "application/json",
            ReportFormat::Csv => "text/csv",
            ReportFormat::Markdown => "text/markdown",
            ReportFormat::Html => "text/html",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            ReportFormat::Json => "json",
            ReportFormat::Csv => "csv",
            ReportFormat::Markdown => "md",
            ReportFormat::Html => "html",
        }
    }
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let Download { format, name, text } = self;
        let kind = match format {
            ReportFormat::Json => format.media_type().to_owned(),
            _ => format!("{}; charset=utf-8", format.media_type()),
        };
        let file = format!("attachment; filename=\"{name}.{}\"", format.extension());
        Response::builder()
            .header(header::CONTENT_TYPE, kind)
            .header(header::CONTENT_DISPOSITION, file)
            .body(text)
    }
}

impl ApiResponse for Download {
    fn meta() -> MetaResponses {
        let content = ReportFormat::ALL.into_iter().map(|format| MetaMediaType {
            content_type: format.media_type(),
            schema: match format {
                ReportFormat::Json => Any::<serde_json::Value>::schema_ref(),
                _ => String::schema_ref(),
            },
        });
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The report as a file.",
                status: Some(200),
                status_range: None,
                content: content.collect(),
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

impl From<reports::Report> for Report {
    fn from(row: reports::Report) -> Self {
        let reports::Report {
            id,
            workspace_id: _,
            title,
            from_day,
            to_day,
            schedule_id,
            state,
            error,
            content,
            created_by,
            created_at,
            finished_at,
        } = row;
        Report {
            id: id.0,
            title,
            window: Window { from: from_day, to: to_day }.into(),
            schedule_id: schedule_id.map(|id| id.0),
            state: match state {
                ReportState::Queued => State::Queued,
                ReportState::Ready => State::Ready,
                ReportState::Failed => State::Failed,
            },
            error,
            content: content.map(|content| Any(content.0)),
            created_by,
            created_at: created_at.into(),
            finished_at: finished_at.map(Into::into),
        }
    }
}
