//! What the copilot may do, and what it proposes.
//!
//! **Invariant:** an action that is approved is the one that was looked at: its kind, target and
//! content have the digest that the approval names.

use super::{
    Conn,
    events::{self, EventType, NewEvent},
    on_db,
};
use crate::{
    Error, Result,
    ids::{ActionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, query, query_as, types::Json};

/// What the copilot may propose and do in a workspace.
#[derive(Debug, Clone, FromRow)]
pub struct CopilotRules {
    pub workspace_id: WorkspaceId,
    /// Kinds of actions.
    pub enabled_actions: Json<Vec<String>>,
    pub require_approval: bool,
    pub max_actions_per_week: i64,
    /// 1 proposes what matters most, 3 everything.
    pub intensity: i64,
    /// 0 while nobody has set anything.
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

/// Something that could be done about a gap.
#[derive(Debug, Clone, FromRow)]
pub struct Action {
    pub id: ActionId,
    pub workspace_id: WorkspaceId,
    pub kind: String,
    pub title: String,
    /// Where it is to be done.
    pub target: String,
    /// What is to be done there.
    pub content: String,
    /// The runs and numbers it follows from.
    pub evidence: Json<serde_json::Value>,
    /// 1 to 10, higher first.
    pub priority: i64,
    pub state: ActionState,
    pub approved_digest: Option<Vec<u8>>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub note: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    Proposed,
    Approved,
    Dismissed,
    Done,
}

impl ActionState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ActionState::Proposed => "proposed",
            ActionState::Approved => "approved",
            ActionState::Dismissed => "dismissed",
            ActionState::Done => "done",
        }
    }

    /// Whether a person may move an action from here to `next`.
    const fn leads_to(self, next: ActionState) -> bool {
        matches!(
            (self, next),
            (ActionState::Proposed, ActionState::Approved | ActionState::Dismissed)
                | (ActionState::Approved, ActionState::Done | ActionState::Dismissed)
        )
    }

    /// What is told when an action comes here.
    const fn event(self) -> Option<EventType> {
        match self {
            ActionState::Proposed => None,
            ActionState::Approved => Some(EventType::ActionApproved),
            ActionState::Dismissed => Some(EventType::ActionDismissed),
            ActionState::Done => Some(EventType::ActionDone),
        }
    }
}

impl Action {
    /// SHA-256 of what would be done. Lengths keep the parts apart.
    pub fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for part in [&self.kind, &self.target, &self.content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().to_vec()
    }
}

/// Which actions to show.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ActionFilter {
    pub state: Option<ActionState>,
    pub kind: Option<String>,
}

/// What was set; `None` while nobody has set anything.
pub async fn rules(conn: &mut Conn, workspace: WorkspaceId) -> Result<Option<CopilotRules>> {
    Ok(on_db!(conn, |c| query_as("SELECT * FROM copilot_rules WHERE workspace_id = $1")
        .bind(workspace)
        .fetch_optional(c)
        .await)?)
}

/// Saves the rules when the stored ones are still at `expected` (any when `None`).
pub async fn save_rules(
    conn: &mut Conn,
    rules: &CopilotRules,
    expected: Option<i64>,
) -> Result<CopilotRules> {
    let CopilotRules {
        workspace_id,
        enabled_actions,
        require_approval,
        max_actions_per_week,
        intensity,
        version: _,
        updated_at,
    } = rules;
    // Version 0 stands for no row.
    if expected.is_some_and(|version| version > 0)
        && self::rules(conn, *workspace_id).await?.is_none()
    {
        return Err(Error::Changed("copilot rules"));
    }
    let saved: Option<CopilotRules> = on_db!(conn, |c| query_as(
        "INSERT INTO copilot_rules (workspace_id, enabled_actions, require_approval,
                                    max_actions_per_week, intensity, version, updated_at)
         VALUES ($1, $2, $3, $4, $5, 1, $6)
         ON CONFLICT (workspace_id) DO UPDATE
         SET enabled_actions = excluded.enabled_actions,
             require_approval = excluded.require_approval,
             max_actions_per_week = excluded.max_actions_per_week,
             intensity = excluded.intensity, version = copilot_rules.version + 1,
             updated_at = excluded.updated_at
         WHERE $7 IS NULL OR copilot_rules.version = $7
         RETURNING *",
    )
    .bind(workspace_id)
    .bind(enabled_actions)
    .bind(require_approval)
    .bind(max_actions_per_week)
    .bind(intensity)
    .bind(updated_at)
    .bind(expected)
    .fetch_optional(c)
    .await)?;
    saved.ok_or(Error::Changed("copilot rules"))
}

pub async fn insert(conn: &mut Conn, action: &Action) -> Result<()> {
    let Action {
        id,
        workspace_id,
        kind,
        title,
        target,
        content,
        evidence,
        priority,
        state,
        approved_digest,
        decided_by,
        decided_at,
        note,
        created_at,
        updated_at,
    } = action;
    on_db!(conn, |c| query(
        "INSERT INTO copilot_actions (id, workspace_id, kind, title, target, content, evidence,
                                      priority, state, approved_digest, decided_by, decided_at,
                                      note, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(kind)
    .bind(title)
    .bind(target)
    .bind(content)
    .bind(evidence)
    .bind(priority)
    .bind(state)
    .bind(approved_digest)
    .bind(decided_by)
    .bind(decided_at)
    .bind(note)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: ActionId) -> Result<Action> {
    on_db!(conn, |c| query_as("SELECT * FROM copilot_actions WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("action"))
}

/// The actions that come before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &ActionFilter,
    before: Option<ActionId>,
    limit: i64,
) -> Result<Vec<Action>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM copilot_actions
         WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR state = $3)
           AND ($4 IS NULL OR kind = $4)
         ORDER BY id DESC LIMIT $5",
    )
    .bind(workspace)
    .bind(before)
    .bind(filter.state)
    .bind(&filter.kind)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Moves an action to the next state, in the name of whoever decided it.
pub async fn decide(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ActionId,
    next: ActionState,
    (by, note): (&str, Option<&str>),
    now: DateTime<Utc>,
) -> Result<Action> {
    let before = find(conn, workspace, id).await?;
    let refused = |state: ActionState| {
        let (state, next) = (state.as_str(), next.as_str());
        Error::Conflict(format!("the action is {state}: it cannot become {next}"))
    };
    if !before.state.leads_to(next) {
        return Err(refused(before.state));
    }
    let digest = if next == ActionState::Approved {
        Some(before.digest())
    } else {
        before.approved_digest.clone()
    };
    let changed: Option<Action> = on_db!(conn, |c| query_as(
        "UPDATE copilot_actions
         SET state = $3, decided_by = $4, decided_at = $5, note = COALESCE($6, note),
             approved_digest = $7, updated_at = $5
         WHERE workspace_id = $1 AND id = $2 AND state = $8 RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(next)
    .bind(by)
    .bind(now)
    .bind(note)
    .bind(digest)
    .bind(before.state)
    .fetch_optional(c)
    .await)?;
    let Some(action) = changed else {
        return Err(refused(find(conn, workspace, id).await?.state));
    };
    if let Some(kind) = next.event() {
        let data = json!({
            "action_id": action.id,
            "kind": action.kind,
            "title": action.title,
            "target": action.target,
            "state": action.state,
        });
        events::insert(conn, &[NewEvent::new(workspace, kind, id.to_string(), data)], now).await?;
    }
    Ok(action)
}
