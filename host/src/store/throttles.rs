//! What operators say about money: the platform's limit, and how a workspace may spend.

use super::{Conn, budgets::Policy, bulk::Rows, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar, types::Json};
use std::collections::{HashMap, HashSet};

/// An operator's word on how a workspace may spend.
#[derive(Debug, Clone, FromRow)]
pub struct Override {
    pub workspace_id: WorkspaceId,
    /// normal | throttled | stopped
    pub state: String,
    pub reason: String,
    /// It counts no longer from then on.
    pub until: Option<DateTime<Utc>>,
    pub updated_by: String,
    pub updated_at: DateTime<Utc>,
}

/// The setting that holds the platform's limit.
const PLATFORM_LIMIT: &str = "daily_budget_micros";

/// What the whole platform may spend in a day (UTC), in micro-USD; unlimited when `None`.
pub async fn platform_limit(conn: &mut Conn, policy: &Policy) -> Result<Option<i64>> {
    let set: Option<Json<Option<i64>>> =
        on_db!(conn, |c| query_scalar("SELECT value FROM platform_settings WHERE key = $1",)
            .bind(PLATFORM_LIMIT)
            .fetch_optional(c)
            .await)?;
    Ok(set.map_or(policy.platform_micros, |Json(limit)| limit))
}

pub async fn set_platform_limit(
    conn: &mut Conn,
    limit: Option<i64>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    on_db!(conn, |c| query(
        "INSERT INTO platform_settings (key, value, updated_by, updated_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE
         SET value = excluded.value, updated_by = excluded.updated_by,
             updated_at = excluded.updated_at",
    )
    .bind(PLATFORM_LIMIT)
    .bind(Json(limit))
    .bind(by)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn save(conn: &mut Conn, said: &Override) -> Result<()> {
    on_db!(conn, |c| {
        query(
        "INSERT INTO throttle_overrides (workspace_id, state, reason, until, updated_by, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (workspace_id) DO UPDATE
         SET state = excluded.state, reason = excluded.reason, until = excluded.until,
             updated_by = excluded.updated_by, updated_at = excluded.updated_at",
    )
    .bind(said.workspace_id)
    .bind(&said.state)
    .bind(&said.reason)
    .bind(said.until)
    .bind(&said.updated_by)
    .bind(said.updated_at)
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId) -> Result<Override> {
    on_db!(conn, |c| query_as("SELECT * FROM throttle_overrides WHERE workspace_id = $1")
        .bind(workspace)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("throttle override"))
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId) -> Result<()> {
    let deleted =
        on_db!(conn, |c| query("DELETE FROM throttle_overrides WHERE workspace_id = $1")
            .bind(workspace)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
    if deleted == 0 { Err(Error::NotFound("throttle override")) } else { Ok(()) }
}

/// What operators say of these workspaces now.
pub async fn in_force(
    conn: &mut Conn,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
    now: DateTime<Utc>,
) -> Result<HashMap<WorkspaceId, Override>> {
    let workspaces: HashSet<WorkspaceId> = workspaces.into_iter().collect();
    let workspaces: Vec<_> = workspaces.into_iter().collect();
    let said: Vec<Override> = Rows::new(&workspaces)
        .column("workspace_id", |id| *id)
        .fetch(
            conn,
            "SELECT o.* FROM v JOIN throttle_overrides o ON o.workspace_id = v.workspace_id",
        )
        .await?;
    let counts = |said: &Override| said.until.is_none_or(|until| until > now);
    Ok(said.into_iter().filter(counts).map(|said| (said.workspace_id, said)).collect())
}
