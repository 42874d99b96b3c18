//! Many prompts at once: imported, or changed together.

use super::{
    Conn,
    bulk::Rows,
    prompt_versions::{self, PromptVersion, asked},
    prompts::{self, Belongs, NewPrompt},
};
use crate::{
    Error, Result, Violation,
    ids::{PromptId, PromptVersionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::types::Json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What became of prompts to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub created: i64,
    /// Asked already: the same text, locale and persona.
    pub existing: i64,
}

/// Adds the prompts that are not there yet; refuses all of them when one names a persona that does
/// not exist, each with a pointer below `/prompts`.
pub async fn import(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: &[NewPrompt],
    now: DateTime<Utc>,
) -> Result<Imported> {
    let mut known: HashMap<[Option<&str>; 3], Belongs> = HashMap::new();
    let mut violations = Vec::new();
    for (row, prompt) in new.iter().enumerate() {
        let names = names(prompt);
        if known.contains_key(&names) {
            continue;
        }
        match prompts::belongs(conn, workspace, prompt, now).await {
            Ok(belongs) => drop(known.insert(names, belongs)),
            Err(Error::Invalid(broken)) => {
                violations.extend(broken.into_iter().map(|Violation { pointer, detail }| {
                    Violation { pointer: format!("/prompts/{row}{pointer}"), detail }
                }));
            }
            Err(other) => return Err(other),
        }
    }
    if !violations.is_empty() {
        return Err(Error::Invalid(violations));
    }
    let nowhere = Belongs::default();
    let rows: Vec<Row<'_>> = new
        .iter()
        .map(|new| Row {
            id: PromptId::generate(),
            version: PromptVersionId::generate(),
            belongs: known.get(&names(new)).unwrap_or(&nowhere),
            new,
        })
        .collect();
    let made: Vec<(PromptId,)> = Rows::new(&rows)
        .column("id", |row| row.id)
        .column("workspace_id", |_| workspace)
        .column("intent_id", |row| row.belongs.intent)
        .column("topic_id", |row| row.belongs.topic)
        .column("persona_id", |row| row.belongs.persona)
        .column("version_id", |row| row.version)
        .column("text", |row| row.new.text.as_str())
        .column("language", |row| row.new.language.as_deref())
        .column("country", |row| row.new.country.as_deref())
        .column("location", |row| row.new.location.as_deref())
        .column("tags", |row| Json(row.new.tags.as_slice()))
        .column("active", |row| row.new.active)
        .column("version", |_| 1_i64)
        .column("created_at", |_| now)
        .column("updated_at", |_| now)
        .insert_returning(conn, "INSERT INTO prompts", "ON CONFLICT DO NOTHING RETURNING id")
        .await?;
    let made: HashSet<PromptId> = made.into_iter().map(|(id,)| id).collect();
    let versions: Vec<PromptVersion> = rows
        .iter()
        .filter(|row| made.contains(&row.id))
        .map(|row| PromptVersion {
            id: row.version,
            workspace_id: workspace,
            prompt_id: row.id,
            version: 1,
            text: asked(&row.new.text, row.belongs.context.as_deref()),
            persona_id: row.belongs.persona,
            context: row.belongs.context.clone(),
            created_at: now,
        })
        .collect();
    prompt_versions::insert(conn, &versions).await?;
    let (all, created) = (count(new.len()), count(versions.len()));
    Ok(Imported { created, existing: all - created })
}

struct Row<'a> {
    id: PromptId,
    version: PromptVersionId,
    belongs: &'a Belongs,
    new: &'a NewPrompt,
}

fn names(new: &NewPrompt) -> [Option<&str>; 3] {
    [new.intent.as_deref(), new.topic.as_deref(), new.persona.as_deref()]
}

/// The prompts that there are among these, with their tags.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompts: &[PromptId],
) -> Result<BTreeMap<PromptId, Vec<String>>> {
    let found: Vec<(PromptId, Json<Vec<String>>)> = Rows::new(prompts)
        .column("id", |id| *id)
        .column("workspace_id", |_| workspace)
        .fetch(
            conn,
            "SELECT p.id, p.tags FROM v
             JOIN prompts p ON p.workspace_id = v.workspace_id AND p.id = v.id
             WHERE p.archived_at IS NULL",
        )
        .await?;
    Ok(found.into_iter().map(|(id, tags)| (id, tags.0)).collect())
}

/// Lets batches ask prompts, or not; returns how many there were.
pub async fn set_active(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompts: &[PromptId],
    active: bool,
    now: DateTime<Utc>,
) -> Result<u64> {
    Rows::new(prompts)
        .column("id", |id| *id)
        .column("workspace_id", |_| workspace)
        .column("active", |_| active)
        .column("now", |_| now)
        .execute(
            conn,
            "UPDATE prompts SET active = v.active, updated_at = v.now FROM v
             WHERE prompts.workspace_id = v.workspace_id AND prompts.id = v.id
               AND prompts.archived_at IS NULL",
        )
        .await
}

/// Stops tracking prompts; what was measured with them stays. Returns how many there were.
pub async fn archive(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompts: &[PromptId],
    now: DateTime<Utc>,
) -> Result<u64> {
    Rows::new(prompts)
        .column("id", |id| *id)
        .column("workspace_id", |_| workspace)
        .column("active", |_| false)
        .column("now", |_| now)
        .execute(
            conn,
            "UPDATE prompts SET active = v.active, archived_at = v.now FROM v
             WHERE prompts.workspace_id = v.workspace_id AND prompts.id = v.id
               AND prompts.archived_at IS NULL",
        )
        .await
}

/// Puts tags on prompts and takes others off; returns how many there were.
pub async fn retag(
    conn: &mut Conn,
    workspace: WorkspaceId,
    prompts: &BTreeMap<PromptId, Vec<String>>,
    add: &[String],
    remove: &[String],
    now: DateTime<Utc>,
) -> Result<u64> {
    let tagged: Vec<(PromptId, Vec<String>)> = prompts
        .iter()
        .map(|(id, tags)| {
            let mut kept: Vec<String> =
                tags.iter().filter(|tag| !remove.contains(tag)).cloned().collect();
            for tag in add {
                if !kept.contains(tag) {
                    kept.push(tag.clone());
                }
            }
            (*id, kept)
        })
        .collect();
    Rows::new(&tagged)
        .column("id", |(id, _)| *id)
        .column("workspace_id", |_| workspace)
        .column("tags", |(_, tags)| Json(tags.as_slice()))
        .column("now", |_| now)
        .execute(
            conn,
            "UPDATE prompts SET tags = v.tags, updated_at = v.now FROM v
             WHERE prompts.workspace_id = v.workspace_id AND prompts.id = v.id
               AND prompts.archived_at IS NULL",
        )
        .await
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
