use super::{Context, Job, archive};
use crate::{
    App, Error, Result,
    ids::{ExportId, WorkspaceId},
    queue::Ended,
    store::{
        Conn,
        export_rows::{self, ON_REQUEST, SECTIONS, Section},
        exports::{self, Export, ExportFormat, Size},
        jobs::{Claimed, JobEnd, NewJob, Priority},
    },
};
use anyhow::Context as _;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Writes a workspace's data into one archive.
///
/// Rows are read by pages and never held as a whole. A second try begins anew and replaces the
/// pieces of the first.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportWorkspace {
    pub workspace: WorkspaceId,
    pub export: ExportId,
}

/// Ids whose rows are read at once.
const PAGE: i64 = 500;
/// A file of the archive is closed when it is longer than this.
const FILE: usize = 4 << 20;
/// How long an archive is kept.
pub(crate) const KEPT: TimeDelta = TimeDelta::days(7);

/// Writes the export and its job; wake the queue after the commit.
pub async fn start_export(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    format: ExportFormat,
    includes: &[String],
    created_by: &str,
) -> Result<Export> {
    let now = app.clock.now();
    let export = exports::insert(conn, workspace, format, includes, created_by, now).await?;
    let job = ExportWorkspace { workspace, export: export.id };
    let job = NewJob {
        workspace: Some(workspace),
        priority: Priority::Backfill.value(),
        unique_key: Some(export.id.to_string()),
        ..job.queued(app)?
    };
    app.queue.enqueue(conn, &[job], now).await?;
    Ok(export)
}

impl ExportWorkspace {
    /// Fails the export of a job that nobody will try again.
    pub(super) async fn bury(&self, context: &Context, conn: &mut Conn, error: &str) -> Result<()> {
        let now = context.app.clock.now();
        exports::fail(conn, self.workspace, self.export, error, now).await
    }
}

impl Job for ExportWorkspace {
    const QUEUE: &'static str = "exportWorkspace";
    const MAX_ATTEMPTS: i64 = 3;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let app = &context.app;
        let mut conn = app.store.read().await?;
        let export = match exports::find(&mut conn, self.workspace, self.export).await {
            // The workspace is gone, and the export with it.
            Err(Error::NotFound(_)) => return Ok(Ended::As(JobEnd::Cancelled)),
            found => found?,
        };
        drop(conn);
        if export.finished_at.is_some() {
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let mut writer = Writer { app, export: &export, size: Size::default() };
        let wanted = |section: &&Section| export.includes.iter().any(|name| name == section.name);
        for section in SECTIONS.iter().chain(ON_REQUEST.iter().filter(wanted)) {
            writer.section(section).await?;
        }
        writer.keep(archive::end().await?).await?;
        let (size, now) = (writer.size, app.clock.now());
        let mut tx = app.store.begin().await?;
        exports::complete(&mut tx, self.workspace, self.export, size, now + KEPT, now).await?;
        tx.commit().await?;
        Ok(Ended::As(JobEnd::Succeeded))
    }
}

/// An archive in the making.
struct Writer<'a> {
    app: &'a App,
    export: &'a Export,
    size: Size,
}

impl Writer<'_> {
    async fn section(&mut self, section: &Section) -> Result<()> {
        let (mut after, mut number, mut content) = (None, 1, self.head(section)?);
        loop {
            let mut conn = self.app.store.read().await?;
            let workspace = self.export.workspace_id;
            let (rows, last) =
                export_rows::page(&mut conn, section, workspace, after, PAGE).await?;
            drop(conn);
            self.size.records += i64::try_from(rows.len()).unwrap_or(i64::MAX);
            for row in rows {
                self.write(section, row, &mut content)?;
            }
            if last.is_none() {
                break;
            }
            after = last;
            if content.len() >= FILE {
                self.close(section, number, &content).await?;
                (number, content) = (number + 1, self.head(section)?);
            }
        }
        self.close(section, number, &content).await
    }

    fn head(&self, section: &Section) -> Result<Vec<u8>> {
        match self.export.format {
            ExportFormat::Ndjson => Ok(vec![]),
            ExportFormat::Csv => record(section.columns().map(str::to_owned)),
        }
    }

    fn write(&self, section: &Section, row: Vec<Value>, content: &mut Vec<u8>) -> Result<()> {
        match self.export.format {
            ExportFormat::Ndjson => {
                let names = section.columns().map(str::to_owned);
                let row: Map<String, Value> = names.zip(row).collect();
                serde_json::to_writer(&mut *content, &row).context("write a row")?;
                content.push(b'\n');
            }
            ExportFormat::Csv => content.extend(record(row.into_iter().map(cell))?),
        }
        Ok(())
    }

    async fn close(&mut self, section: &Section, number: u32, content: &[u8]) -> Result<()> {
        let ending = match self.export.format {
            ExportFormat::Ndjson => "ndjson",
            ExportFormat::Csv => "csv",
        };
        let name = format!("{}-{number:04}.{ending}", section.name);
        self.size.files += 1;
        self.keep(archive::file(&name, content, self.export.created_at).await?).await
    }

    async fn keep(&mut self, bytes: Vec<u8>) -> Result<()> {
        let Export { workspace_id, id, .. } = *self.export;
        let mut tx = self.app.store.begin().await?;
        exports::add_part(&mut tx, workspace_id, id, self.size.parts, &bytes).await?;
        tx.commit().await?;
        self.size.parts += 1;
        self.size.bytes += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Ok(())
    }
}

fn record(cells: impl Iterator<Item = String>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // What begins a formula in a spreadsheet gets a quote before it.
    let safe = cells.map(|cell| {
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
    });
    writer.write_record(safe).context("write a row")?;
    writer.into_inner().map_err(|error| anyhow::anyhow!("write a row: {error}").into())
}

fn cell(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}
