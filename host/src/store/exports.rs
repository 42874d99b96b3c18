//! Files of a workspace's data: what is made, its pieces, and who may fetch it once.

use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{ExportId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// A workspace's data as one file.
#[derive(Debug, Clone, FromRow)]
pub struct Export {
    pub id: ExportId,
    pub workspace_id: WorkspaceId,
    pub state: ExportState,
    pub format: ExportFormat,
    /// Sections that are there because they were asked for.
    pub includes: Json<Vec<String>>,
    /// Files in the archive.
    pub files: i64,
    /// Rows in all of them.
    pub records: i64,
    /// Bytes of the archive.
    pub size: i64,
    pub error: Option<String>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// From then on its pieces are gone.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ExportState {
    Running,
    Completed,
    Failed,
}

/// How the files in the archive are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ExportFormat {
    Ndjson,
    Csv,
}

/// Begins an export; a workspace has one at a time.
pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    format: ExportFormat,
    includes: &[String],
    created_by: &str,
    now: DateTime<Utc>,
) -> Result<Export> {
    on_db!(conn, |c| query_as(
        "INSERT INTO exports (id, workspace_id, state, format, includes, files, records, size,
                              created_by, created_at)
         VALUES ($1, $2, 'running', $3, $6, 0, 0, 0, $4, $5) RETURNING *",
    )
    .bind(ExportId::generate())
    .bind(workspace)
    .bind(format)
    .bind(created_by)
    .bind(now)
    .bind(Json(includes))
    .fetch_one(c)
    .await)
    .unique("export")
    .map_err(|error| match error {
        Error::Exists(_) => {
            Error::Conflict("the workspace has an export that is not finished: wait for it".into())
        }
        other => other,
    })
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ExportId) -> Result<Export> {
    on_db!(conn, |c| query_as("SELECT * FROM exports WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("export"))
}

/// The page before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    before: Option<ExportId>,
    limit: i64,
) -> Result<Vec<Export>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM exports WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Keeps a piece of the file; one that an earlier try left is replaced.
pub async fn add_part(
    conn: &mut Conn,
    workspace: WorkspaceId,
    export: ExportId,
    part: i64,
    bytes: &[u8],
) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO export_parts (workspace_id, export_id, part, bytes)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace_id, export_id, part) DO UPDATE SET bytes = excluded.bytes",
    )
    .bind(workspace)
    .bind(export)
    .bind(part)
    .bind(bytes)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// One piece of the file, from 0; `None` after the last.
pub async fn part(
    conn: &mut Conn,
    workspace: WorkspaceId,
    export: ExportId,
    part: i64,
) -> Result<Option<Vec<u8>>> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT bytes FROM export_parts
         WHERE workspace_id = $1 AND export_id = $2 AND part = $3",
    )
    .bind(workspace)
    .bind(export)
    .bind(part)
    .fetch_optional(c)
    .await)?)
}

/// What came of an export.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    pub files: i64,
    pub records: i64,
    pub bytes: i64,
    /// Pieces that belong to it; others are of an earlier try.
    pub parts: i64,
}

pub async fn complete(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ExportId,
    size: Size,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "DELETE FROM export_parts WHERE workspace_id = $1 AND export_id = $2 AND part >= $3",
    )
    .bind(workspace)
    .bind(id)
    .bind(size.parts)
    .execute(c)
    .await
    .map(drop))?;
    on_db!(conn, |c| query(
        "UPDATE exports SET state = 'completed', files = $3, records = $4, size = $5,
                            finished_at = $6, expires_at = $7
         WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .bind(size.files)
    .bind(size.records)
    .bind(size.bytes)
    .bind(now)
    .bind(expires_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Says that nothing comes of an export; its pieces go with the next purge.
pub async fn fail(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ExportId,
    error: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE exports SET state = 'failed', error = $3, finished_at = $4, expires_at = $4
         WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .bind(error)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Forgets the pieces of exports that have expired, in all workspaces, and links of the past.
pub async fn purge(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64> {
    on_db!(conn, |c| query("DELETE FROM download_links WHERE expires_at < $1")
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
    Ok(on_db!(conn, |c| query(
        "DELETE FROM export_parts WHERE export_id IN
             (SELECT id FROM exports WHERE expires_at IS NOT NULL AND expires_at <= $1)",
    )
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?)
}

/// Makes an address that opens the file once.
pub async fn add_link(
    conn: &mut Conn,
    export: &Export,
    secret_hash: &[u8],
    expires_at: DateTime<Utc>,
    created_by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO download_links (secret_hash, workspace_id, export_id, created_by, created_at,
                                     expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(secret_hash)
    .bind(export.workspace_id)
    .bind(export.id)
    .bind(created_by)
    .bind(now)
    .bind(expires_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Uses an address up: of two who try, one gets the file.
pub async fn use_link(
    conn: &mut Conn,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(WorkspaceId, ExportId)> {
    on_db!(conn, |c| query_as(
        "UPDATE download_links SET used_at = $2
         WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2
         RETURNING workspace_id, export_id",
    )
    .bind(secret_hash)
    .bind(now)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("download"))
}
