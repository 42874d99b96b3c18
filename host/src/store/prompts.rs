use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{IntentId, PromptId, PromptVersionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};

/// A question tracked across engines. Runs refer to one of its versions.
#[derive(Debug, Clone, FromRow)]
pub struct Prompt {
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    pub intent_id: Option<IntentId>,
    /// Name of the intent, from its row.
    pub intent: Option<String>,
    /// The version whose text is current.
    pub version_id: PromptVersionId,
    pub text: String,
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    pub tags: Json<Vec<String>>,
    pub active: bool,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A prompt to create or to replace one with.
#[derive(Debug, Clone)]
pub struct NewPrompt {
    pub text: String,
    /// Name of the intent; made when there is none of that name.
    pub intent: Option<String>,
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    pub tags: Vec<String>,
    pub active: bool,
}

/// Which prompts to list.
#[derive(Debug, Clone, Default)]
pub struct PromptFilter {
    pub tag: Option<String>,
    pub intent: Option<String>,
    pub active: Option<bool>,
    /// Part of the text, whatever its case.
    pub q: Option<String>,
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewPrompt,
    now: DateTime<Utc>,
) -> Result<Prompt> {
    let NewPrompt { text, intent, language, country, location, tags, active } = new;
    let (id, version_id) = (PromptId::generate(), PromptVersionId::generate());
    let intent_id = match &intent {
        Some(name) => Some(intent_named(conn, workspace, name, now).await?),
        None => None,
    };
    on_db!(conn, |c| query(
        "INSERT INTO prompts (id, workspace_id, intent_id, version_id, text, language, country,
                              location, tags, active, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $11)",
    )
    .bind(id)
    .bind(workspace)
    .bind(intent_id)
    .bind(version_id)
    .bind(&text)
    .bind(&language)
    .bind(&country)
    .bind(&location)
    .bind(Json(&tags))
    .bind(active)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("prompt")?;
    insert_version(conn, workspace, id, version_id, 1, &text, now).await?;
    find(conn, workspace, id).await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: PromptId) -> Result<Prompt> {
    on_db!(conn, |c| query_as(
        "SELECT p.*, i.name AS intent
         FROM prompts p
         LEFT JOIN intents i ON i.workspace_id = p.workspace_id AND i.id = p.intent_id
         WHERE p.workspace_id = $1 AND p.id = $2 AND p.archived_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("prompt"))
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &PromptFilter,
    after: Option<PromptId>,
    limit: i64,
) -> Result<Vec<Prompt>> {
    let PromptFilter { tag, intent, active, q } = filter;
    // A tag stands in a JSON list, so it is looked for with its quotes.
    let tag = tag.as_ref().map(|tag| contains(&serde_json::Value::from(tag.as_str()).to_string()));
    let q = q.as_ref().map(|q| contains(&q.to_lowercase()));
    Ok(on_db!(conn, |c| query_as(
        r"SELECT p.*, i.name AS intent
          FROM prompts p
          LEFT JOIN intents i ON i.workspace_id = p.workspace_id AND i.id = p.intent_id
          WHERE p.workspace_id = $1 AND p.archived_at IS NULL AND ($2 IS NULL OR p.id > $2)
            AND ($3 IS NULL OR CAST(p.tags AS TEXT) LIKE $3 ESCAPE '\')
            AND ($4 IS NULL OR i.name = $4)
            AND ($5 IS NULL OR p.active = $5)
            AND ($6 IS NULL OR lower(p.text) LIKE $6 ESCAPE '\')
          ORDER BY p.id LIMIT $7",
    )
    .bind(workspace)
    .bind(after)
    .bind(&tag)
    .bind(intent)
    .bind(active)
    .bind(&q)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The active prompts, oldest first: what a batch asks when it is not told otherwise.
pub async fn active(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Prompt>> {
    let filter = PromptFilter { active: Some(true), ..PromptFilter::default() };
    list(conn, workspace, &filter, None, i64::from(i32::MAX)).await
}

/// Replaces a prompt. A new text is a new version: its answers never mix with the old ones'.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: PromptId,
    new: NewPrompt,
    now: DateTime<Utc>,
) -> Result<Prompt> {
    let before = find(conn, workspace, id).await?;
    let NewPrompt { text, intent, language, country, location, tags, active } = new;
    let intent_id = match &intent {
        Some(name) => Some(intent_named(conn, workspace, name, now).await?),
        None => None,
    };
    let (version_id, version) = if text == before.text {
        (before.version_id, before.version)
    } else {
        let version_id = PromptVersionId::generate();
        let version = before.version + 1;
        insert_version(conn, workspace, id, version_id, version, &text, now).await?;
        (version_id, version)
    };
    on_db!(conn, |c| query(
        "UPDATE prompts
         SET intent_id = $3, version_id = $4, text = $5, language = $6, country = $7,
             location = $8, tags = $9, active = $10, version = $11, updated_at = $12
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(intent_id)
    .bind(version_id)
    .bind(&text)
    .bind(&language)
    .bind(&country)
    .bind(&location)
    .bind(Json(&tags))
    .bind(active)
    .bind(version)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("prompt")?;
    find(conn, workspace, id).await
}

/// Stops tracking a prompt; what was measured with it stays.
pub async fn archive(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: PromptId,
    now: DateTime<Utc>,
) -> Result<()> {
    let archived = on_db!(conn, |c| query(
        "UPDATE prompts SET archived_at = $3, active = $4
         WHERE workspace_id = $1 AND id = $2 AND archived_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .bind(false)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if archived == 0 { Err(Error::NotFound("prompt")) } else { Ok(()) }
}

/// What the metrics need of a prompt, archived ones included.
#[derive(Debug, Clone, FromRow)]
pub struct PromptGroup {
    pub id: PromptId,
    pub intent_id: Option<IntentId>,
    pub text: String,
    pub tags: Json<Vec<String>>,
}

pub async fn groups(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<PromptGroup>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT id, intent_id, text, tags FROM prompts WHERE workspace_id = $1 ORDER BY id",
    )
    .bind(workspace)
    .fetch_all(c)
    .await)?)
}

async fn intent_named(
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

async fn insert_version(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompt: PromptId,
    id: PromptVersionId,
    version: i64,
    text: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO prompt_versions (id, workspace_id, prompt_id, version, text, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id)
    .bind(workspace)
    .bind(prompt)
    .bind(version)
    .bind(text)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// A `LIKE` pattern for texts that contain `part` literally.
fn contains(part: &str) -> String {
    let escaped = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}
