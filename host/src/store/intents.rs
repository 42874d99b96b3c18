use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{IntentId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, query, query_as, query_scalar};

/// Why people ask. Its prompts are phrasings of one question to the market.
#[derive(Debug, Clone, FromRow)]
pub struct Intent {
    pub id: IntentId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub kind: Option<IntentKind>,
    pub description: Option<String>,
    /// Prompts that are not archived.
    pub prompts: i64,
    pub created_at: DateTime<Utc>,
    /// `None` until it is changed for the first time.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What sort of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum IntentKind {
    Best,
    Alternatives,
    Pricing,
    Versus,
    HowTo,
    Brand,
    Local,
    Review,
    Other,
}

/// An intent to create or to replace one with.
#[derive(Debug, Clone)]
pub struct NewIntent {
    pub name: String,
    pub kind: Option<IntentKind>,
    pub description: Option<String>,
}

/// An intent with the number of its prompts; `WHERE` and the rest follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT i.*, (SELECT COUNT(*) FROM prompts p
                          WHERE p.workspace_id = i.workspace_id AND p.intent_id = i.id
                            AND p.archived_at IS NULL) AS prompts
             FROM intents i ",
            $rest
        )
    };
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewIntent,
    now: DateTime<Utc>,
) -> Result<Intent> {
    let NewIntent { name, kind, description } = new;
    let id = IntentId::generate();
    on_db!(conn, |c| query(
        "INSERT INTO intents (id, workspace_id, name, kind, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(id)
    .bind(workspace)
    .bind(&name)
    .bind(kind)
    .bind(&description)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("intent")?;
    find(conn, workspace, id).await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: IntentId) -> Result<Intent> {
    on_db!(conn, |c| query_as(select!("WHERE i.workspace_id = $1 AND i.id = $2"))
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("intent"))
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<IntentId>,
    limit: i64,
) -> Result<Vec<Intent>> {
    Ok(on_db!(conn, |c| query_as(select!(
        "WHERE i.workspace_id = $1 AND ($2 IS NULL OR i.id > $2) ORDER BY i.id LIMIT $3"
    ))
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what is known of an intent.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: IntentId,
    new: NewIntent,
    now: DateTime<Utc>,
) -> Result<Intent> {
    let NewIntent { name, kind, description } = new;
    on_db!(conn, |c| query(
        "UPDATE intents SET name = $3, kind = $4, description = $5, updated_at = $6
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(&name)
    .bind(kind)
    .bind(&description)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("intent")?;
    find(conn, workspace, id).await
}

/// Forgets an intent that no prompt has. Archived prompts count too: their numbers are drawn by it.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: IntentId) -> Result<()> {
    find(conn, workspace, id).await?;
    let deleted = on_db!(conn, |c| query(
        "DELETE FROM intents WHERE workspace_id = $1 AND id = $2
           AND NOT EXISTS (SELECT 1 FROM prompts p
                           WHERE p.workspace_id = $1 AND p.intent_id = $2)",
    )
    .bind(workspace)
    .bind(id)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 0 {
        return Err(Error::Conflict(
            "prompts have this intent, archived ones included, and their numbers are drawn by \
             it: rename it instead"
                .into(),
        ));
    }
    Ok(())
}

/// The intent of this name; made when there is none.
pub async fn named(
    conn: &mut Conn,
    workspace: WorkspaceId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<IntentId> {
    Ok(on_db!(conn, |c| query_scalar(
        // The idle assignment makes `RETURNING` speak of the row that was there.
        "INSERT INTO intents (id, workspace_id, name, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace_id, name) DO UPDATE SET name = excluded.name
         RETURNING id",
    )
    .bind(IntentId::generate())
    .bind(workspace)
    .bind(name)
    .bind(now)
    .fetch_one(c)
    .await)?)
}
