use super::{Conn, bulk::Rows, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, types::Json};

/// A workspace's configuration of a provider.
#[derive(Debug, Clone, FromRow)]
pub struct Engine {
    pub workspace_id: WorkspaceId,
    /// Key of the provider.
    pub key: String,
    pub enabled: bool,
    pub surface: String,
    pub model: Option<String>,
    /// Used where the prompt names none.
    pub language: Option<String>,
    /// Used where the prompt names none.
    pub country: Option<String>,
    /// Used where the prompt names none.
    pub location: Option<String>,
    pub device: Option<String>,
    pub config: Json<serde_json::Value>,
    /// Runs of this engine in flight at once, per process.
    pub concurrency: i64,
    pub daily_budget_micros: Option<i64>,
    /// Research may be asked for, within the engine's own budget.
    pub allow_research: bool,
    /// Why the engine is not asked until somebody acts.
    pub needs_attention: Option<String>,
    /// Until when its runs wait.
    pub paused_until: Option<DateTime<Utc>>,
    /// Grows with each change; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A configuration to save.
#[derive(Debug, Clone)]
pub struct NewEngine {
    pub key: String,
    pub enabled: bool,
    pub surface: String,
    pub model: Option<String>,
    pub language: Option<String>,
    pub country: Option<String>,
    pub location: Option<String>,
    pub device: Option<String>,
    pub config: serde_json::Value,
    pub concurrency: i64,
    pub daily_budget_micros: Option<i64>,
    pub allow_research: bool,
}

/// Runs of one engine in flight at once when nothing else was said.
pub const DEFAULT_CONCURRENCY: i64 = 32;

impl NewEngine {
    /// The provider's first surface with nothing else set.
    pub fn with_defaults(key: impl Into<String>, surface: impl Into<String>) -> Self {
        NewEngine {
            key: key.into(),
            enabled: true,
            surface: surface.into(),
            model: None,
            language: None,
            country: None,
            location: None,
            device: None,
            config: serde_json::json!({}),
            concurrency: DEFAULT_CONCURRENCY,
            daily_budget_micros: None,
            allow_research: false,
        }
    }
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, key: &str) -> Result<Engine> {
    on_db!(conn, |c| query_as("SELECT * FROM engines WHERE workspace_id = $1 AND key = $2")
        .bind(workspace)
        .bind(key)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("engine"))
}

/// The engines that there are among these, each named by its workspace and key.
pub async fn of(conn: &mut Conn, keys: &[(WorkspaceId, &str)]) -> Result<Vec<Engine>> {
    Rows::new(keys)
        .column("workspace_id", |(workspace, _)| *workspace)
        .column("key", |(_, key)| *key)
        .fetch(
            conn,
            "SELECT engines.* FROM v JOIN engines
               ON engines.workspace_id = v.workspace_id AND engines.key = v.key",
        )
        .await
}

pub async fn list(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Engine>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM engines WHERE workspace_id = $1 ORDER BY key")
        .bind(workspace)
        .fetch_all(c)
        .await)?)
}

/// Saves a configuration when the stored one is still at `expected` (any when `None`).
/// Saving clears what needed attention.
pub async fn save(
    conn: &mut Conn,
    workspace: WorkspaceId,
    expected: Option<i64>,
    new: NewEngine,
    now: DateTime<Utc>,
) -> Result<Engine> {
    let NewEngine {
        key,
        enabled,
        surface,
        model,
        language,
        country,
        location,
        device,
        config,
        concurrency,
        daily_budget_micros,
        allow_research,
    } = new;
    let saved: Option<Engine> = on_db!(conn, |c| query_as(
        "INSERT INTO engines (workspace_id, key, enabled, surface, model, language, country,
                              location, device, config, concurrency, daily_budget_micros,
                              allow_research, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $15, 1, $13, $13)
         ON CONFLICT (workspace_id, key) DO UPDATE
         SET enabled = excluded.enabled, surface = excluded.surface, model = excluded.model,
             language = excluded.language, country = excluded.country,
             location = excluded.location, device = excluded.device, config = excluded.config,
             concurrency = excluded.concurrency,
             daily_budget_micros = excluded.daily_budget_micros,
             allow_research = excluded.allow_research, needs_attention = NULL,
             paused_until = NULL, version = engines.version + 1, updated_at = excluded.updated_at
         WHERE $14 IS NULL OR engines.version = $14
         RETURNING *",
    )
    .bind(workspace)
    .bind(&key)
    .bind(enabled)
    .bind(&surface)
    .bind(&model)
    .bind(&language)
    .bind(&country)
    .bind(&location)
    .bind(&device)
    .bind(Json(&config))
    .bind(concurrency)
    .bind(daily_budget_micros)
    .bind(now)
    .bind(expected)
    .bind(allow_research)
    .fetch_optional(c)
    .await)?;
    saved.ok_or(Error::Changed("engine"))
}

pub async fn delete(
    conn: &mut Conn,
    workspace: WorkspaceId,
    key: &str,
    expected: Option<i64>,
) -> Result<()> {
    let deleted = on_db!(conn, |c| query(
        "DELETE FROM engines
         WHERE workspace_id = $1 AND key = $2 AND ($3 IS NULL OR version = $3)",
    )
    .bind(workspace)
    .bind(key)
    .bind(expected)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 0 {
        find(conn, workspace, key).await?;
        return Err(Error::Changed("engine"));
    }
    Ok(())
}

/// Notes that what an engine is asked with changed, which may put right what needed attention.
pub async fn touch(
    conn: &mut Conn,
    workspace: WorkspaceId,
    key: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE engines
         SET needs_attention = NULL, paused_until = NULL, version = version + 1, updated_at = $3
         WHERE workspace_id = $1 AND key = $2",
    )
    .bind(workspace)
    .bind(key)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Lets the runs of an engine wait until `until`.
pub async fn pause(
    conn: &mut Conn,
    workspace: WorkspaceId,
    key: &str,
    until: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE engines SET paused_until = $3 WHERE workspace_id = $1 AND key = $2",
    )
    .bind(workspace)
    .bind(key)
    .bind(until)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Stops asking an engine until its configuration is saved again; `false` when that was said before.
pub async fn mark(
    conn: &mut Conn,
    workspace: WorkspaceId,
    key: &str,
    needs_attention: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let marked = on_db!(conn, |c| query(
        "UPDATE engines SET needs_attention = $3, updated_at = $4
         WHERE workspace_id = $1 AND key = $2 AND needs_attention IS NULL",
    )
    .bind(workspace)
    .bind(key)
    .bind(needs_attention)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(marked > 0)
}
