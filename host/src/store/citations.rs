use super::{Conn, bulk::Rows, on_db};
use crate::{
    Result,
    ids::{PromptId, RunId, WorkspaceId},
};
use chrono::NaiveDate;
use sqlx::{FromRow, query_as, types::Json};
use std::collections::HashMap;

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
    domains: &DomainNumbers,
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

/// Numbers of domains by name. A number never changes once it is given.
pub type DomainNumbers = HashMap<String, i64>;

/// The number of each domain; unknown ones get one. `names` are in order, each once.
pub async fn domain_numbers(conn: &mut Conn, names: &[&str]) -> Result<DomainNumbers> {
    let find = "SELECT domains.name, domains.number FROM v JOIN domains ON domains.name = v.name";
    let rows = |names| Rows::new(names).column("name", |name: &&str| *name);
    let mut numbers: DomainNumbers = rows(names).fetch(conn, find).await?.into_iter().collect();
    let unknown: Vec<_> = names.iter().copied().filter(|n| !numbers.contains_key(*n)).collect();
    if !unknown.is_empty() {
        let add = rows(&unknown).insert(conn, "INSERT INTO domains", "ON CONFLICT DO NOTHING");
        add.await?;
        // Read again rather than returned: another process may have added one just now.
        numbers.extend(rows(&unknown).fetch::<(String, i64)>(conn, find).await?);
    }
    Ok(numbers)
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

/// A citation of a domain in the answer that gives it.
#[derive(Debug, Clone, FromRow)]
pub struct Place {
    pub run: RunId,
    pub prompt: PromptId,
    pub engine: String,
    pub day: NaiveDate,
    pub url: String,
    pub title: Option<String>,
    pub position: i64,
    pub visible: bool,
    pub markers: Json<Vec<String>>,
    /// Of the answer.
    pub text: String,
}

/// Where answers of these days cite a domain, the newest first. The counts say on which days to
/// look: citations have no index by domain, which every answer would have to pay for.
pub async fn places(
    conn: &mut Conn,
    workspace: WorkspaceId,
    domain: &str,
    (from, to): (NaiveDate, NaiveDate),
    engine: Option<&str>,
    limit: i64,
) -> Result<Vec<Place>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT r.id AS run, r.prompt_id AS prompt, r.engine, r.day, c.url, c.title, c.position,
                c.visible, c.markers, a.text
         FROM domains d
         JOIN daily_domain_counts t ON t.domain = d.number AND t.workspace_id = $1
             AND t.day BETWEEN $3 AND $4
         JOIN runs r ON r.workspace_id = t.workspace_id AND r.day = t.day AND r.engine = t.engine
         JOIN citations c ON c.run_number = r.number AND c.domain = d.number
         JOIN answers a ON a.run_number = r.number
         WHERE d.name = $2 AND ($5 IS NULL OR t.engine = $5)
         ORDER BY r.day DESC, r.number DESC, c.position LIMIT $6",
    )
    .bind(workspace)
    .bind(domain)
    .bind(from)
    .bind(to)
    .bind(engine)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}
