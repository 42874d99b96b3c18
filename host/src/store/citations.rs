use super::{Conn, bulk::Rows, on_db};
use crate::{Result, ids::WorkspaceId};
use sqlx::{FromRow, query_as, types::Json};
use std::collections::BTreeMap;

/// A URL that an answer gives as a source.
#[derive(Debug, Clone)]
pub struct NewCitation {
    pub run_number: i64,
    /// From 1, in the order the engine shows them.
    pub position: i64,
    pub workspace: WorkspaceId,
    /// Registrable domain.
    pub domain: String,
    pub kind: CitationKind,
    pub origin: CitationOrigin,
    /// A reader sees it: cited inline, or listed where the whole list is shown.
    pub visible: bool,
    /// Number of the tracked brand that owns the domain.
    pub brand: Option<i64>,
    pub url: String,
    pub title: Option<String>,
    pub markers: Vec<String>,
    pub published: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CitationKind {
    /// Referenced inline.
    Cited,
    /// Only offered as a source.
    Listed,
    /// A link in the text that is not in the source list.
    InlineLink,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, serde::Serialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CitationOrigin {
    /// Given by the provider.
    Provider,
    /// Found in the text.
    Text,
}

/// A stored citation with the name of its domain.
#[derive(Debug, Clone, FromRow)]
pub struct Citation {
    pub position: i64,
    pub domain: String,
    pub kind: CitationKind,
    pub origin: CitationOrigin,
    pub visible: bool,
    pub brand: Option<i64>,
    pub url: String,
    pub title: Option<String>,
    pub markers: Json<Vec<String>>,
    pub published: Option<String>,
}

/// Writes citations; `domains` holds the number of every domain they name.
pub async fn insert(
    conn: &mut Conn,
    citations: &[&NewCitation],
    domains: &BTreeMap<String, i64>,
) -> Result<()> {
    Rows::new(citations)
        .column("run_number", |citation| citation.run_number)
        .column("position", |citation| citation.position)
        .column("workspace_id", |citation| citation.workspace)
        .column("domain", |citation| domains.get(&citation.domain).copied())
        .column("kind", |citation| citation.kind)
        .column("origin", |citation| citation.origin)
        .column("visible", |citation| citation.visible)
        .column("brand", |citation| citation.brand)
        .column("url", |citation| citation.url.as_str())
        .column("title", |citation| citation.title.as_deref())
        .column("markers", |citation| Json(citation.markers.as_slice()))
        .column("published", |citation| citation.published.as_deref())
        .insert(conn, "INSERT INTO citations", "")
        .await
        .map(drop)
}

/// The number of each domain; unknown ones get one. `names` are in order, each once.
pub async fn domain_numbers(conn: &mut Conn, names: &[&str]) -> Result<BTreeMap<String, i64>> {
    let rows = || Rows::new(names).column("name", |name| *name);
    rows().insert(conn, "INSERT INTO domains", "ON CONFLICT DO NOTHING").await?;
    let numbers: Vec<(String, i64)> = rows()
        .fetch(
            conn,
            "SELECT domains.name, domains.number FROM v JOIN domains ON domains.name = v.name",
        )
        .await?;
    Ok(numbers.into_iter().collect())
}

/// The citations of an answer, in the order of the engine.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    run_number: i64,
) -> Result<Vec<Citation>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT c.position, d.name AS domain, c.kind, c.origin, c.visible, c.brand, c.url,
                c.title, c.markers, c.published
         FROM citations c JOIN domains d ON d.number = c.domain
         WHERE c.workspace_id = $1 AND c.run_number = $2 ORDER BY c.position",
    )
    .bind(workspace)
    .bind(run_number)
    .fetch_all(c)
    .await)?)
}
