use super::{
    Accepted, Begun, Body, Caller, Created, Once, Paging, Problem, Tag,
    download::{Archive, Download, GZIP, parts},
    page,
    types::Timestamp,
};
use crate::{
    App, Error, Result,
    ids::{ExportId, WorkspaceId},
    jobs::start_export,
    store::{
        audit_logs,
        exports::{self, Export, ExportFormat, ExportState},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use poem::{IntoResponse, Request, Response};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ExportState", rename_all = "snake_case")]
enum State {
    /// It is being written.
    Running,
    /// It can be fetched until `expires_at`.
    Completed,
    Failed,
    /// It is gone: make another one.
    Expired,
}

/// How the files in the archive are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename = "ExportFormat", rename_all = "snake_case")]
enum Format {
    /// One JSON object per line.
    #[default]
    Ndjson,
    /// For spreadsheets; what is nested stands there as JSON.
    Csv,
}

/// What an export may hold besides the workspace's own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ExportInclude {
    /// Who did what.
    AuditLog,
    /// What engines sent, word for word: often a hundred times the rest.
    RawPayloads,
}

impl ExportInclude {
    /// The section of the archive.
    fn section(self) -> &'static str {
        match self {
            ExportInclude::AuditLog => "audit_log",
            ExportInclude::RawPayloads => "raw_payloads",
        }
    }
}

/// A workspace's data as one `.tar.gz`: brands, facts, intents, topics, personas, prompts with
/// their versions, engines, schedules, batches, runs, answers, mentions, citations and the cost
/// ledger; on request the audit log and the raw payloads.
#[derive(Object)]
#[oai(rename = "Export", skip_serializing_if_is_none)]
struct View {
    id: Uuid,
    state: State,
    format: Format,
    include: Vec<ExportInclude>,
    /// Files in the archive.
    files: i64,
    /// Rows in all of them.
    records: i64,
    /// Bytes of the archive.
    size: i64,
    error: Option<String>,
    created_by: String,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

/// What to export.
#[derive(Object)]
struct NewExport {
    /// How the files are written.
    #[oai(default)]
    format: Format,
    /// What is left out unless it is asked for.
    #[oai(default, validator(max_items = 2))]
    include: Vec<ExportInclude>,
}

/// An address that opens the archive once, without a key.
#[derive(Object)]
struct DownloadLink {
    /// Path on this host. It is shown now and never again.
    url: String,
    expires_at: Timestamp,
}

page! {
    /// A page of exports, newest first.
    ExportPage of View
}

/// How long a link works.
const LINK: TimeDelta = TimeDelta::minutes(15);

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Workspaces")]
impl Api {
    /// Create an export
    ///
    /// Writes the workspace's data into an archive in the background. It is kept for seven days.
    #[oai(path = "/exports", method = "post", operation_id = "create_export")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewExport>,
    ) -> Result<Accepted<View>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Accepted::again(record)),
        };
        let NewExport { format, include } = new.0;
        let format = match format {
            Format::Ndjson => ExportFormat::Ndjson,
            Format::Csv => ExportFormat::Csv,
        };
        let by = caller.label();
        let includes: Vec<String> = include.iter().map(|part| part.section().into()).collect();
        let row = start_export(&self.0, &mut tx, caller.workspace, format, &includes, &by).await?;
        let (id, what) = (row.id, json!({"include": includes}));
        audit_logs::note(&mut tx, &caller.actor(), "export.create", id, what, now).await?;
        let accepted = Accepted::new(format!("/v1/exports/{id}"), &View::of(row, &self.0));
        doing.finish(&mut tx, &accepted).await?;
        tx.commit().await?;
        self.0.queue.wake();
        Ok(accepted)
    }

    /// List the exports
    #[oai(path = "/exports", method = "get", operation_id = "list_exports")]
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
    ) -> Result<Json<ExportPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "exports", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = exports::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        let rows = rows.into_iter().map(|row| View::of(row, &self.0)).collect();
        Ok(Json(page.close(rows, |row: &View| ExportId(row.id))?.into()))
    }

    /// Find an export
    #[oai(path = "/exports/:export", method = "get", operation_id = "find_export")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the export.
        export: Path<Uuid>,
    ) -> Result<Json<View>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = exports::find(&mut conn, caller.workspace, ExportId(export.0)).await?;
        Ok(Json(View::of(row, &self.0)))
    }

    /// Download an export
    #[oai(path = "/exports/:export/download", method = "get", operation_id = "download_export")]
    async fn download(
        &self,
        caller: Caller,
        /// Id of the export.
        export: Path<Uuid>,
    ) -> Result<Download<Archive>, Problem> {
        let id = ExportId(export.0);
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let file = archive(&self.0, &mut tx, caller.workspace, id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "export.download", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(file)
    }

    /// Create a download link
    ///
    /// An address for a browser, or for somebody without a key: it opens the archive once, within
    /// fifteen minutes.
    #[oai(path = "/exports/:export/links", method = "post", operation_id = "create_download_link")]
    async fn link(
        &self,
        caller: Caller,
        /// Id of the export.
        export: Path<Uuid>,
    ) -> Result<Created<DownloadLink>, Problem> {
        let id = ExportId(export.0);
        let (by, now) = (caller.label(), self.0.clock.now());
        let secret: [u8; 32] = rand::random();
        let expires_at = now + LINK;
        let mut tx = self.0.store.begin().await?;
        let row = exports::find(&mut tx, caller.workspace, id).await?;
        fetchable(&self.0, &row)?;
        let hash = Sha256::digest(secret);
        exports::add_link(&mut tx, &row, &hash, expires_at, &by, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "export.link", id, json!({}), now).await?;
        tx.commit().await?;
        let url = format!("/downloads/{}", URL_SAFE_NO_PAD.encode(secret));
        let link = DownloadLink { url: url.clone(), expires_at: expires_at.into() };
        Ok(Created::new(url, &link))
    }
}

/// The file behind a link, for whoever holds it; the link is used up.
pub(super) async fn open(app: &App, request: &Request) -> poem::Result<Response> {
    let secret = request.uri().path().rsplit('/').next().unwrap_or_default();
    let secret = URL_SAFE_NO_PAD.decode(secret).unwrap_or_default();
    let opened = async {
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let (workspace, id) = exports::use_link(&mut tx, &Sha256::digest(secret), now).await?;
        let file = archive(app, &mut tx, workspace, id).await?;
        let actor =
            audit_logs::Actor { workspace: Some(workspace), name: "link".into(), request_id: None };
        audit_logs::note(&mut tx, &actor, "export.download", id, json!({}), now).await?;
        tx.commit().await?;
        Ok::<_, Error>(file)
    };
    opened.await.map(IntoResponse::into_response).map_err(|error| Problem::from(error).into())
}

fn fetchable(app: &App, row: &Export) -> Result<()> {
    match View::state(row, app) {
        State::Completed => Ok(()),
        State::Running => Err(Error::Conflict("the export is still being written".into())),
        State::Failed | State::Expired => {
            Err(Error::Conflict("the export is gone: make another one".into()))
        }
    }
}

/// The archive of an export, read piece by piece while it is sent.
async fn archive(
    app: &App,
    conn: &mut crate::store::Conn,
    workspace: WorkspaceId,
    id: ExportId,
) -> Result<Download<Archive>> {
    let row = exports::find(conn, workspace, id).await?;
    fetchable(app, &row)?;
    let name = format!("export-{}.tar.gz", row.created_at.format("%Y-%m-%d"));
    let store = app.store.clone();
    let pieces = parts(0_i64, move |number| {
        let store = store.clone();
        async move {
            let mut conn = store.read().await?;
            let piece = exports::part(&mut conn, workspace, id, number).await?;
            Ok(piece.map(|bytes| (bytes.into(), number + 1)))
        }
    });
    Ok(Download::streamed(name, GZIP, pieces))
}

impl View {
    fn state(row: &Export, app: &App) -> State {
        match row.state {
            ExportState::Running => State::Running,
            ExportState::Failed => State::Failed,
            ExportState::Completed => {
                let over = row.expires_at.is_some_and(|end| end <= app.clock.now());
                if over { State::Expired } else { State::Completed }
            }
        }
    }

    fn of(row: Export, app: &App) -> Self {
        let state = Self::state(&row, app);
        let Export {
            id,
            workspace_id: _,
            state: _,
            format,
            includes,
            files,
            records,
            size,
            error,
            created_by,
            created_at,
            finished_at,
            expires_at,
        } = row;
        let known = [ExportInclude::AuditLog, ExportInclude::RawPayloads];
        let held = |part: &ExportInclude| includes.iter().any(|name| name == part.section());
        View {
            id: id.0,
            state,
            format: match format {
                ExportFormat::Ndjson => Format::Ndjson,
                ExportFormat::Csv => Format::Csv,
            },
            include: known.into_iter().filter(held).collect(),
            files,
            records,
            size,
            error,
            created_by,
            created_at: created_at.into(),
            finished_at: finished_at.map(Into::into),
            expires_at: expires_at.map(Into::into),
        }
    }
}
