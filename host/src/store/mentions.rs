use super::{Conn, bulk::Rows, on_db};
use crate::{Result, ids::WorkspaceId};
use sqlx::{FromRow, query_as};

/// One place where an answer names a brand.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Mention {
    pub run_number: i64,
    /// Byte offset into the answer's text.
    pub start: i64,
    /// Bytes.
    pub length: i64,
    pub workspace_id: WorkspaceId,
    /// Number of the brand.
    pub brand: i64,
    /// Order of the brand's first appearance among the tracked brands, from 1.
    pub rank: i64,
    /// Number of the list item that holds it.
    pub list_position: Option<i64>,
    pub recommended: bool,
    /// 1 positive, 0 neutral, -1 negative.
    pub sentiment: Option<i64>,
}

pub async fn insert(conn: &mut Conn, mentions: &[&Mention]) -> Result<()> {
    Rows::new(mentions)
        .column("run_number", |mention| mention.run_number)
        .column("start", |mention| mention.start)
        .column("length", |mention| mention.length)
        .column("workspace_id", |mention| mention.workspace_id)
        .column("brand", |mention| mention.brand)
        .column("rank", |mention| mention.rank)
        .column("list_position", |mention| mention.list_position)
        .column("recommended", |mention| mention.recommended)
        .column("sentiment", |mention| mention.sentiment)
        .insert(conn, "INSERT INTO mentions", "")
        .await
        .map(drop)
}

/// The mentions of an answer, in the order of the text.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    run_number: i64,
) -> Result<Vec<Mention>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM mentions WHERE workspace_id = $1 AND run_number = $2 ORDER BY start",
    )
    .bind(workspace)
    .bind(run_number)
    .fetch_all(c)
    .await)?)
}
