use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use sqlx::{FromRow, QueryBuilder, query_as};

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

/// Rows per statement; nine binds a row.
const CHUNK: usize = 2000;

pub async fn insert(conn: &mut Conn, mentions: &[&Mention]) -> Result<()> {
    for chunk in mentions.chunks(CHUNK) {
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO mentions (run_number, start, length, workspace_id, brand, rank,
                                       list_position, recommended, sentiment) ",
            );
            sql.push_values(chunk, |mut row, mention| {
                row.push_bind(mention.run_number)
                    .push_bind(mention.start)
                    .push_bind(mention.length)
                    .push_bind(mention.workspace_id)
                    .push_bind(mention.brand)
                    .push_bind(mention.rank)
                    .push_bind(mention.list_position)
                    .push_bind(mention.recommended)
                    .push_bind(mention.sentiment);
            });
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
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
