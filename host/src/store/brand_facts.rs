//! What is true of a brand, as its workspace declares it: what answers are held against.
//!
//! **Invariant:** append-only. A change is a new version of the whole list.

use super::{Conn, on_db};
use crate::{
    Error, Result,
    error::Expected,
    ids::{BrandId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, query_as, types::Json};

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it says, such as `founded`; once per brand.
    pub name: String,
    pub value: FactValue,
    /// Where it can be read.
    pub source_url: Option<String>,
}

/// The typed value of a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum FactValue {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
    Date(chrono::NaiveDate),
    Url(String),
    /// Each of these is true.
    List(Vec<String>),
}

/// All facts of a brand at one version.
#[derive(Debug, Clone, FromRow)]
pub struct FactSet {
    pub workspace_id: WorkspaceId,
    pub brand_id: BrandId,
    /// From 1.
    pub version: i64,
    pub facts: Json<Vec<Fact>>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// The newest version; `None` for a brand that nothing was ever said of.
pub async fn newest(
    conn: &mut Conn,
    workspace: WorkspaceId,
    brand: BrandId,
) -> Result<Option<FactSet>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM brand_facts WHERE workspace_id = $1 AND brand_id = $2
         ORDER BY version DESC LIMIT 1",
    )
    .bind(workspace)
    .bind(brand)
    .fetch_optional(c)
    .await)?)
}

/// Adds a version when the newest one is still `expected` (any when `None`, 0 when there is none).
pub async fn save(
    conn: &mut Conn,
    workspace: WorkspaceId,
    brand: BrandId,
    expected: Option<i64>,
    facts: &[Fact],
    created_by: &str,
    now: DateTime<Utc>,
) -> Result<FactSet> {
    let version = newest(conn, workspace, brand).await?.map_or(0, |set| set.version);
    if expected.is_some_and(|expected| expected != version) {
        return Err(Error::Changed("facts"));
    }
    on_db!(conn, |c| query_as(
        "INSERT INTO brand_facts (workspace_id, brand_id, version, facts, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
    )
    .bind(workspace)
    .bind(brand)
    .bind(version + 1)
    .bind(Json(facts))
    .bind(created_by)
    .bind(now)
    .fetch_one(c)
    .await)
    // Two at once: the second one has not seen what the first one wrote.
    .unique("facts")
    .map_err(|error| match error {
        Error::Exists(what) => Error::Changed(what),
        other => other,
    })
}
