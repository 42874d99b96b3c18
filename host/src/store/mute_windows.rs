use super::{Conn, on_db};
use crate::{
    Error, Result,
    ids::{AlertRuleId, MuteWindowId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as, query_scalar};

/// A time in which nobody is told of alerts. They are opened and counted all the same.
#[derive(Debug, Clone, FromRow)]
pub struct MuteWindow {
    pub id: MuteWindowId,
    pub workspace_id: WorkspaceId,
    /// `None` for all rules.
    pub rule_id: Option<AlertRuleId>,
    pub reason: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

pub async fn insert(conn: &mut Conn, window: &MuteWindow) -> Result<()> {
    let MuteWindow {
        id,
        workspace_id,
        rule_id,
        reason,
        starts_at,
        ends_at,
        created_by,
        created_at,
    } = window;
    on_db!(conn, |c| query(
        "INSERT INTO mute_windows (id, workspace_id, rule_id, reason, starts_at, ends_at,
                                   created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(rule_id)
    .bind(reason)
    .bind(starts_at)
    .bind(ends_at)
    .bind(created_by)
    .bind(created_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// The page of windows that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<MuteWindowId>,
    limit: i64,
) -> Result<Vec<MuteWindow>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM mute_windows WHERE workspace_id = $1 AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Whether a rule is muted at this time.
pub async fn is_muted(
    conn: &mut Conn,
    workspace: WorkspaceId,
    rule: AlertRuleId,
    now: DateTime<Utc>,
) -> Result<bool> {
    let found: Option<MuteWindowId> = on_db!(conn, |c| query_scalar(
        "SELECT id FROM mute_windows
         WHERE workspace_id = $1 AND (rule_id IS NULL OR rule_id = $2)
           AND starts_at <= $3 AND $3 < ends_at LIMIT 1",
    )
    .bind(workspace)
    .bind(rule)
    .bind(now)
    .fetch_optional(c)
    .await)?;
    Ok(found.is_some())
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: MuteWindowId) -> Result<()> {
    let deleted =
        on_db!(conn, |c| query("DELETE FROM mute_windows WHERE workspace_id = $1 AND id = $2",)
            .bind(workspace)
            .bind(id)
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
    if deleted == 0 { Err(Error::NotFound("mute window")) } else { Ok(()) }
}
