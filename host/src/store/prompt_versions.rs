//! What exactly was asked: immutable texts, which runs refer to.
//!
//! **Invariant:** a version's text is what engines get, byte for byte: the context of the persona,
//! an empty line, and the question.

use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{PersonaId, PromptId, PromptVersionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// One immutable text of a prompt.
#[derive(Debug, Clone, FromRow)]
pub struct PromptVersion {
    pub id: PromptVersionId,
    pub workspace_id: WorkspaceId,
    pub prompt_id: PromptId,
    /// From 1.
    pub version: i64,
    /// What engines are asked.
    pub text: String,
    /// Who asked.
    pub persona_id: Option<PersonaId>,
    /// The part of the text that the persona says of itself.
    pub context: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// What engines are asked.
pub fn asked(question: &str, context: Option<&str>) -> String {
    match context {
        Some(context) => format!("{context}\n\n{question}"),
        None => question.to_owned(),
    }
}

pub(super) async fn insert(conn: &mut Conn, versions: &[PromptVersion]) -> Result<()> {
    Rows::new(versions)
        .column("id", |version| version.id)
        .column("workspace_id", |version| version.workspace_id)
        .column("prompt_id", |version| version.prompt_id)
        .column("version", |version| version.version)
        .column("text", |version| version.text.as_str())
        .column("persona_id", |version| version.persona_id)
        .column("context", |version| version.context.as_deref())
        .column("created_at", |version| version.created_at)
        .insert(conn, "INSERT INTO prompt_versions", "")
        .await
        .map(drop)
}

/// The versions of a prompt before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompt: PromptId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<PromptVersion>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM prompt_versions
         WHERE workspace_id = $1 AND prompt_id = $2 AND ($3 IS NULL OR version < $3)
         ORDER BY version DESC LIMIT $4",
    )
    .bind(workspace)
    .bind(prompt)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompt: PromptId,
    version: i64,
) -> Result<PromptVersion> {
    on_db!(conn, |c| query_as(
        "SELECT * FROM prompt_versions
         WHERE workspace_id = $1 AND prompt_id = $2 AND version = $3",
    )
    .bind(workspace)
    .bind(prompt)
    .bind(version)
    .fetch_optional(c)
    .await)?
    .ok_or(crate::Error::NotFound("prompt version"))
}

/// Gives every prompt of a persona a new version, with the persona's new context.
pub(super) async fn renew(
    conn: &mut Conn,
    workspace: WorkspaceId,
    persona: PersonaId,
    context: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let prompts: Vec<(PromptId, String, i64)> = on_db!(conn, |c| query_as(
        "SELECT id, text, version FROM prompts
         WHERE workspace_id = $1 AND persona_id = $2 AND archived_at IS NULL ORDER BY id",
    )
    .bind(workspace)
    .bind(persona)
    .fetch_all(c)
    .await)?;
    let versions: Vec<PromptVersion> = prompts
        .into_iter()
        .map(|(prompt_id, question, version)| PromptVersion {
            id: PromptVersionId::generate(),
            workspace_id: workspace,
            prompt_id,
            version: version + 1,
            text: asked(&question, Some(context)),
            persona_id: Some(persona),
            context: Some(context.to_owned()),
            created_at: now,
        })
        .collect();
    insert(conn, &versions).await?;
    for version in &versions {
        on_db!(conn, |c| query(
            "UPDATE prompts SET version_id = $3, version = $4, updated_at = $5
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(workspace)
        .bind(version.prompt_id)
        .bind(version.id)
        .bind(version.version)
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}
