use super::Window;
use crate::{
    Result,
    store::{
        Conn,
        brands::{self, Brand, BrandKind},
        citation_opportunities::{self, Decision, OpportunityStatus},
        daily_counts,
        workspaces::Workspace,
    },
};
use aiv_analysis::citations::{Site, Sites, SourceKind, SourceTable, normalise};
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A domain that answers give as a source.
#[derive(Debug, Clone, Serialize)]
pub struct TopDomain {
    pub domain: String,
    pub kind: SourceKind,
    /// Answers in which a reader sees it.
    pub answers: i64,
    /// Inline references.
    pub cited: i64,
    /// Times it was only listed as a source.
    pub listed: i64,
    /// Answers with it that name a competitor and no own brand.
    pub competitor_only: i64,
    pub engines: Vec<String>,
    pub last_seen: NaiveDate,
}

/// The domains that readers saw in most answers, most seen first.
pub async fn top_domains(
    conn: &mut Conn,
    workspace: &Workspace,
    window: Window,
    limit: i64,
) -> Result<Vec<TopDomain>> {
    let tracked = brands::tracked(conn, workspace.id).await?;
    let sites = sites(&tracked);
    let rows = daily_counts::top_domains(conn, workspace.id, window.from, window.to, limit).await?;
    let mut domains: Vec<TopDomain> = Vec::new();
    for row in rows {
        let same = domains.last().is_some_and(|last| last.domain == row.domain);
        if !same {
            domains.push(TopDomain {
                kind: kind(&sites, &row.domain),
                domain: row.domain,
                answers: 0,
                cited: 0,
                listed: 0,
                competitor_only: 0,
                engines: vec![],
                last_seen: row.last_seen,
            });
        }
        if let Some(domain) = domains.last_mut() {
            domain.answers += row.counts.answers;
            domain.cited += row.counts.cited;
            domain.listed += row.counts.listed;
            domain.competitor_only += row.counts.competitor_only;
            domain.engines.push(row.engine);
            domain.last_seen = domain.last_seen.max(row.last_seen);
        }
    }
    Ok(domains)
}

/// What a kind of source comes to. Rates are left to whoever has the answers: a domain is counted
/// by engine and day, not by prompt.
#[derive(Debug, Clone, Serialize)]
pub struct SourceCounts {
    pub kind: SourceKind,
    /// Different domains.
    pub domains: i64,
    /// Inline references.
    pub cited: i64,
    /// Times one was only listed as a source.
    pub listed: i64,
}

/// The kinds of source that answers of a window rest on, the most used first.
pub async fn sources(
    conn: &mut Conn,
    workspace: &Workspace,
    window: Window,
    engine: Option<&str>,
) -> Result<Vec<SourceCounts>> {
    let tracked = brands::tracked(conn, workspace.id).await?;
    let sites = sites(&tracked);
    let rows = daily_counts::domains(conn, workspace.id, window.from, window.to, engine).await?;
    let mut kinds: Vec<SourceCounts> = Vec::new();
    for row in rows {
        let kind = kind(&sites, &row.domain);
        let place = kinds.iter().position(|counts| counts.kind == kind).unwrap_or_else(|| {
            kinds.push(SourceCounts { kind, domains: 0, cited: 0, listed: 0 });
            kinds.len() - 1
        });
        kinds[place].domains += 1;
        kinds[place].cited += row.counts.cited;
        kinds[place].listed += row.counts.listed;
    }
    kinds.sort_by_key(|counts| std::cmp::Reverse(counts.cited + counts.listed));
    Ok(kinds)
}

/// A domain that answers cite when they name a competitor and no own brand.
#[derive(Debug, Clone)]
pub struct Opportunity {
    pub domain: String,
    pub kind: SourceKind,
    /// Answers with it that name a competitor and no own brand.
    pub answers: i64,
    /// Engines that gave such answers.
    pub engines: i64,
    pub last_seen: NaiveDate,
    /// Answers × share of the engines × recency: all of it observed.
    pub score: f64,
    /// What the workspace decided; open when nothing.
    pub status: OpportunityStatus,
    pub decision: Option<Decision>,
}

/// Days after which an opportunity that is not seen again counts half.
const HALF_LIFE: f64 = 14.0;

/// The opportunities of a window with one of these states, the best first.
pub async fn opportunities(
    conn: &mut Conn,
    workspace: &Workspace,
    window: Window,
    status: Option<OpportunityStatus>,
    limit: usize,
) -> Result<Vec<Opportunity>> {
    let tracked = brands::tracked(conn, workspace.id).await?;
    let sites = sites(&tracked);
    let rows = daily_counts::competitor_only(conn, workspace.id, window.from, window.to).await?;
    let asked = daily_counts::engines(conn, workspace.id, window.from, window.to).await?;
    let mut decided: HashMap<i64, Decision> = citation_opportunities::list(conn, workspace.id)
        .await?
        .into_iter()
        .map(|decision| (decision.domain, decision))
        .collect();
    let mut found: BTreeMap<i64, Opportunity> = BTreeMap::new();
    for row in rows {
        let opportunity = found.entry(row.number).or_insert_with(|| {
            let decision = decided.remove(&row.number);
            Opportunity {
                kind: kind(&sites, &row.domain),
                domain: row.domain.clone(),
                answers: 0,
                engines: 0,
                last_seen: row.last_seen,
                score: 0.0,
                status: decision.as_ref().map_or(OpportunityStatus::Open, |said| said.status),
                decision,
            }
        });
        opportunity.answers += row.answers;
        opportunity.engines += 1;
        opportunity.last_seen = opportunity.last_seen.max(row.last_seen);
    }
    let mut found: Vec<Opportunity> = found
        .into_values()
        // An own page that a competitor's answer cites is no place to be added to.
        .filter(|opportunity| opportunity.kind != SourceKind::OwnSite)
        .filter(|opportunity| status.is_none_or(|status| opportunity.status == status))
        .map(|opportunity| Opportunity { score: score(&opportunity, asked, window), ..opportunity })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.domain.cmp(&b.domain)));
    found.truncate(limit);
    Ok(found)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of answers, engines and days")]
fn score(opportunity: &Opportunity, asked: i64, window: Window) -> f64 {
    let spread = opportunity.engines as f64 / asked.max(1) as f64;
    let age = (window.to - opportunity.last_seen).num_days().max(0) as f64;
    opportunity.answers as f64 * spread * (-age / HALF_LIFE).exp2()
}

fn sites(tracked: &[Brand]) -> Sites {
    Sites::new(
        SourceTable::standard(),
        (0..).zip(tracked).flat_map(|(id, brand)| {
            let own = brand.kind == BrandKind::Own;
            brand.domains.iter().map(move |domain| Site { domain, brand: id, own })
        }),
    )
}

fn kind(sites: &Sites, domain: &str) -> SourceKind {
    normalise(&format!("https://{domain}/"))
        .map_or(SourceKind::Other, |address| sites.classify(&address).0)
}
