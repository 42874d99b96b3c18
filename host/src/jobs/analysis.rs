//! From an answer to its mentions, citations and counts.

use crate::{
    Result, brand_names,
    ids::{PromptId, WorkspaceId},
    store::{
        Store,
        brands::{self, BrandKind},
        citations::{CitationKind, CitationOrigin, NewCitation},
        daily_counts::{Additions, BrandDay, Cell, DomainDay, PromptDay, reciprocal_rank_micros},
        mentions::Mention,
    },
};
use aiv_analysis::{
    answers::{Analysis, Analyzer, Brand, JudgedMention},
    citations::{self, OfferedCitation, Origin, SourceTable},
    mentions::Scratch,
    sentiment::Sentiment,
};
use aiv_runtime::types::{self, Answer};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// An analyzer with the numbers of the brands it looks for.
pub(super) struct BrandAnalyzer {
    analyzer: Analyzer,
    /// Number and kind, by the analyzer's index.
    brands: Vec<(i64, BrandKind)>,
}

/// Analyzers of the workspaces in work: building one costs more than using it.
#[derive(Default)]
pub(super) struct Analyzers(Mutex<HashMap<WorkspaceId, (i64, Arc<BrandAnalyzer>)>>);

/// Analyzers kept; the next one makes room by forgetting all.
const KEPT: usize = 256;

impl Analyzers {
    /// The analyzer for the brands that the workspace tracks at `brands_version`.
    pub(super) async fn find(
        &self,
        store: &Store,
        workspace: WorkspaceId,
        brands_version: i64,
    ) -> Result<Arc<BrandAnalyzer>> {
        if let Some((version, analyzer)) = self.kept().get(&workspace)
            && *version == brands_version
        {
            return Ok(Arc::clone(analyzer));
        }
        let mut conn = store.read().await?;
        let tracked = brands::tracked(&mut conn, workspace).await?;
        drop(conn);
        let analyzer = Arc::new(BrandAnalyzer::new(&tracked)?);
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(workspace, (brands_version, Arc::clone(&analyzer)));
        Ok(analyzer)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<WorkspaceId, (i64, Arc<BrandAnalyzer>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an answer belongs.
pub(super) struct Place {
    pub run_number: i64,
    pub prompt: PromptId,
    pub cell: Cell,
    /// The engine shows its whole source list, so a listed source counts as seen.
    pub listed_is_visible: bool,
}

/// What an answer says, as rows.
pub(super) struct Analysed {
    pub mentions: Vec<Mention>,
    pub citations: Vec<NewCitation>,
    pub additions: Additions,
}

thread_local! {
    /// Buffers that grow to the largest answer of the thread and stay.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl BrandAnalyzer {
    fn new(tracked: &[brands::Brand]) -> Result<Self> {
        let known: Vec<Brand> =
            (0..).zip(tracked).map(|(id, brand)| brand_names::known(id, brand)).collect();
        let analyzer = Analyzer::new(&known, SourceTable::standard())
            .map_err(|err| anyhow::anyhow!("cannot look for the tracked brands: {err}"))?;
        let brands = tracked.iter().map(|brand| (brand.number, brand.kind)).collect();
        Ok(BrandAnalyzer { analyzer, brands })
    }

    /// Finds what the answer says and where it counts.
    pub(super) fn analyse(&self, answer: &Answer, place: &Place) -> Analysed {
        let offered: Vec<_> = answer
            .citations
            .iter()
            .map(|citation| OfferedCitation {
                url: citation.url.clone(),
                title: citation.title.clone(),
                kind: match citation.kind {
                    types::CitationKind::Cited => citations::CitationKind::Cited,
                    types::CitationKind::Listed => citations::CitationKind::Listed,
                    types::CitationKind::InlineLink => citations::CitationKind::InlineLink,
                },
            })
            .collect();
        let analysis = SCRATCH
            .with_borrow_mut(|scratch| self.analyzer.analyse(scratch, &answer.text, &offered));
        let mentions = self.mentions(&analysis, place);
        let citations = self.citations(&analysis, answer, place);
        let additions = self.additions(&analysis, &citations, place);
        Analysed { mentions, citations, additions }
    }

    fn mentions(&self, analysis: &Analysis, place: &Place) -> Vec<Mention> {
        let row = |judged: &JudgedMention| Mention {
            run_number: place.run_number,
            start: judged.mention.start.into(),
            length: judged.mention.len.into(),
            workspace_id: place.cell.workspace,
            brand: self.brand(judged.mention.brand).0,
            rank: judged.mention.rank.into(),
            list_position: judged.mention.list_position.map(Into::into),
            recommended: judged.recommended,
            sentiment: judged.sentiment.map(|sentiment| match sentiment {
                Sentiment::Positive => 1,
                Sentiment::Neutral => 0,
                Sentiment::Negative => -1,
            }),
        };
        analysis.mentions.iter().map(row).collect()
    }

    fn citations(&self, analysis: &Analysis, answer: &Answer, place: &Place) -> Vec<NewCitation> {
        // The analysis merges what normalises to one URL: the first one's markers are its own.
        let mut given: HashMap<String, &types::Citation> = HashMap::new();
        for citation in &answer.citations {
            if let Some(normalised) = citations::normalise(&citation.url) {
                given.entry(normalised.url).or_insert(citation);
            }
        }
        let row = |citation: &citations::Citation| {
            let kind = match citation.kind {
                citations::CitationKind::Cited => CitationKind::Cited,
                citations::CitationKind::Listed => CitationKind::Listed,
                citations::CitationKind::InlineLink => CitationKind::InlineLink,
            };
            let given = given.get(&citation.url);
            NewCitation {
                run_number: place.run_number,
                position: citation.position.into(),
                workspace: place.cell.workspace,
                domain: citation.registrable_domain.clone(),
                kind,
                origin: match citation.origin {
                    Origin::Provider => CitationOrigin::Provider,
                    Origin::Text => CitationOrigin::Text,
                },
                visible: kind != CitationKind::Listed || place.listed_is_visible,
                brand: citation.brand.map(|brand| self.brand(brand).0),
                url: citation.url.clone(),
                title: citation.title.clone(),
                markers: given.map(|given| given.markers.clone()).unwrap_or_default(),
                published: given.and_then(|given| given.published.clone()),
            }
        };
        analysis.citations.iter().map(row).collect()
    }

    /// What the answer adds to the counts; `store::daily_counts::rebuild` says the same in SQL.
    fn additions(&self, analysis: &Analysis, cited: &[NewCitation], place: &Place) -> Additions {
        let mut additions = Additions::default();
        let named = |kind| analysis.brands.iter().any(|found| self.brand(found.brand).1 == kind);
        let (own_named, competitor_named) = (named(BrandKind::Own), named(BrandKind::Competitor));
        let kinds: HashMap<i64, BrandKind> = self.brands.iter().copied().collect();
        let is_own = |brand: Option<i64>| {
            brand.is_some_and(|number| kinds.get(&number) == Some(&BrandKind::Own))
        };
        let visible: Vec<_> = cited.iter().filter(|citation| citation.visible).collect();
        let own_cited = visible.iter().any(|citation| is_own(citation.brand));
        additions.prompts.insert(
            (place.cell.clone(), place.prompt),
            PromptDay {
                answered: 1,
                own_named: own_named.into(),
                own_cited: own_cited.into(),
                own_named_cited: (own_named && own_cited).into(),
                citations: count(visible.len()),
                own_citations: count(visible.iter().filter(|c| is_own(c.brand)).count()),
                listed: count(cited.iter().filter(|c| c.kind == CitationKind::Listed).count()),
                ..PromptDay::default()
            },
        );

        let mut brand_day = |number: i64, day: BrandDay| {
            *additions.brands.entry((place.cell.clone(), place.prompt, number)).or_default() += day;
        };
        for found in &analysis.brands {
            let rank = i64::from(found.rank);
            brand_day(
                self.brand(found.brand).0,
                BrandDay {
                    named: 1,
                    first: (rank == 1).into(),
                    recommended: found.recommended.into(),
                    rank_sum: rank,
                    reciprocal_rank_micros: reciprocal_rank_micros(rank),
                    positive: found.sentiment.positive.into(),
                    neutral: found.sentiment.neutral.into(),
                    negative: found.sentiment.negative.into(),
                    ..BrandDay::default()
                },
            );
        }
        let mut owners: Vec<i64> = visible.iter().filter_map(|citation| citation.brand).collect();
        owners.sort_unstable();
        owners.dedup();
        for number in owners {
            brand_day(number, BrandDay { cited: 1, ..BrandDay::default() });
        }

        for citation in cited {
            let day =
                additions.domains.entry((place.cell.clone(), citation.domain.clone())).or_default();
            let listed = citation.kind == CitationKind::Listed;
            *day += DomainDay {
                cited: (!listed).into(),
                listed: listed.into(),
                ..DomainDay::default()
            };
            if citation.visible && day.answers == 0 {
                day.answers = 1;
                day.competitor_only = (competitor_named && !own_named).into();
            }
        }
        additions
    }

    fn brand(&self, index: u32) -> (i64, BrandKind) {
        self.brands[index as usize]
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
