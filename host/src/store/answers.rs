use super::{Conn, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder, query_as, types::Json};

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

/// Rows per statement; nine binds a row.
const CHUNK: usize = 500;

pub async fn insert(conn: &mut Conn, answers: &[&Answer]) -> Result<()> {
    for chunk in answers.chunks(CHUNK) {
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO answers (run_number, workspace_id, text, passport, related,
                                      raw_digest, analysis_version, brands_version, created_at) ",
            );
            sql.push_values(chunk, |mut row, answer| {
                row.push_bind(answer.run_number)
                    .push_bind(answer.workspace_id)
                    .push_bind(&answer.text)
                    .push_bind(&answer.passport)
                    .push_bind(&answer.related)
                    .push_bind(&answer.raw_digest)
                    .push_bind(answer.analysis_version)
                    .push_bind(answer.brands_version)
                    .push_bind(answer.created_at);
            });
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
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
