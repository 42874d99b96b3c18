//! What was found in answers, written a second time.
//!
//! **Invariant:** the text of an answer and its raw payload stay as they are; only what was derived
//! from them is replaced, and a run's counters with it.

use super::{
    Conn,
    bulk::Rows,
    citations::{self, CitationKind, CitationOrigin, DomainNumbers, NewCitation},
    mentions::{self, Mention},
};
use crate::Result;
use sqlx::FromRow;
use std::collections::HashMap;

/// What a new reading found in an answer.
#[derive(Debug, Clone)]
pub struct Reading {
    pub run_number: i64,
    pub mentions: Vec<Mention>,
    pub citations: Vec<NewCitation>,
    /// Of the reading.
    pub analysis_version: i64,
    pub brands_version: i64,
}

/// What is stored of a citation and can change by a new reading.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Source {
    pub position: i64,
    pub domain: String,
    pub kind: CitationKind,
    pub origin: CitationOrigin,
    pub visible: bool,
    pub brand: Option<i64>,
    pub url: String,
}

impl From<&NewCitation> for Source {
    fn from(citation: &NewCitation) -> Self {
        Source {
            position: citation.position,
            domain: citation.domain.clone(),
            kind: citation.kind,
            origin: citation.origin,
            visible: citation.visible,
            brand: citation.brand,
            url: citation.url.clone(),
        }
    }
}

#[derive(FromRow)]
struct SourceRow {
    run_number: i64,
    #[sqlx(flatten)]
    source: Source,
}

/// What is stored of these runs, by number, in the order of texts and lists.
pub async fn stored(
    conn: &mut Conn,
    runs: &[i64],
) -> Result<(HashMap<i64, Vec<Mention>>, HashMap<i64, Vec<Source>>)> {
    let found: Vec<Mention> = Rows::new(runs)
        .column("run_number", |number| *number)
        .fetch(
            conn,
            "SELECT m.* FROM v JOIN mentions m ON m.run_number = v.run_number
             ORDER BY m.run_number, m.start",
        )
        .await?;
    let sources: Vec<SourceRow> = Rows::new(runs)
        .column("run_number", |number| *number)
        .fetch(
            conn,
            "SELECT c.run_number, c.position, d.name AS domain, c.kind, c.origin, c.visible,
                    c.brand, c.url
             FROM v JOIN citations c ON c.run_number = v.run_number
             JOIN domains d ON d.number = c.domain
             ORDER BY c.run_number, c.position",
        )
        .await?;
    let mut by_run = (HashMap::new(), HashMap::new());
    for mention in found {
        by_run.0.entry(mention.run_number).or_insert_with(Vec::new).push(mention);
    }
    for SourceRow { run_number, source } in sources {
        by_run.1.entry(run_number).or_insert_with(Vec::new).push(source);
    }
    Ok(by_run)
}

/// Replaces what was found in the answers of `changed`, and notes for `all` who read them last.
/// `domains` holds the number of every domain cited. Rows go in the order of their runs.
pub async fn replace(
    conn: &mut Conn,
    all: &[Reading],
    changed: &[&Reading],
    domains: &DomainNumbers,
) -> Result<()> {
    for statement in [
        "DELETE FROM mentions WHERE run_number IN (SELECT run_number FROM v)",
        "DELETE FROM citations WHERE run_number IN (SELECT run_number FROM v)",
    ] {
        Rows::new(changed)
            .column("run_number", |reading| reading.run_number)
            .execute(conn, statement)
            .await?;
    }
    let spans: Vec<&Mention> = changed.iter().flat_map(|reading| &reading.mentions).collect();
    mentions::insert(conn, &spans).await?;
    let sources: Vec<&NewCitation> = changed.iter().flat_map(|r| &r.citations).collect();
    citations::insert(conn, &sources, domains).await?;
    Rows::new(changed)
        .column("number", |reading| reading.run_number)
        .column("mentions", |reading| count(&reading.mentions))
        .column("citations", |reading| count(&reading.citations))
        .execute(
            conn,
            "UPDATE runs SET mentions = v.mentions, citations = v.citations
             FROM v WHERE runs.number = v.number",
        )
        .await?;
    Rows::new(all)
        .column("run_number", |reading| reading.run_number)
        .column("analysis_version", |reading| reading.analysis_version)
        .column("brands_version", |reading| reading.brands_version)
        .execute(
            conn,
            "UPDATE answers
             SET analysis_version = v.analysis_version, brands_version = v.brands_version
             FROM v WHERE answers.run_number = v.run_number",
        )
        .await
        .map(drop)
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
