use super::{
    Conn,
    events::{self, EventType, NewEvent},
    on_db,
};
use crate::{
    Error, Result,
    ids::{ReportId, ScheduleId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::{FromRow, query, query_as, types::Json};

/// What a window came to, as it was known when the report was made.
#[derive(Debug, Clone, FromRow)]
pub struct Report {
    pub id: ReportId,
    pub workspace_id: WorkspaceId,
    pub title: String,
    pub from_day: NaiveDate,
    pub to_day: NaiveDate,
    /// The schedule that asked for it.
    pub schedule_id: Option<ScheduleId>,
    pub state: ReportState,
    pub error: Option<String>,
    /// Once it is ready.
    pub content: Option<Json<serde_json::Value>>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReportState {
    Queued,
    Ready,
    Failed,
}

pub async fn insert(conn: &mut Conn, report: &Report) -> Result<()> {
    let Report {
        id,
        workspace_id,
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
    } = report;
    on_db!(conn, |c| query(
        "INSERT INTO reports (id, workspace_id, title, from_day, to_day, schedule_id, state, error,
                              content, created_by, created_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(title)
    .bind(from_day)
    .bind(to_day)
    .bind(schedule_id)
    .bind(state)
    .bind(error)
    .bind(content)
    .bind(created_by)
    .bind(created_at)
    .bind(finished_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ReportId) -> Result<Report> {
    on_db!(conn, |c| query_as("SELECT * FROM reports WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("report"))
}

/// The reports that come before `before`, newest first, without their contents.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    before: Option<ReportId>,
    limit: i64,
) -> Result<Vec<Report>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT id, workspace_id, title, from_day, to_day, schedule_id, state, error,
                NULL AS content, created_by, created_at, finished_at
         FROM reports WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Ends the making of a report, well or not, and says so; `false` when it had ended.
pub async fn finish(
    conn: &mut Conn,
    report: &Report,
    made: std::result::Result<&serde_json::Value, &str>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let state = if made.is_ok() { ReportState::Ready } else { ReportState::Failed };
    let changed = on_db!(conn, |c| query(
        "UPDATE reports SET state = $3, content = $4, error = $5, finished_at = $6
         WHERE workspace_id = $1 AND id = $2 AND state = 'queued'",
    )
    .bind(report.workspace_id)
    .bind(report.id)
    .bind(state)
    .bind(made.ok().map(Json))
    .bind(made.err())
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if changed == 0 {
        return Ok(false);
    }
    let kind = if made.is_ok() { EventType::ReportGenerated } else { EventType::ReportFailed };
    let mut data = json!({
        "report_id": report.id,
        "title": report.title,
        "from": report.from_day,
        "to": report.to_day,
    });
    if let Err(error) = made {
        data["error"] = error.into();
    }
    events::insert(
        conn,
        &[NewEvent::new(report.workspace_id, kind, report.id.to_string(), data)],
        now,
    )
    .await?;
    Ok(true)
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: ReportId) -> Result<()> {
    let deleted =
        on_db!(conn, |c| query("DELETE FROM reports WHERE workspace_id = $1 AND id = $2")
            .bind(workspace)
            .bind(id)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
    if deleted == 0 { Err(Error::NotFound("report")) } else { Ok(()) }
}
