use super::Window;
use crate::{
    Result,
    store::{
        Conn,
        brands::{self, BrandKind},
        daily_counts,
        workspaces::Workspace,
    },
};
use aiv_analysis::citations::{Site, Sites, SourceKind, SourceTable, normalise};
use chrono::NaiveDate;
use serde::Serialize;

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
    let sites = Sites::new(
        SourceTable::standard(),
        (0..).zip(&tracked).flat_map(|(id, brand)| {
            let own = brand.kind == BrandKind::Own;
            brand.domains.iter().map(move |domain| Site { domain, brand: id, own })
        }),
    );
    let rows = daily_counts::top_domains(conn, workspace.id, window.from, window.to, limit).await?;
    let mut domains: Vec<TopDomain> = Vec::new();
    for row in rows {
        let same = domains.last().is_some_and(|last| last.domain == row.domain);
        if !same {
            domains.push(TopDomain {
                kind: normalise(&format!("https://{}/", row.domain))
                    .map_or(SourceKind::Other, |address| sites.classify(&address).0),
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
