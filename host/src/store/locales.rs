//! Locales: in which language and from where prompts are asked.

use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use sqlx::{FromRow, query_as};

/// A locale with the number of prompts that are asked in it and are not archived. Parts that a
/// prompt leaves open are the engine's own.
#[derive(Debug, Clone, FromRow)]
pub struct Locale {
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    pub prompts: i64,
}

/// Every locale in use, the most used first.
pub async fn list(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Locale>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT language, country, location, COUNT(*) AS prompts FROM prompts
         WHERE workspace_id = $1 AND archived_at IS NULL
         GROUP BY language, country, location
         ORDER BY prompts DESC, COALESCE(language, ''), COALESCE(country, ''),
                  COALESCE(location, '')",
    )
    .bind(workspace)
    .fetch_all(c)
    .await)?)
}
