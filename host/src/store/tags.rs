//! Tags: free labels, which stand on the prompts themselves.

use super::{Conn, on_db};
use crate::{
    Error, Result,
    ids::{PromptId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{query, query_as, types::Json};
use std::collections::BTreeMap;

/// A label with the number of prompts that have it and are not archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub name: String,
    pub prompts: i64,
}

/// Every tag in use, by name.
pub async fn list(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Tag>> {
    let mut tags: BTreeMap<String, i64> = BTreeMap::new();
    for (_, names) in tagged(conn, workspace).await? {
        for name in names.0 {
            *tags.entry(name).or_default() += 1;
        }
    }
    Ok(tags.into_iter().map(|(name, prompts)| Tag { name, prompts }).collect())
}

/// Renames a tag on every prompt, or takes it off when there is no new name. One that a prompt has
/// already is not put on twice. Returns how many prompts had it.
pub async fn replace(
    conn: &mut Conn,
    workspace: WorkspaceId,
    name: &str,
    new: Option<&str>,
    now: DateTime<Utc>,
) -> Result<i64> {
    let mut changed = 0;
    for (id, Json(names)) in tagged(conn, workspace).await? {
        if !names.iter().any(|tag| tag == name) {
            continue;
        }
        let mut kept: Vec<String> = Vec::with_capacity(names.len());
        for tag in names {
            let tag = if tag == name { new.map(str::to_owned) } else { Some(tag) };
            kept.extend(tag.filter(|tag| !kept.contains(tag)));
        }
        on_db!(conn, |c| query(
            "UPDATE prompts SET tags = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2",
        )
        .bind(workspace)
        .bind(id)
        .bind(Json(&kept))
        .bind(now)
        .execute(c)
        .await
        .map(drop))?;
        changed += 1;
    }
    if changed == 0 { Err(Error::NotFound("tag")) } else { Ok(changed) }
}

async fn tagged(
    conn: &mut Conn,
    workspace: WorkspaceId,
) -> Result<Vec<(PromptId, Json<Vec<String>>)>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT id, tags FROM prompts
         WHERE workspace_id = $1 AND archived_at IS NULL AND CAST(tags AS TEXT) <> '[]'
         ORDER BY id",
    )
    .bind(workspace)
    .fetch_all(c)
    .await)?)
}
