//! One answer, end to end: who is named, how, where, and on what sources.

use serde::{Deserialize, Serialize};

use crate::{
    ANALYSIS_VERSION,
    citations::{Citation, OfferedCitation, Site, Sites, SourceTable, collect},
    mentions::{Alias, Matcher, MatcherError, Mention, Scratch, TrackedBrand},
    metrics::SentimentCounts,
    sentiment::{Judgement, Reading, Sentiment},
};

/// A brand of a workspace: its names and its sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// What the caller knows it by.
    pub id: u32,
    /// Whether it is an own brand or a competitor.
    pub own: bool,
    /// The names it goes by.
    pub aliases: Vec<Alias>,
    /// Its domains, or addresses for parts of one (`github.com/asana`).
    pub domains: Vec<String>,
}

/// Everything derived from one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// The version of the code that derived it.
    pub version: u32,
    /// Every mention, in the order of the answer.
    pub mentions: Vec<JudgedMention>,
    /// Every brand that is mentioned, by rank.
    pub brands: Vec<BrandInAnswer>,
    /// Every source, once.
    pub citations: Vec<Citation>,
}

/// A mention and how its sentence speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedMention {
    /// Who and where.
    #[serde(flatten)]
    pub mention: Mention,
    /// Named as a pick: in a list item, or in a recommending clause, and not ill spoken of.
    pub recommended: bool,
    /// How the clause speaks of the brand; absent for a bare name, an unknown language, and where
    /// the sentence named the brand before.
    pub sentiment: Option<Sentiment>,
}

/// A brand in one answer: a mention counts once per answer in every rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrandInAnswer {
    /// The brand.
    pub brand: u32,
    /// How often it is named.
    pub mentions: u32,
    /// Its place in the order of first mention among tracked brands, from 1.
    pub rank: u32,
    /// The number of the first list item that holds it.
    pub list_position: Option<u32>,
    /// Whether any mention is a pick.
    pub recommended: bool,
    /// Its judged sentences, each once.
    pub sentiment: SentimentCounts,
}

/// What is tracked in one workspace, ready to be looked for. Build it once per change of brands.
pub struct Analyzer {
    matcher: Matcher,
    own: Matcher,
    sites: Sites,
}

impl Analyzer {
    /// Indexes names and sites.
    pub fn new(brands: &[Brand], sources: SourceTable) -> Result<Self, MatcherError> {
        let tracked = |brand: &Brand| TrackedBrand { id: brand.id, aliases: brand.aliases.clone() };
        let all: Vec<_> = brands.iter().map(tracked).collect();
        let own: Vec<_> = brands.iter().filter(|brand| brand.own).map(tracked).collect();
        let sites = brands.iter().flat_map(|brand| {
            let Brand { id, own, domains, .. } = brand;
            domains.iter().map(|domain| Site { domain, brand: *id, own: *own })
        });
        Ok(Self {
            matcher: Matcher::new(&all)?,
            own: Matcher::new(&own)?,
            sites: Sites::new(sources, sites),
        })
    }

    /// The names, for searches that need nothing else.
    pub const fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// The sites, for citations without an answer.
    pub const fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Whether a prompt names an own brand.
    pub fn is_branded(&self, scratch: &mut Scratch, prompt: &str) -> bool {
        self.own.names_any(scratch, prompt)
    }

    /// Everything there is to know of an answer from its text and the sources offered with it.
    pub fn analyse(
        &self,
        scratch: &mut Scratch,
        answer: &str,
        offered: &[OfferedCitation],
    ) -> Analysis {
        self.matcher.find_with(scratch, answer);
        let (mentions, brands) = judge_mentions(scratch);
        Analysis {
            version: ANALYSIS_VERSION,
            mentions,
            brands,
            citations: collect(offered, answer, &self.sites),
        }
    }
}

/// Judges the mentions of the last search, sentence by sentence.
fn judge_mentions(scratch: &Scratch) -> (Vec<JudgedMention>, Vec<BrandInAnswer>) {
    let text = scratch.plain.text();
    let mut judged = Vec::with_capacity(scratch.mentions.len());
    let mut brands: Vec<BrandInAnswer> = Vec::new();
    let mut first = 0;
    while let Some(span) = scratch.folded.get(first) {
        let reading = Reading::of(text, span);
        let inside = scratch.folded[first..].partition_point(|span| span.start < reading.span.end);
        let last = first + inside.max(1);
        let mentions = &scratch.mentions[first..last];
        let alone = mentions.iter().all(|mention| mention.brand == mentions[0].brand);
        let mut seen = Vec::new();
        for (mention, span) in mentions.iter().zip(&scratch.folded[first..last]) {
            let Judgement { sentiment, pick } = reading.judge(span.start, !alone);
            let listed = mention.list_position.is_some();
            let recommended = (listed || pick) && sentiment != Some(Sentiment::Negative);
            // A sentence counts once for a brand, however often it names it.
            let again = seen.contains(&mention.brand);
            let sentiment = sentiment.filter(|_| !again);
            judged.push(JudgedMention { mention: *mention, recommended, sentiment });
            let brand = entry(&mut brands, mention);
            brand.mentions += 1;
            brand.recommended |= recommended;
            brand.list_position = brand.list_position.or(mention.list_position);
            match sentiment {
                Some(Sentiment::Positive) => brand.sentiment.positive += 1,
                Some(Sentiment::Neutral) => brand.sentiment.neutral += 1,
                Some(Sentiment::Negative) => brand.sentiment.negative += 1,
                None => {}
            }
            if !again {
                seen.push(mention.brand);
            }
        }
        first = last;
    }
    (judged, brands)
}

/// The entry of a mention's brand. Ranks count up in the order of the answer, so they are indices.
fn entry<'a>(brands: &'a mut Vec<BrandInAnswer>, mention: &Mention) -> &'a mut BrandInAnswer {
    let index = mention.rank.saturating_sub(1) as usize;
    if index >= brands.len() {
        brands.push(BrandInAnswer {
            brand: mention.brand,
            mentions: 0,
            rank: mention.rank,
            list_position: None,
            recommended: false,
            sentiment: SentimentCounts::default(),
        });
    }
    let last = brands.len() - 1;
    &mut brands[index.min(last)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::citations::{CitationKind, SourceKind};

    #[test]
    fn a_sentence_that_names_a_brand_twice_counts_once() {
        let text = "Trello is excellent, and Trello boards are excellent too.";
        let analysis = analyzer().analyse(&mut Scratch::default(), text, &[]);
        let of_mentions = analysis.mentions.iter().filter(|m| m.sentiment.is_some()).count();
        assert_eq!(analysis.mentions.len(), 2);
        assert_eq!((of_mentions, analysis.brands[0].sentiment.positive), (1, 1));
    }

    fn analyzer() -> Analyzer {
        let brand = |id, name: &str, domain: &str, own| Brand {
            id,
            own,
            aliases: vec![Alias::new(name)],
            domains: vec![domain.to_owned()],
        };
        let brands = [
            brand(10, "Asana", "asana.com", true),
            brand(20, "Trello", "trello.com", false),
            brand(30, "Jira", "atlassian.com", false),
        ];
        Analyzer::new(&brands, SourceTable::standard()).unwrap()
    }

    fn analyse(answer: &str) -> Analysis {
        analyzer().analyse(&mut Scratch::default(), answer, &[])
    }

    #[test]
    fn an_answer_is_read_in_one_go() {
        let answer = "For most teams we recommend **Trello**.\n\n\
            1. **Trello** – simple and fast\n\
            2. **Asana** – powerful, see [pricing](https://asana.com/pricing)\n\n\
            Jira is slow. Jira was acquired in 2017.";
        let analysis = analyse(answer);
        let [trello, asana, jira] = analysis.brands[..] else { unreachable!("three brands") };
        assert_eq!((trello.brand, trello.rank, trello.mentions), (20, 1, 2));
        assert_eq!((trello.list_position, trello.recommended), (Some(1), true));
        assert_eq!(trello.sentiment.positive, 2);
        assert_eq!((asana.brand, asana.rank, asana.list_position), (10, 2, Some(2)));
        assert_eq!((jira.recommended, jira.list_position), (false, None));
        assert_eq!(jira.sentiment, SentimentCounts { positive: 0, neutral: 1, negative: 1 });
        assert_eq!(analysis.version, ANALYSIS_VERSION);
        let [citation] = &analysis.citations[..] else { unreachable!("one source") };
        assert_eq!((citation.source, citation.brand), (SourceKind::OwnSite, Some(10)));
        assert_eq!(citation.kind, CitationKind::InlineLink);
    }

    #[test]
    fn a_list_does_not_recommend_what_it_advises_against() {
        let analysis = analyse("1. Trello – great\n2. Jira – avoid, too expensive");
        let picks: Vec<_> = analysis.brands.iter().map(|brand| brand.recommended).collect();
        assert_eq!(picks, [true, false]);
    }

    #[test]
    fn a_sentence_counts_once_per_brand() {
        let analysis = analyse("Asana is good and Asana is fast. Asana is great.");
        assert_eq!(analysis.brands[0].mentions, 3);
        assert_eq!(analysis.brands[0].sentiment.positive, 2);
    }

    #[test]
    fn an_analysis_travels_as_json() {
        let analysis = analyse("1. Asana is great: https://asana.com");
        let json = serde_json::to_value(&analysis).unwrap();
        assert_eq!(json["mentions"][0]["brand"], 10);
        assert_eq!(json["mentions"][0]["sentiment"], "positive");
        assert_eq!(json["citations"][0]["source"], "own_site");
        assert_eq!(serde_json::from_value::<Analysis>(json).unwrap(), analysis);
    }

    #[test]
    fn prompts_are_branded_by_own_names_alone() {
        let (analyzer, mut scratch) = (analyzer(), Scratch::default());
        assert!(analyzer.is_branded(&mut scratch, "asana alternatives"));
        assert!(!analyzer.is_branded(&mut scratch, "trello alternatives"));
    }

    /// Each of these takes very long where the work grows with the square of the length.
    #[test]
    fn long_texts_without_a_break_are_read() {
        for piece in
            ["asana.", "asana/", "but asana ", "asana, ", "[", "[asana](", "**", "<a ", "`\u{301}"]
        {
            let answer = piece.repeat(20_000);
            let analysis = analyse(&answer);
            assert!(analysis.mentions.len() <= 20_000);
        }
    }

    proptest! {
        #[test]
        fn the_parts_agree(answer in crate::markdown::tests::answers()) {
            let answer = answer.replace("Sony", "Trello").replace("Coop", "Jira");
            let analysis = analyse(&answer);
            let total: u32 = analysis.brands.iter().map(|brand| brand.mentions).sum();
            prop_assert_eq!(total as usize, analysis.mentions.len());
            for (rank, brand) in (1..).zip(&analysis.brands) {
                prop_assert_eq!(brand.rank, rank);
                prop_assert!(brand.sentiment.sentences() <= brand.mentions);
            }
        }
    }
}
