//! Counts per day, engine and prompt: what every metric is computed from.
//!
//! They are added to with each finished run and can be rebuilt for a day from the runs.
//! **Invariant:** both ways give the same rows.

use super::{Conn, bulk::Rows, citations::DomainNumbers, on_db};
use crate::{
    Result,
    ids::{PromptId, WorkspaceId},
};
use chrono::NaiveDate;
use sqlx::{FromRow, query, query_as, query_scalar};
use std::collections::BTreeMap;

/// Where a count belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub workspace: WorkspaceId,
    pub day: NaiveDate,
    pub engine: String,
}

/// Counts of a prompt on a day at an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct PromptDay {
    pub answered: i64,
    pub no_answer: i64,
    pub failed: i64,
    /// Answers that name an own brand.
    pub own_named: i64,
    /// Answers in which a reader sees an own domain.
    pub own_cited: i64,
    /// Answers that do both.
    pub own_named_cited: i64,
    /// Citations a reader sees.
    pub citations: i64,
    /// Those of own domains.
    pub own_citations: i64,
    /// Sources that were only listed.
    pub listed: i64,
}

/// Counts of a brand in the answers to a prompt on a day at an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct BrandDay {
    /// Answers that name it.
    pub named: i64,
    /// Answers that name it before every other tracked brand.
    pub first: i64,
    /// Answers that name it as a pick.
    pub recommended: i64,
    pub rank_sum: i64,
    /// Sum of 1 / rank in millionths.
    pub reciprocal_rank_micros: i64,
    /// Answers in which a reader sees one of its domains.
    pub cited: i64,
    pub positive: i64,
    pub neutral: i64,
    pub negative: i64,
}

/// Counts of a domain on a day at an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct DomainDay {
    /// Answers in which a reader sees it.
    pub answers: i64,
    pub cited: i64,
    pub listed: i64,
    /// Answers with it that name a competitor and no own brand.
    pub competitor_only: i64,
}

/// What finished runs add.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    // Ordered, so that two writers take the rows in the same order.
    pub prompts: BTreeMap<(Cell, PromptId), PromptDay>,
    pub brands: BTreeMap<(Cell, PromptId, i64), BrandDay>,
    /// By name of the domain.
    pub domains: BTreeMap<(Cell, String), DomainDay>,
}

macro_rules! add_fields {
    ($($ty:ident { $($field:ident),+ })+) => {$(
        impl std::ops::AddAssign for $ty {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    )+};
}
add_fields! {
    PromptDay {
        answered, no_answer, failed, own_named, own_cited, own_named_cited, citations,
        own_citations, listed
    }
    BrandDay {
        named, first, recommended, rank_sum, reciprocal_rank_micros, cited, positive, neutral,
        negative
    }
    DomainDay { answers, cited, listed, competitor_only }
}

impl Additions {
    pub fn merge(&mut self, other: &Self) {
        for (key, counts) in &other.prompts {
            *self.prompts.entry(key.clone()).or_default() += *counts;
        }
        for (key, counts) in &other.brands {
            *self.brands.entry(key.clone()).or_default() += *counts;
        }
        for (key, counts) in &other.domains {
            *self.domains.entry(key.clone()).or_default() += *counts;
        }
    }
}

/// Adds to the counts; `domains` holds the number of every domain named.
///
/// Rows go in the order of their keys: two processes may add to the same ones.
pub async fn add(conn: &mut Conn, additions: &Additions, domains: &DomainNumbers) -> Result<()> {
    add_prompts(conn, additions).await?;
    add_brands(conn, additions).await?;
    add_domains(conn, additions, domains).await
}

async fn add_prompts(conn: &mut Conn, additions: &Additions) -> Result<()> {
    let prompts: Vec<_> = additions.prompts.iter().collect();
    Rows::new(&prompts)
        .column("workspace_id", |((cell, _), _)| cell.workspace)
        .column("day", |((cell, _), _)| cell.day)
        .column("engine", |((cell, _), _)| cell.engine.as_str())
        .column("prompt_id", |((_, prompt), _)| *prompt)
        .column("answered", |(_, counts)| counts.answered)
        .column("no_answer", |(_, counts)| counts.no_answer)
        .column("failed", |(_, counts)| counts.failed)
        .column("own_named", |(_, counts)| counts.own_named)
        .column("own_cited", |(_, counts)| counts.own_cited)
        .column("own_named_cited", |(_, counts)| counts.own_named_cited)
        .column("citations", |(_, counts)| counts.citations)
        .column("own_citations", |(_, counts)| counts.own_citations)
        .column("listed", |(_, counts)| counts.listed)
        .insert(
            conn,
            "INSERT INTO daily_prompt_counts AS t",
            "ON CONFLICT (workspace_id, day, engine, prompt_id) DO UPDATE
             SET answered = t.answered + excluded.answered,
                 no_answer = t.no_answer + excluded.no_answer,
                 failed = t.failed + excluded.failed,
                 own_named = t.own_named + excluded.own_named,
                 own_cited = t.own_cited + excluded.own_cited,
                 own_named_cited = t.own_named_cited + excluded.own_named_cited,
                 citations = t.citations + excluded.citations,
                 own_citations = t.own_citations + excluded.own_citations,
                 listed = t.listed + excluded.listed",
        )
        .await
        .map(drop)
}

async fn add_brands(conn: &mut Conn, additions: &Additions) -> Result<()> {
    let brands: Vec<_> = additions.brands.iter().collect();
    Rows::new(&brands)
        .column("workspace_id", |((cell, ..), _)| cell.workspace)
        .column("day", |((cell, ..), _)| cell.day)
        .column("engine", |((cell, ..), _)| cell.engine.as_str())
        .column("prompt_id", |((_, prompt, _), _)| *prompt)
        .column("brand", |((.., brand), _)| *brand)
        .column("named", |(_, counts)| counts.named)
        .column("first", |(_, counts)| counts.first)
        .column("recommended", |(_, counts)| counts.recommended)
        .column("rank_sum", |(_, counts)| counts.rank_sum)
        .column("reciprocal_rank_micros", |(_, counts)| counts.reciprocal_rank_micros)
        .column("cited", |(_, counts)| counts.cited)
        .column("positive", |(_, counts)| counts.positive)
        .column("neutral", |(_, counts)| counts.neutral)
        .column("negative", |(_, counts)| counts.negative)
        .insert(
            conn,
            "INSERT INTO daily_brand_counts AS t",
            "ON CONFLICT (workspace_id, day, engine, prompt_id, brand) DO UPDATE
             SET named = t.named + excluded.named, first = t.first + excluded.first,
                 recommended = t.recommended + excluded.recommended,
                 rank_sum = t.rank_sum + excluded.rank_sum,
                 reciprocal_rank_micros =
                     t.reciprocal_rank_micros + excluded.reciprocal_rank_micros,
                 cited = t.cited + excluded.cited, positive = t.positive + excluded.positive,
                 neutral = t.neutral + excluded.neutral,
                 negative = t.negative + excluded.negative",
        )
        .await
        .map(drop)
}

async fn add_domains(
    conn: &mut Conn,
    additions: &Additions,
    domains: &DomainNumbers,
) -> Result<()> {
    let names: Vec<_> = additions.domains.iter().collect();
    Rows::new(&names)
        .column("workspace_id", |((cell, _), _)| cell.workspace)
        .column("day", |((cell, _), _)| cell.day)
        .column("engine", |((cell, _), _)| cell.engine.as_str())
        .column("domain", |((_, name), _)| domains.get(name).copied())
        .column("answers", |(_, counts)| counts.answers)
        .column("cited", |(_, counts)| counts.cited)
        .column("listed", |(_, counts)| counts.listed)
        .column("competitor_only", |(_, counts)| counts.competitor_only)
        .insert(
            conn,
            "INSERT INTO daily_domain_counts AS t",
            "ON CONFLICT (workspace_id, day, engine, domain) DO UPDATE
             SET answers = t.answers + excluded.answers, cited = t.cited + excluded.cited,
                 listed = t.listed + excluded.listed,
                 competitor_only = t.competitor_only + excluded.competitor_only",
        )
        .await
        .map(drop)
}

/// A statement over every run of the day that counts, with what its answer says of the brands.
///
/// A recording counts only where everything is one.
macro_rules! of_the_day {
    ($statement:literal) => {
        concat!(
            "WITH flagged AS (
    SELECT r.number, r.workspace_id, r.day, r.engine, r.prompt_id, r.outcome, r.state,
           EXISTS (SELECT 1 FROM mentions m JOIN brands b ON b.number = m.brand
                   WHERE m.run_number = r.number AND b.kind = 'own') AS own_named,
           EXISTS (SELECT 1 FROM mentions m JOIN brands b ON b.number = m.brand
                   WHERE m.run_number = r.number AND b.kind = 'competitor') AS competitor_named,
           EXISTS (SELECT 1 FROM citations c JOIN brands b ON b.number = c.brand
                   WHERE c.run_number = r.number AND c.visible AND b.kind = 'own') AS own_cited
    FROM runs r JOIN workspaces w ON w.id = r.workspace_id
    WHERE r.workspace_id = $1 AND r.day = $2 AND r.synthetic = w.synthetic
) ",
            $statement
        )
    };
}

/// Counts a day again from its runs.
pub async fn rebuild(conn: &mut Conn, workspace: WorkspaceId, day: NaiveDate) -> Result<()> {
    for table in [
        "DELETE FROM daily_prompt_counts WHERE workspace_id = $1 AND day = $2",
        "DELETE FROM daily_brand_counts WHERE workspace_id = $1 AND day = $2",
        "DELETE FROM daily_domain_counts WHERE workspace_id = $1 AND day = $2",
    ] {
        on_db!(conn, |c| query(table).bind(workspace).bind(day).execute(c).await.map(drop))?;
    }
    for select in [
        of_the_day!(
            "INSERT INTO daily_prompt_counts
             SELECT f.workspace_id, f.day, f.engine, f.prompt_id,
                    COUNT(*) FILTER (WHERE f.outcome = 'answer'),
                    COUNT(*) FILTER (WHERE f.outcome = 'no_answer'),
                    COUNT(*) FILTER (WHERE f.state = 'failed'),
                    COUNT(*) FILTER (WHERE f.own_named),
                    COUNT(*) FILTER (WHERE f.own_cited),
                    COUNT(*) FILTER (WHERE f.own_named AND f.own_cited),
                    CAST(COALESCE(SUM(s.visible), 0) AS BIGINT),
                    CAST(COALESCE(SUM(s.own), 0) AS BIGINT),
                    CAST(COALESCE(SUM(s.listed), 0) AS BIGINT)
             FROM flagged f
             LEFT JOIN (SELECT c.run_number,
                               COUNT(*) FILTER (WHERE c.visible) AS visible,
                               COUNT(*) FILTER (WHERE c.visible AND b.kind = 'own') AS own,
                               COUNT(*) FILTER (WHERE c.kind = 'listed') AS listed
                        FROM citations c LEFT JOIN brands b ON b.number = c.brand
                        WHERE c.run_number IN (SELECT number FROM flagged)
                        GROUP BY c.run_number) s ON s.run_number = f.number
             WHERE f.outcome IS NOT NULL OR f.state = 'failed'
             GROUP BY f.workspace_id, f.day, f.engine, f.prompt_id"
        ),
        of_the_day!(
            ", named AS (
                 SELECT m.run_number, m.brand, MIN(m.rank) AS rank,
                        MAX(CASE WHEN m.recommended THEN 1 ELSE 0 END) AS recommended,
                        COUNT(*) FILTER (WHERE m.sentiment = 1) AS positive,
                        COUNT(*) FILTER (WHERE m.sentiment = 0) AS neutral,
                        COUNT(*) FILTER (WHERE m.sentiment = -1) AS negative
                 FROM mentions m WHERE m.run_number IN (SELECT number FROM flagged)
                 GROUP BY m.run_number, m.brand
             ), cited AS (
                 SELECT DISTINCT c.run_number, c.brand FROM citations c
                 WHERE c.run_number IN (SELECT number FROM flagged)
                   AND c.visible AND c.brand IS NOT NULL
             ), seen AS (
                 SELECT run_number, brand FROM named UNION SELECT run_number, brand FROM cited
             )
             INSERT INTO daily_brand_counts
             SELECT f.workspace_id, f.day, f.engine, f.prompt_id, s.brand,
                    COUNT(n.rank), COUNT(*) FILTER (WHERE n.rank = 1),
                    CAST(COALESCE(SUM(n.recommended), 0) AS BIGINT),
                    CAST(COALESCE(SUM(n.rank), 0) AS BIGINT),
                    CAST(COALESCE(SUM((2000000 / n.rank + 1) / 2), 0) AS BIGINT),
                    COUNT(c.brand),
                    CAST(COALESCE(SUM(n.positive), 0) AS BIGINT),
                    CAST(COALESCE(SUM(n.neutral), 0) AS BIGINT),
                    CAST(COALESCE(SUM(n.negative), 0) AS BIGINT)
             FROM flagged f
             JOIN seen s ON s.run_number = f.number
             LEFT JOIN named n ON n.run_number = s.run_number AND n.brand = s.brand
             LEFT JOIN cited c ON c.run_number = s.run_number AND c.brand = s.brand
             GROUP BY f.workspace_id, f.day, f.engine, f.prompt_id, s.brand"
        ),
        of_the_day!(
            "INSERT INTO daily_domain_counts
             SELECT f.workspace_id, f.day, f.engine, s.domain,
                    COUNT(*) FILTER (WHERE s.visible > 0),
                    CAST(SUM(s.cited) AS BIGINT), CAST(SUM(s.listed) AS BIGINT),
                    COUNT(*) FILTER
                        (WHERE s.visible > 0 AND f.competitor_named AND NOT f.own_named)
             FROM flagged f
             JOIN (SELECT c.run_number, c.domain,
                          COUNT(*) FILTER (WHERE c.visible) AS visible,
                          COUNT(*) FILTER (WHERE c.kind <> 'listed') AS cited,
                          COUNT(*) FILTER (WHERE c.kind = 'listed') AS listed
                   FROM citations c WHERE c.run_number IN (SELECT number FROM flagged)
                   GROUP BY c.run_number, c.domain) s ON s.run_number = f.number
             GROUP BY f.workspace_id, f.day, f.engine, s.domain"
        ),
    ] {
        on_db!(conn, |c| query(select).bind(workspace).bind(day).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Forgets rows of a day that say nothing any more, as [`rebuild`] would.
pub async fn drop_empty(conn: &mut Conn, workspace: WorkspaceId, day: NaiveDate) -> Result<()> {
    on_db!(conn, |c| query(
        "DELETE FROM daily_prompt_counts
         WHERE workspace_id = $1 AND day = $2 AND answered = 0 AND no_answer = 0 AND failed = 0",
    )
    .bind(workspace)
    .bind(day)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// 1 / rank in millionths, rounded half up; the same integer arithmetic as [`rebuild`]'s.
pub fn reciprocal_rank_micros(rank: i64) -> i64 {
    i64::midpoint(2_000_000 / rank, 1)
}

/// Counts of one prompt at one engine over a window.
#[derive(Debug, Clone, FromRow)]
pub struct PromptRow {
    pub day: NaiveDate,
    pub engine: String,
    pub prompt_id: PromptId,
    #[sqlx(flatten)]
    pub counts: PromptDay,
}

/// Counts of one brand at one prompt and engine over a window.
#[derive(Debug, Clone, FromRow)]
pub struct BrandRow {
    pub day: NaiveDate,
    pub engine: String,
    pub prompt_id: PromptId,
    /// Number of the brand.
    pub brand: i64,
    #[sqlx(flatten)]
    pub counts: BrandDay,
}

/// Counts of one domain at one engine over a window.
#[derive(Debug, Clone, FromRow)]
pub struct DomainRow {
    pub domain: String,
    pub engine: String,
    pub last_seen: NaiveDate,
    #[sqlx(flatten)]
    pub counts: DomainDay,
}

/// Rows per day, engine and prompt between two days, both included.
pub async fn prompts(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<PromptRow>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM daily_prompt_counts WHERE workspace_id = $1 AND day BETWEEN $2 AND $3
         ORDER BY day, engine, prompt_id",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .fetch_all(c)
    .await)?)
}

/// Rows per day, engine, prompt and brand between two days, both included.
pub async fn brands(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<BrandRow>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM daily_brand_counts WHERE workspace_id = $1 AND day BETWEEN $2 AND $3
         ORDER BY day, engine, prompt_id, brand",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .fetch_all(c)
    .await)?)
}

/// The domains that readers saw most between two days, both included, per engine.
pub async fn top_domains(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
    limit: i64,
) -> Result<Vec<DomainRow>> {
    Ok(on_db!(conn, |c| query_as(
        "WITH top AS (
             SELECT domain, SUM(answers) AS total FROM daily_domain_counts
             WHERE workspace_id = $1 AND day BETWEEN $2 AND $3
             GROUP BY domain HAVING SUM(answers) > 0
             ORDER BY total DESC, domain LIMIT $4
         )
         SELECT d.name AS domain, t.engine, MAX(t.day) AS last_seen,
                CAST(SUM(t.answers) AS BIGINT) AS answers, CAST(SUM(t.cited) AS BIGINT) AS cited,
                CAST(SUM(t.listed) AS BIGINT) AS listed,
                CAST(SUM(t.competitor_only) AS BIGINT) AS competitor_only
         FROM daily_domain_counts t
         JOIN top ON top.domain = t.domain
         JOIN domains d ON d.number = t.domain
         WHERE t.workspace_id = $1 AND t.day BETWEEN $2 AND $3
         GROUP BY d.name, t.engine, top.total
         ORDER BY top.total DESC, d.name, t.engine",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Every domain that answers of a window gave, over all engines or at one of them.
pub async fn domains(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
    engine: Option<&str>,
) -> Result<Vec<DomainRow>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT d.name AS domain, '' AS engine, MAX(t.day) AS last_seen,
                CAST(SUM(t.answers) AS BIGINT) AS answers, CAST(SUM(t.cited) AS BIGINT) AS cited,
                CAST(SUM(t.listed) AS BIGINT) AS listed,
                CAST(SUM(t.competitor_only) AS BIGINT) AS competitor_only
         FROM daily_domain_counts t JOIN domains d ON d.number = t.domain
         WHERE t.workspace_id = $1 AND t.day BETWEEN $2 AND $3
           AND ($4 IS NULL OR t.engine = $4)
         GROUP BY d.name ORDER BY d.name",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .bind(engine)
    .fetch_all(c)
    .await)?)
}

/// A domain at an engine, in answers that name a competitor and no own brand.
#[derive(Debug, Clone, FromRow)]
pub struct CompetitorOnly {
    /// Number of the domain.
    pub number: i64,
    pub domain: String,
    pub answers: i64,
    pub last_seen: NaiveDate,
}

/// The domains of such answers in a window, a row per engine.
pub async fn competitor_only(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<CompetitorOnly>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT d.number, d.name AS domain, CAST(SUM(t.competitor_only) AS BIGINT) AS answers,
                MAX(t.day) AS last_seen
         FROM daily_domain_counts t JOIN domains d ON d.number = t.domain
         WHERE t.workspace_id = $1 AND t.day BETWEEN $2 AND $3 AND t.competitor_only > 0
         GROUP BY d.number, d.name, t.engine ORDER BY d.number, t.engine",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .fetch_all(c)
    .await)?)
}

/// How many engines gave answers in a window.
pub async fn engines(
    conn: &mut Conn,
    workspace: WorkspaceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<i64> {
    Ok(on_db!(conn, |c| query_scalar(
        "SELECT COUNT(DISTINCT engine) FROM daily_prompt_counts
         WHERE workspace_id = $1 AND day BETWEEN $2 AND $3 AND answered > 0",
    )
    .bind(workspace)
    .bind(from)
    .bind(to)
    .fetch_one(c)
    .await)?)
}
