use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{TopicId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// What questions are about, such as a product line. A prompt has at most one.
#[derive(Debug, Clone, FromRow)]
pub struct Topic {
    pub id: TopicId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub description: Option<String>,
    /// Prompts that are not archived.
    pub prompts: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A topic to create or to replace one with.
#[derive(Debug, Clone)]
pub struct NewTopic {
    pub name: String,
    pub description: Option<String>,
}

/// A topic with the number of its prompts; `WHERE` and the rest follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT t.*, (SELECT COUNT(*) FROM prompts p
                          WHERE p.workspace_id = t.workspace_id AND p.topic_id = t.id
                            AND p.archived_at IS NULL) AS prompts
             FROM topics t ",
            $rest
        )
    };
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewTopic,
    now: DateTime<Utc>,
) -> Result<Topic> {
    let NewTopic { name, description } = new;
    let id = TopicId::generate();
    on_db!(conn, |c| query(
        "INSERT INTO topics (id, workspace_id, name, description, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(id)
    .bind(workspace)
    .bind(&name)
    .bind(&description)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("topic")?;
    find(conn, workspace, id).await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: TopicId) -> Result<Topic> {
    on_db!(conn, |c| query_as(select!("WHERE t.workspace_id = $1 AND t.id = $2"))
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("topic"))
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<TopicId>,
    limit: i64,
) -> Result<Vec<Topic>> {
    Ok(on_db!(conn, |c| query_as(select!(
        "WHERE t.workspace_id = $1 AND ($2 IS NULL OR t.id > $2) ORDER BY t.id LIMIT $3"
    ))
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what is known of a topic.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: TopicId,
    new: NewTopic,
    now: DateTime<Utc>,
) -> Result<Topic> {
    let NewTopic { name, description } = new;
    on_db!(conn, |c| query(
        "UPDATE topics SET name = $3, description = $4, updated_at = $5
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(&name)
    .bind(&description)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("topic")?;
    find(conn, workspace, id).await
}

/// Forgets a topic; its prompts go on without one.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: TopicId) -> Result<()> {
    for statement in [
        "UPDATE prompts SET topic_id = NULL WHERE workspace_id = $1 AND topic_id = $2",
        "DELETE FROM topics WHERE workspace_id = $1 AND id = $2",
    ] {
        let changed = on_db!(conn, |c| query(statement)
            .bind(workspace)
            .bind(id)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        if changed == 0 && statement.starts_with("DELETE") {
            return Err(Error::NotFound("topic"));
        }
    }
    Ok(())
}

/// The topic of this name; made when there is none.
pub async fn named(
    conn: &mut Conn,
    workspace: WorkspaceId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<TopicId> {
    Ok(on_db!(conn, |c| query_scalar(
        // The idle assignment makes `RETURNING` speak of the row that was there.
        "INSERT INTO topics (id, workspace_id, name, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (workspace_id, name) DO UPDATE SET name = excluded.name
         RETURNING id",
    )
    .bind(TopicId::generate())
    .bind(workspace)
    .bind(name)
    .bind(now)
    .fetch_one(c)
    .await)?)
}
