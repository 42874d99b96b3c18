use super::{Conn, on_db, prompt_versions};
use crate::{
    Error, Result,
    error::Expected,
    ids::{PersonaId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};

/// Who asks: a context that is declared to the engine before the question.
#[derive(Debug, Clone, FromRow)]
pub struct Persona {
    pub id: PersonaId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// For the workspace's own people; no engine sees it.
    pub description: Option<String>,
    /// What it says of itself; engines are told.
    pub context: String,
    /// Prompts that are not archived.
    pub prompts: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A persona to create or to replace one with.
#[derive(Debug, Clone)]
pub struct NewPersona {
    pub name: String,
    pub description: Option<String>,
    pub context: String,
}

/// A persona with the number of its prompts; `WHERE` and the rest follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.*, (SELECT COUNT(*) FROM prompts p
                          WHERE p.workspace_id = s.workspace_id AND p.persona_id = s.id
                            AND p.archived_at IS NULL) AS prompts
             FROM personas s ",
            $rest
        )
    };
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewPersona,
    now: DateTime<Utc>,
) -> Result<Persona> {
    let NewPersona { name, description, context } = new;
    let id = PersonaId::generate();
    on_db!(conn, |c| query(
        "INSERT INTO personas (id, workspace_id, name, description, context, created_at,
                               updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(id)
    .bind(workspace)
    .bind(&name)
    .bind(&description)
    .bind(&context)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("persona")?;
    find(conn, workspace, id).await
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: PersonaId) -> Result<Persona> {
    on_db!(conn, |c| query_as(select!("WHERE s.workspace_id = $1 AND s.id = $2"))
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("persona"))
}

/// The persona of this name, if there is one.
pub async fn named(conn: &mut Conn, workspace: WorkspaceId, name: &str) -> Result<Option<Persona>> {
    Ok(on_db!(conn, |c| query_as(select!("WHERE s.workspace_id = $1 AND s.name = $2"))
        .bind(workspace)
        .bind(name)
        .fetch_optional(c)
        .await)?)
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<PersonaId>,
    limit: i64,
) -> Result<Vec<Persona>> {
    Ok(on_db!(conn, |c| query_as(select!(
        "WHERE s.workspace_id = $1 AND ($2 IS NULL OR s.id > $2) ORDER BY s.id LIMIT $3"
    ))
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Replaces what is known of a persona. Another context makes new versions of all its prompts:
/// engines are asked something else from now on.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: PersonaId,
    new: NewPersona,
    now: DateTime<Utc>,
) -> Result<Persona> {
    let before = find(conn, workspace, id).await?;
    let NewPersona { name, description, context } = new;
    on_db!(conn, |c| query(
        "UPDATE personas SET name = $3, description = $4, context = $5, updated_at = $6
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(&name)
    .bind(&description)
    .bind(&context)
    .bind(now)
    .execute(c)
    .await
    .map(drop))
    .unique("persona")?;
    if context != before.context {
        prompt_versions::renew(conn, workspace, id, &context, now).await?;
    }
    find(conn, workspace, id).await
}

/// Forgets a persona that no prompt asks as. What archived ones were asked stays in their versions.
pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: PersonaId) -> Result<()> {
    let persona = find(conn, workspace, id).await?;
    if persona.prompts > 0 {
        return Err(Error::Conflict(format!(
            "{} prompts ask as this persona: give them another one, or none, first",
            persona.prompts
        )));
    }
    for statement in [
        "UPDATE prompts SET persona_id = NULL WHERE workspace_id = $1 AND persona_id = $2",
        "DELETE FROM personas WHERE workspace_id = $1 AND id = $2",
    ] {
        on_db!(conn, |c| query(statement).bind(workspace).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}
