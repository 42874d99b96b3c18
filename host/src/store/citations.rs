use super::{Conn, on_db};
use crate::{Result, ids::WorkspaceId};
use sqlx::{FromRow, QueryBuilder, query_as, types::Json};
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

/// Rows per statement; twelve binds a row.
const CHUNK: usize = 1000;

/// Writes citations; `domains` holds the number of every domain they name.
pub async fn insert(
    conn: &mut Conn,
    citations: &[&NewCitation],
    domains: &BTreeMap<String, i64>,
) -> Result<()> {
    for chunk in citations.chunks(CHUNK) {
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO citations (run_number, position, workspace_id, domain, kind, origin,
                                        visible, brand, url, title, markers, published) ",
            );
            sql.push_values(chunk, |mut row, citation| {
                row.push_bind(citation.run_number)
                    .push_bind(citation.position)
                    .push_bind(citation.workspace)
                    .push_bind(domains.get(&citation.domain).copied())
                    .push_bind(citation.kind)
                    .push_bind(citation.origin)
                    .push_bind(citation.visible)
                    .push_bind(citation.brand)
                    .push_bind(&citation.url)
                    .push_bind(&citation.title)
                    .push_bind(Json(&citation.markers))
                    .push_bind(&citation.published);
            });
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// The number of each domain; unknown ones get one.
pub async fn domain_numbers(conn: &mut Conn, names: &[String]) -> Result<BTreeMap<String, i64>> {
    let mut numbers = BTreeMap::new();
    for chunk in names.chunks(CHUNK) {
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new("INSERT INTO domains (name) ");
            sql.push_values(chunk, |mut row, name| {
                row.push_bind(name);
            });
            sql.push(" ON CONFLICT DO NOTHING");
            sql.build().execute(c).await.map(drop)
        })?;
        let rows: Vec<(String, i64)> = on_db!(conn, |c| {
            let mut sql = QueryBuilder::new("SELECT name, number FROM domains WHERE name IN (");
            let mut list = sql.separated(", ");
            for name in chunk {
                list.push_bind(name);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await
        })?;
        numbers.extend(rows);
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
