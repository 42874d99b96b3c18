use super::{
    Conn, intents, on_db, personas,
    prompt_versions::{self, PromptVersion, asked},
    topics,
};
use crate::{
    Error, Result,
    error::Expected,
    ids::{IntentId, PersonaId, PromptId, PromptVersionId, TopicId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// A question tracked across engines. Runs refer to one of its versions.
#[derive(Debug, Clone, FromRow)]
pub struct Prompt {
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    pub intent_id: Option<IntentId>,
    /// Name of the intent, from its row.
    pub intent: Option<String>,
    pub topic_id: Option<TopicId>,
    /// Name of the topic, from its row.
    pub topic: Option<String>,
    pub persona_id: Option<PersonaId>,
    /// Name of the persona, from its row.
    pub persona: Option<String>,
    /// What the persona says of itself before the question.
    pub context: Option<String>,
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
#[derive(Debug, Clone, Default)]
pub struct NewPrompt {
    pub text: String,
    /// Name of the intent; made when there is none of that name.
    pub intent: Option<String>,
    /// Name of the topic; made when there is none of that name.
    pub topic: Option<String>,
    /// Name of the persona, which must exist.
    pub persona: Option<String>,
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    pub tags: Vec<String>,
    pub active: bool,
}

/// Which prompts to list.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct PromptFilter {
    pub tag: Option<String>,
    pub intent: Option<String>,
    pub topic: Option<String>,
    pub persona: Option<String>,
    pub language: Option<String>,
    pub country: Option<String>,
    pub active: Option<bool>,
    /// Part of the text, whatever its case.
    pub q: Option<String>,
}

/// A prompt with the names of what it belongs to; `WHERE` and the rest follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.*, i.name AS intent, t.name AS topic, s.name AS persona, s.context
             FROM prompts p
             LEFT JOIN intents i ON i.workspace_id = p.workspace_id AND i.id = p.intent_id
             LEFT JOIN topics t ON t.workspace_id = p.workspace_id AND t.id = p.topic_id
             LEFT JOIN personas s ON s.workspace_id = p.workspace_id AND s.id = p.persona_id ",
            $rest
        )
    };
}

/// What a prompt belongs to, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Belongs {
    pub(super) intent: Option<IntentId>,
    pub(super) topic: Option<TopicId>,
    pub(super) persona: Option<PersonaId>,
    /// Of the persona.
    pub(super) context: Option<String>,
}

/// Finds what `new` names; intents and topics are made, personas have to be there.
pub(super) async fn belongs(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: &NewPrompt,
    now: DateTime<Utc>,
) -> Result<Belongs> {
    let mut belongs = Belongs::default();
    if let Some(name) = &new.intent {
        belongs.intent = Some(intents::named(conn, workspace, name, now).await?);
    }
    if let Some(name) = &new.topic {
        belongs.topic = Some(topics::named(conn, workspace, name, now).await?);
    }
    if let Some(name) = &new.persona {
        let persona = personas::named(conn, workspace, name).await?;
        let persona = persona.ok_or_else(|| {
            Error::invalid("/persona", "no persona has this name: POST /v1/personas first")
        })?;
        belongs.persona = Some(persona.id);
        belongs.context = Some(persona.context);
    }
    Ok(belongs)
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewPrompt,
    now: DateTime<Utc>,
) -> Result<Prompt> {
    let (id, version_id) = (PromptId::generate(), PromptVersionId::generate());
    let belongs = belongs(conn, workspace, &new, now).await?;
    let NewPrompt { text, language, country, location, tags, active, .. } = new;
    on_db!(conn, |c| query(
        "INSERT INTO prompts (id, workspace_id, intent_id, topic_id, persona_id, version_id, text,
                              language, country, location, tags, active, version, created_at,
                              updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, $13)",
    )
    .bind(id)
    .bind(workspace)
    .bind(belongs.intent)
    .bind(belongs.topic)
    .bind(belongs.persona)
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
    let version = PromptVersion {
        id: version_id,
        workspace_id: workspace,
        prompt_id: id,
        version: 1,
        text: asked(&text, belongs.context.as_deref()),
        persona_id: belongs.persona,
        context: belongs.context,
        created_at: now,
    };
    prompt_versions::insert(conn, &[version]).await?;
    find(conn, workspace, id).await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: PromptId) -> Result<Prompt> {
    on_db!(conn, |c| query_as(select!(
        "WHERE p.workspace_id = $1 AND p.id = $2 AND p.archived_at IS NULL"
    ))
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
    let PromptFilter { tag, intent, topic, persona, language, country, active, q } = filter;
    // A tag stands in a JSON list, so it is looked for with its quotes.
    let tag = tag.as_ref().map(|tag| contains(&serde_json::Value::from(tag.as_str()).to_string()));
    let q = q.as_ref().map(|q| contains(&q.to_lowercase()));
    Ok(on_db!(conn, |c| query_as(select!(
        r"WHERE p.workspace_id = $1 AND p.archived_at IS NULL AND ($2 IS NULL OR p.id > $2)
            AND ($3 IS NULL OR CAST(p.tags AS TEXT) LIKE $3 ESCAPE '\')
            AND ($4 IS NULL OR i.name = $4)
            AND ($5 IS NULL OR p.active = $5)
            AND ($6 IS NULL OR lower(p.text) LIKE $6 ESCAPE '\')
            AND ($7 IS NULL OR t.name = $7) AND ($8 IS NULL OR s.name = $8)
            AND ($9 IS NULL OR p.language = $9) AND ($10 IS NULL OR p.country = $10)
          ORDER BY p.id LIMIT $11"
    ))
    .bind(workspace)
    .bind(after)
    .bind(&tag)
    .bind(intent)
    .bind(active)
    .bind(&q)
    .bind(topic)
    .bind(persona)
    .bind(language)
    .bind(country)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// The active prompts, oldest first: what a batch asks when it is not told otherwise.
pub async fn active(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Prompt>> {
    let filter = PromptFilter { active: Some(true), ..PromptFilter::default() };
    list(conn, workspace, &filter, None, i64::from(i32::MAX)).await
}

/// Replaces a prompt. What engines are asked makes the version: answers to different texts never
/// mix.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: PromptId,
    new: NewPrompt,
    now: DateTime<Utc>,
) -> Result<Prompt> {
    let before = find(conn, workspace, id).await?;
    let belongs = belongs(conn, workspace, &new, now).await?;
    let NewPrompt { text, language, country, location, tags, active, .. } = new;
    let asks = asked(&text, belongs.context.as_deref());
    let (version_id, version) = if asks == asked(&before.text, before.context.as_deref()) {
        (before.version_id, before.version)
    } else {
        let version = PromptVersion {
            id: PromptVersionId::generate(),
            workspace_id: workspace,
            prompt_id: id,
            version: before.version + 1,
            text: asks,
            persona_id: belongs.persona,
            context: belongs.context,
            created_at: now,
        };
        let made = (version.id, version.version);
        prompt_versions::insert(conn, &[version]).await?;
        made
    };
    on_db!(conn, |c| query(
        "UPDATE prompts
         SET intent_id = $3, topic_id = $4, persona_id = $5, version_id = $6, text = $7,
             language = $8, country = $9, location = $10, tags = $11, active = $12, version = $13,
             updated_at = $14
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(belongs.intent)
    .bind(belongs.topic)
    .bind(belongs.persona)
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
    pub intent: Option<String>,
    pub topic: Option<String>,
    pub persona: Option<String>,
    pub language: Option<String>,
    pub country: Option<String>,
    /// The question.
    pub text: String,
    /// What the persona says of itself before the question.
    pub context: Option<String>,
    pub tags: Json<Vec<String>>,
}

pub async fn groups(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<PromptGroup>> {
    Ok(on_db!(conn, |c| query_as(select!("WHERE p.workspace_id = $1 ORDER BY p.id"))
        .bind(workspace)
        .fetch_all(c)
        .await)?)
}

/// A `LIKE` pattern for texts that contain `part` literally.
fn contains(part: &str) -> String {
    let escaped = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}
