use super::{Conn, bulk::Rows, on_db};
use crate::{
    Error, Result,
    ids::{RunId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query_as, types::Json};

/// What an engine answered. Its id is the run's.
#[derive(Debug, Clone, FromRow)]
pub struct Answer {
    pub run_number: i64,
    pub workspace_id: WorkspaceId,
    /// Markdown, byte-exact as the engine gave it.
    pub text: String,
    /// The instrument passport: what was asked, what answered.
    pub passport: Json<serde_json::Value>,
    /// Questions the engine offers to go on with.
    pub related: Json<Vec<String>>,
    /// Name of the raw payload.
    pub raw_digest: Vec<u8>,
    /// Version of the analysis that found mentions and citations.
    pub analysis_version: i64,
    /// Version of the tracked brands it looked for.
    pub brands_version: i64,
    pub created_at: DateTime<Utc>,
}

pub async fn insert(conn: &mut Conn, answers: &[&Answer]) -> Result<()> {
    Rows::new(answers)
        .column("run_number", |answer| answer.run_number)
        .column("workspace_id", |answer| answer.workspace_id)
        .column("text", |answer| answer.text.as_str())
        .column("passport", |answer| &answer.passport)
        .column("related", |answer| &answer.related)
        .column("raw_digest", |answer| answer.raw_digest.as_slice())
        .column("analysis_version", |answer| answer.analysis_version)
        .column("brands_version", |answer| answer.brands_version)
        .column("created_at", |answer| answer.created_at)
        .insert(conn, "INSERT INTO answers", "")
        .await
        .map(drop)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, run_number: i64) -> Result<Answer> {
    on_db!(conn, |c| {
        query_as("SELECT * FROM answers WHERE workspace_id = $1 AND run_number = $2")
            .bind(workspace)
            .bind(run_number)
            .fetch_optional(c)
            .await
    })?
    .ok_or(Error::NotFound("answer"))
}

/// The texts of the newest answers, each with its run.
pub async fn newest(
    conn: &mut Conn,
    workspace: WorkspaceId,
    limit: i64,
) -> Result<Vec<(RunId, String)>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT r.id, a.text FROM runs r JOIN answers a ON a.run_number = r.number
         WHERE r.workspace_id = $1 AND r.day IS NOT NULL
         ORDER BY r.day DESC, r.number DESC LIMIT $2",
    )
    .bind(workspace)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
