//! From daily counts to numbers: the one place that calls the metric kernel on stored data.
//!
//! **Invariant:** API, command line and reports all get their numbers here.
//! **Invariant:** branded and non-brand prompts never share a denominator.

use crate::{
    Result,
    ids::{BrandId, IntentId, PromptId},
    store::{
        Conn,
        brands::{self, Brand, BrandKind},
        daily_counts::{self, BrandDay, PromptDay},
        prompts::{self, PromptGroup},
        workspaces::Workspace,
    },
};
use aiv_analysis::{
    answers::Analyzer,
    citations::SourceTable,
    mentions::Scratch,
    metrics::{
        Design, EngineParts, Estimate, GhostCounts, PositionCounts, PromptCounts, SentimentCounts,
        ShareCounts, VisibilityScore, VoiceCounts, answer_rate, average_position, citation_rate,
        citation_share, engine_coverage, first_mention_rate, mean_reciprocal_rank, mention_rate,
        net_sentiment, prompt_coverage, share_of_voice, visibility_score,
    },
};
use chrono::{Days, NaiveDate};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

mod breakdowns;
mod changes;
mod domains;

pub use self::{
    breakdowns::{AtEngine, AtPrompt},
    changes::Rate,
    domains::{Opportunity, SourceCounts, TopDomain, opportunities, sources, top_domains},
};

/// Days in the workspace's time zone, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

impl Window {
    /// The last `days` days, `today` included.
    pub fn last(days: u64, today: NaiveDate) -> Self {
        let from = today.checked_sub_days(Days::new(days.saturating_sub(1))).unwrap_or(today);
        Window { from, to: today }
    }

    pub fn days(self) -> u64 {
        u64::try_from((self.to - self.from).num_days() + 1).unwrap_or(0)
    }

    /// The window of the same length right before.
    #[must_use]
    pub fn previous(self) -> Self {
        let days = Days::new(self.days());
        Window {
            from: self.from.checked_sub_days(days).unwrap_or(self.from),
            to: self.to.checked_sub_days(days).unwrap_or(self.to),
        }
    }
}

/// Which answers count.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scope {
    /// Only this engine.
    pub engine: Option<String>,
    /// Only prompts with this tag.
    pub tag: Option<String>,
    /// Only prompts of this intent, by name.
    pub intent: Option<String>,
    /// Only prompts about this topic, by name.
    pub topic: Option<String>,
    /// Only prompts that this persona asks, by name.
    pub persona: Option<String>,
    /// Only prompts that are asked in this language. A prompt that leaves it to the engine has none.
    pub language: Option<String>,
    /// Only prompts that are asked from this country. A prompt that leaves it to the engine has
    /// none.
    pub country: Option<String>,
    /// Prompts that name an own brand, instead of those that do not.
    pub branded: bool,
}

impl Scope {
    /// Whether the prompt is in it, apart from the brands it names.
    fn holds(&self, prompt: &PromptGroup) -> bool {
        let same = |wanted: &Option<String>, has: &Option<String>| {
            wanted.is_none() || wanted.as_ref() == has.as_ref()
        };
        self.tag.as_ref().is_none_or(|tag| prompt.tags.contains(tag))
            && same(&self.intent, &prompt.intent)
            && same(&self.topic, &prompt.topic)
            && same(&self.persona, &prompt.persona)
            && same(&self.language, &prompt.language)
            && same(&self.country, &prompt.country)
    }
}

/// The state of a workspace in a window.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    pub window: Window,
    /// Answers come from recordings: the numbers show how the product works, not a market.
    pub synthetic: bool,
    pub totals: Totals,
    /// Share of valid runs in which the engine showed an answer.
    pub answer_rate: Estimate,
    pub engine_coverage: Estimate,
    pub prompt_coverage: Estimate,
    pub citation_share: Estimate,
    /// Named and cited, one of them, or neither.
    pub ghosts: GhostCounts,
    /// 0 to 100, with its parts.
    pub visibility_score: VisibilityScore,
    /// The tracked set that the share of voice is taken over.
    pub brands: Vec<BrandMetrics>,
    pub engines: Vec<EngineMetrics>,
}

/// Counts of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub answered: i64,
    pub no_answer: i64,
    pub failed: i64,
    /// Citations a reader sees.
    pub citations: i64,
}

/// One brand over all engines in scope.
#[derive(Debug, Clone, Serialize)]
pub struct BrandMetrics {
    pub brand: BrandId,
    pub name: String,
    pub kind: BrandKind,
    pub mention_rate: Estimate,
    pub share_of_voice: Estimate,
    pub first_mention_rate: Estimate,
    pub mean_reciprocal_rank: Estimate,
    /// Over the answers that name it only; flatters brands that appear rarely.
    pub average_position: Estimate,
    pub citation_rate: Estimate,
    pub net_sentiment: Estimate,
    /// The same by engine.
    pub engines: Vec<BrandAtEngine>,
}

/// One brand at one engine.
#[derive(Debug, Clone, Serialize)]
pub struct BrandAtEngine {
    pub engine: String,
    pub mention_rate: Estimate,
    pub share_of_voice: Estimate,
    pub citation_rate: Estimate,
    pub first_mention_rate: Estimate,
}

/// One engine.
#[derive(Debug, Clone, Serialize)]
pub struct EngineMetrics {
    pub engine: String,
    pub totals: Totals,
    pub answer_rate: Estimate,
    pub citation_share: Estimate,
}

/// One day of a brand.
#[derive(Debug, Clone, Serialize)]
pub struct DayMetrics {
    pub day: NaiveDate,
    pub mention_rate: Estimate,
    pub share_of_voice: Estimate,
    pub citation_rate: Estimate,
}

/// The counts of a window, ready to be looked at from any side.
pub struct Counts {
    window: Window,
    synthetic: bool,
    brands: Vec<Brand>,
    /// Keys of the engines with a run, in order.
    engines: Vec<String>,
    /// The prompts in scope.
    groups: HashMap<PromptId, PromptGroup>,
    prompts: Vec<(Key, PromptDay)>,
    by_brand: HashMap<i64, HashMap<Key, BrandDay>>,
}

/// What counts are kept by: the cluster is the unit of sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    day: NaiveDate,
    /// Index of the engine.
    engine: usize,
    prompt: PromptId,
    cluster: Cluster,
}

/// Phrasings of one intent resemble each other, so they are one draw from the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Cluster {
    Intent(IntentId),
    Prompt(PromptId),
}

/// Loads what `scope` allows of a window.
pub async fn load(
    conn: &mut Conn,
    workspace: &Workspace,
    window: Window,
    scope: &Scope,
) -> Result<Counts> {
    let tracked = brands::tracked(conn, workspace.id).await?;
    let own = own_names(&tracked)?;
    let mut scratch = Scratch::default();
    let groups: HashMap<PromptId, PromptGroup> = prompts::groups(conn, workspace.id)
        .await?
        .into_iter()
        .filter(|prompt| scope.holds(prompt))
        .filter(|prompt| is_branded(&own, &mut scratch, prompt) == scope.branded)
        .map(|prompt| (prompt.id, prompt))
        .collect();
    let cluster = |id: PromptId| {
        let intent = groups.get(&id)?.intent_id;
        Some(intent.map_or(Cluster::Prompt(id), Cluster::Intent))
    };
    let in_scope = |engine: &String| scope.engine.as_ref().is_none_or(|wanted| wanted == engine);

    let mut rows = daily_counts::prompts(conn, workspace.id, window.from, window.to).await?;
    rows.retain(|row| in_scope(&row.engine) && groups.contains_key(&row.prompt_id));
    let engines: BTreeSet<String> = rows.iter().map(|row| row.engine.clone()).collect();
    let engines: Vec<String> = engines.into_iter().collect();
    let key = |day, engine: &String, prompt| {
        let cluster = cluster(prompt)?;
        let engine = engines.binary_search(engine).ok()?;
        Some(Key { day, engine, prompt, cluster })
    };
    let prompts = rows
        .iter()
        .filter_map(|row| Some((key(row.day, &row.engine, row.prompt_id)?, row.counts)))
        .collect();
    let rows = daily_counts::brands(conn, workspace.id, window.from, window.to).await?;
    let mut by_brand: HashMap<i64, HashMap<Key, BrandDay>> = HashMap::new();
    for row in rows {
        if let Some(key) = key(row.day, &row.engine, row.prompt_id) {
            by_brand.entry(row.brand).or_default().insert(key, row.counts);
        }
    }
    let synthetic = workspace.synthetic;
    Ok(Counts { window, synthetic, brands: tracked, engines, groups, prompts, by_brand })
}

/// Whether engines are told an own brand's name, by the question or by who asks it.
fn is_branded(own: &Analyzer, scratch: &mut Scratch, prompt: &PromptGroup) -> bool {
    let mut named = |text: &str| own.is_branded(scratch, text);
    named(&prompt.text) || prompt.context.as_deref().is_some_and(named)
}

/// The names that make a prompt a branded one.
fn own_names(tracked: &[Brand]) -> Result<Analyzer> {
    let own: Vec<_> = tracked.iter().filter(|brand| brand.kind == BrandKind::Own).collect();
    let known: Vec<_> =
        (0..).zip(own).map(|(id, brand)| crate::brand_names::known(id, brand)).collect();
    Analyzer::new(&known, SourceTable::standard())
        .map_err(|err| anyhow::anyhow!("cannot look for the own brands: {err}").into())
}

impl Counts {
    /// Everything about the window.
    pub fn overview(&self) -> Overview {
        let engines = self.by_engine();
        let whole = self.slice(|_| true);
        Overview {
            window: self.window,
            synthetic: self.synthetic,
            totals: whole.totals(),
            answer_rate: whole.answer_rate(),
            engine_coverage: self.engine_coverage(&engines),
            prompt_coverage: prompt_coverage(&whole.own_named(), whole.design()),
            citation_share: whole.citation_share(),
            ghosts: whole.ghosts(),
            visibility_score: self.visibility_score(&engines),
            brands: self.brands.iter().map(|brand| Self::brand(brand, &whole, &engines)).collect(),
            engines: engines
                .iter()
                .map(|(engine, slice)| EngineMetrics {
                    engine: (*engine).to_owned(),
                    totals: slice.totals(),
                    answer_rate: slice.answer_rate(),
                    citation_share: slice.citation_share(),
                })
                .collect(),
        }
    }

    /// A brand day by day; days without a run are left out.
    pub fn timeseries(&self, brand: BrandId) -> Option<Vec<DayMetrics>> {
        let brand = self.brands.iter().find(|tracked| tracked.id == brand)?;
        let days: BTreeSet<NaiveDate> = self.prompts.iter().map(|(key, _)| key.day).collect();
        let metrics = |day| {
            let slice = self.slice(|key| key.day == day);
            DayMetrics {
                day,
                mention_rate: slice.mention_rate(brand.number),
                share_of_voice: slice.share_of_voice(brand.number),
                citation_rate: slice.citation_rate(brand.number),
            }
        };
        Some(days.into_iter().map(metrics).collect())
    }

    fn brand(brand: &Brand, whole: &Slice<'_>, engines: &[(&str, Slice<'_>)]) -> BrandMetrics {
        let number = brand.number;
        BrandMetrics {
            brand: brand.id,
            name: brand.name.clone(),
            kind: brand.kind,
            mention_rate: whole.mention_rate(number),
            share_of_voice: whole.share_of_voice(number),
            first_mention_rate: whole.first_mention_rate(number),
            mean_reciprocal_rank: mean_reciprocal_rank(&whole.positions(number), whole.design()),
            average_position: average_position(&whole.positions(number), whole.design()),
            citation_rate: whole.citation_rate(number),
            net_sentiment: net_sentiment(&whole.sentiments(number), whole.design()),
            engines: engines
                .iter()
                .map(|(engine, slice)| BrandAtEngine {
                    engine: (*engine).to_owned(),
                    mention_rate: slice.mention_rate(number),
                    share_of_voice: slice.share_of_voice(number),
                    citation_rate: slice.citation_rate(number),
                    first_mention_rate: slice.first_mention_rate(number),
                })
                .collect(),
        }
    }

    fn by_engine(&self) -> Vec<(&str, Slice<'_>)> {
        let slice = |index| self.slice(|key| key.engine == index);
        self.engines.iter().enumerate().map(|(i, engine)| (engine.as_str(), slice(i))).collect()
    }

    fn engine_coverage(&self, engines: &[(&str, Slice<'_>)]) -> Estimate {
        let counts: Vec<PromptCounts> = engines
            .iter()
            .map(|(_, slice)| {
                let own = slice.own_named();
                PromptCounts {
                    runs: own.iter().map(|counts| counts.runs).sum(),
                    hits: own.iter().map(|counts| counts.hits).sum(),
                }
            })
            .collect();
        engine_coverage(&counts, self.slice(|_| true).design())
    }

    /// Of the first own brand, which is the one the workspace is about.
    fn visibility_score(&self, engines: &[(&str, Slice<'_>)]) -> VisibilityScore {
        let own = self.brands.iter().find(|brand| brand.kind == BrandKind::Own);
        let parts: Vec<EngineParts> = own
            .map(|brand| {
                engines.iter().map(|(_, slice)| {
                    let mention_rate = slice.mention_rate(brand.number);
                    let positions = slice.positions(brand.number);
                    let sentiments = slice.sentiments(brand.number);
                    EngineParts {
                        mention_rate: mention_rate.value,
                        mean_reciprocal_rank: mean_reciprocal_rank(&positions, slice.design())
                            .value,
                        citation_rate: slice.citation_rate(brand.number).value,
                        net_sentiment: net_sentiment(&sentiments, slice.design()).value,
                        n_eff: mention_rate.n_eff,
                    }
                })
            })
            .into_iter()
            .flatten()
            .collect();
        visibility_score(&parts)
    }

    fn slice(&self, keep: impl Fn(&Key) -> bool) -> Slice<'_> {
        let rows = self.prompts.iter().filter(|(key, _)| keep(key)).collect();
        Slice { counts: self, rows }
    }
}

/// Some of the counts.
struct Slice<'a> {
    counts: &'a Counts,
    rows: Vec<&'a (Key, PromptDay)>,
}

impl Slice<'_> {
    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (_, day) in &self.rows {
            totals.answered += day.answered;
            totals.no_answer += day.no_answer;
            totals.failed += day.failed;
            totals.citations += day.citations;
        }
        totals
    }

    fn design(&self) -> Design {
        let answered = || self.rows.iter().filter(|(_, day)| day.answered > 0);
        let engines: BTreeSet<usize> = answered().map(|(key, _)| key.engine).collect();
        let days: BTreeSet<NaiveDate> = answered().map(|(key, _)| key.day).collect();
        Design { engines: small(engines.len()), days: small(days.len()) }
    }

    fn answer_rate(&self) -> Estimate {
        let counts = self.clusters(|counts: &mut PromptCounts, _, day| {
            counts.runs += narrow(day.answered + day.no_answer);
            counts.hits += narrow(day.answered);
        });
        answer_rate(&counts, self.design())
    }

    fn mention_rate(&self, brand: i64) -> Estimate {
        mention_rate(&self.hits(brand, |day| day.named), self.design())
    }

    fn first_mention_rate(&self, brand: i64) -> Estimate {
        first_mention_rate(&self.hits(brand, |day| day.first), self.design())
    }

    fn citation_rate(&self, brand: i64) -> Estimate {
        citation_rate(&self.hits(brand, |day| day.cited), self.design())
    }

    fn share_of_voice(&self, brand: i64) -> Estimate {
        let tracked = &self.counts.brands;
        let counts = self.clusters(|counts: &mut VoiceCounts, key, day| {
            counts.answers += narrow(day.answered);
            counts.brand += narrow(self.brand_day(brand, key).named);
            counts.tracked += tracked
                .iter()
                .map(|tracked| narrow(self.brand_day(tracked.number, key).named))
                .sum::<u32>();
        });
        share_of_voice(&counts, small(tracked.len()), self.design())
    }

    fn citation_share(&self) -> Estimate {
        let counts = self.clusters(|counts: &mut ShareCounts, _, day| {
            counts.answers += narrow(day.answered);
            counts.part += narrow(day.own_citations);
            counts.whole += narrow(day.citations);
        });
        citation_share(&counts, self.design())
    }

    fn ghosts(&self) -> GhostCounts {
        let mut ghosts = GhostCounts::default();
        for (_, day) in &self.rows {
            let (named, cited, both) = (day.own_named, day.own_cited, day.own_named_cited);
            ghosts.both += wide(both);
            ghosts.named_only += wide(named - both);
            ghosts.cited_only += wide(cited - both);
            ghosts.neither += wide(day.answered - named - cited + both);
        }
        ghosts
    }

    fn own_named(&self) -> Vec<PromptCounts> {
        self.clusters(|counts: &mut PromptCounts, _, day| {
            counts.runs += narrow(day.answered);
            counts.hits += narrow(day.own_named);
        })
    }

    fn positions(&self, brand: i64) -> Vec<PositionCounts> {
        self.clusters(|counts: &mut PositionCounts, key, day| {
            let at = self.brand_day(brand, key);
            counts.answers += narrow(day.answered);
            counts.mentioned += narrow(at.named);
            counts.rank_sum += wide(at.rank_sum);
            #[expect(clippy::cast_precision_loss, reason = "millionths of at most some millions")]
            let reciprocal = at.reciprocal_rank_micros as f64 / 1e6;
            counts.reciprocal_sum += reciprocal;
        })
    }

    fn sentiments(&self, brand: i64) -> Vec<SentimentCounts> {
        self.clusters(|counts: &mut SentimentCounts, key, _| {
            let at = self.brand_day(brand, key);
            counts.positive += narrow(at.positive);
            counts.neutral += narrow(at.neutral);
            counts.negative += narrow(at.negative);
        })
    }

    fn hits(&self, brand: i64, hits: impl Fn(&BrandDay) -> i64) -> Vec<PromptCounts> {
        self.clusters(|counts: &mut PromptCounts, key, day| {
            counts.runs += narrow(day.answered);
            counts.hits += narrow(hits(&self.brand_day(brand, key)));
        })
    }

    fn brand_day(&self, brand: i64, key: &Key) -> BrandDay {
        self.counts.by_brand.get(&brand).and_then(|days| days.get(key)).copied().unwrap_or_default()
    }

    /// Adds the rows up by cluster.
    fn clusters<T: Default>(&self, add: impl Fn(&mut T, &Key, &PromptDay)) -> Vec<T> {
        let mut clusters: BTreeMap<Cluster, T> = BTreeMap::new();
        for (key, day) in &self.rows {
            add(clusters.entry(key.cluster).or_default(), key, day);
        }
        clusters.into_values().collect()
    }
}

fn narrow(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn wide(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
