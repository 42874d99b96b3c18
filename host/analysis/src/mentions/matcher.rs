use std::{collections::HashMap, ops::Range};

use aho_corasick::{
    AhoCorasick, AhoCorasickKind, Anchored, BuildError, Input, MatchKind, StartKind,
};
use serde::{Deserialize, Serialize};

use super::{
    TrackedBrand,
    boundaries::{Ending, ending, is_address},
    guards::Guards,
    lints::is_common_word,
    starts::Starts,
};
use crate::markdown::{Case, Pace, Plain, fold, strip_into};

/// Below this many bytes of aliases the automaton is laid out for speed rather than size.
const SMALL: usize = 64 * 1024;

/// One brand found at one place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mention {
    /// The brand, by the id it was tracked under.
    pub brand: u32,
    /// Which of its aliases, by index.
    pub alias: u32,
    /// Where the name starts, in bytes of the original answer.
    pub start: u32,
    /// Its length there.
    pub len: u32,
    /// The brand's place in the order of first mention among tracked brands, from 1.
    pub rank: u32,
    /// The number of the list item holding it.
    pub list_position: Option<u32>,
}

impl Mention {
    /// The span in the original answer.
    pub const fn span(&self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// Why a matcher cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the aliases cannot be searched for: {0}")]
pub struct MatcherError(#[from] BuildError);

/// All names of all tracked brands, ready to be searched for. Cheap to share, costly to build.
pub struct Matcher {
    automaton: AhoCorasick,
    starts: Starts,
    names: Vec<Name>,
    brands: Vec<u32>,
}

/// A folded name, and who goes by it.
struct Name {
    text: String,
    common: bool,
    bearers: Vec<Bearer>,
    /// Shorter names that start it, longest first.
    prefixes: Vec<usize>,
}

struct Bearer {
    /// Index among the tracked brands.
    brand: usize,
    alias: u32,
    guards: Guards,
}

/// Buffers for one search at a time, kept from one answer to the next.
#[derive(Default)]
pub struct Scratch {
    pub(crate) plain: Plain,
    pub(crate) mentions: Vec<Mention>,
    /// Span of each mention in the folded plain text.
    pub(crate) folded: Vec<Range<usize>>,
    ranks: Vec<u32>,
}

impl Scratch {
    /// Mentions of the last answer searched, in its order.
    pub fn mentions(&self) -> &[Mention] {
        &self.mentions
    }
}

impl Matcher {
    /// Folds and indexes the aliases. Empty ones are left out; where two brands share an alias
    /// the first whose guards hold gets the mention.
    pub fn new(brands: &[TrackedBrand]) -> Result<Self, MatcherError> {
        let names = names(brands);
        let small = names.iter().map(|name| name.text.len()).sum::<usize>() <= SMALL;
        let kind = if small { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(kind))
            .start_kind(StartKind::Anchored)
            .build(names.iter().map(|name| &name.text))?;
        let starts = Starts::new(names.iter().map(|name| name.text.as_str()));
        let brands = brands.iter().map(|brand| brand.id).collect();
        Ok(Self { automaton, starts, names, brands })
    }

    /// All mentions in an answer, in its order.
    pub fn find(&self, answer: &str) -> Vec<Mention> {
        let mut scratch = Scratch::default();
        self.find_with(&mut scratch, answer);
        scratch.mentions
    }

    /// All mentions in an answer, without new buffers.
    pub fn find_with<'s>(&self, scratch: &'s mut Scratch, answer: &str) -> &'s [Mention] {
        strip_into(answer, Case::Folded, Pace::Quick, &mut scratch.plain);
        scratch.mentions.clear();
        scratch.folded.clear();
        scratch.ranks.clear();
        scratch.ranks.resize(self.brands.len(), 0);
        let Scratch { plain, mentions, folded, ranks } = scratch;
        let mut order = 0;
        self.search(answer, plain, |hit| {
            let rank = &mut ranks[hit.brand];
            if *rank == 0 {
                order += 1;
                *rank = order;
            }
            mentions.push(Mention {
                brand: self.brands[hit.brand],
                alias: hit.alias,
                start: offset(hit.source.start),
                len: offset(hit.source.len()),
                rank: *rank,
                list_position: plain.list_position(hit.folded.start),
            });
            folded.push(hit.folded);
            true
        });
        &scratch.mentions
    }

    /// Whether any tracked brand is named.
    pub fn names_any(&self, scratch: &mut Scratch, text: &str) -> bool {
        strip_into(text, Case::Folded, Pace::Quick, &mut scratch.plain);
        let mut named = false;
        self.search(text, &scratch.plain, |_| {
            named = true;
            false
        });
        named
    }

    /// Reports accepted names from left to right until `report` declines more. At each place the
    /// longest name is tried first, then the shorter ones that start it, then the next place.
    fn search(&self, original: &str, plain: &Plain, mut report: impl FnMut(Hit) -> bool) {
        let text = plain.text();
        let mut from = 0;
        while let Some(at) = self.starts.next(text.as_bytes(), from) {
            let here = Input::new(text).range(at..).anchored(Anchored::Yes);
            let longest = self.automaton.find(here).map(|found| found.pattern().as_usize());
            let hit = longest.and_then(|longest| {
                let shorter = self.names[longest].prefixes.iter().copied();
                std::iter::once(longest)
                    .chain(shorter)
                    .find_map(|name| self.accept(name, at, original, plain))
            });
            from = hit.as_ref().map_or(at + 1, |hit| hit.folded.end);
            if let Some(hit) = hit
                && !report(hit)
            {
                return;
            }
        }
    }

    /// The same names, with every name tried at every place of the carefully folded text.
    #[cfg(test)]
    pub(super) fn find_slowly(&self, answer: &str) -> Vec<(u32, usize, usize)> {
        let mut plain = Plain::default();
        strip_into(answer, Case::Folded, Pace::Careful, &mut plain);
        let mut longest_first: Vec<_> = (0..self.names.len()).collect();
        longest_first.sort_by_key(|name| std::cmp::Reverse(self.names[*name].text.len()));
        let mut hits = Vec::new();
        let mut free = 0;
        for (at, _) in plain.text().char_indices() {
            let here = |name: &&usize| plain.text()[at..].starts_with(&self.names[**name].text);
            let mut names = longest_first.iter().filter(|_| at >= free).filter(here);
            if let Some(hit) = names.find_map(|name| self.accept(*name, at, answer, &plain)) {
                free = hit.folded.end;
                hits.push((self.brands[hit.brand], hit.source.start, hit.source.len()));
            }
        }
        hits
    }

    fn accept(&self, name: usize, start: usize, original: &str, plain: &Plain) -> Option<Hit> {
        let name = &self.names[name];
        let folded = start..start + name.text.len();
        let ending = ending(plain.text(), &folded)?;
        if ending == Ending::GenitiveS && name.common {
            return None;
        }
        let source = plain.source_span(folded.clone())?;
        let written = original.get(source.clone())?;
        let capital = starts_with_capital(written);
        if ending == Ending::GenitiveS && !capital {
            return None;
        }
        let bearer = name.bearers.iter().find(|bearer| {
            (!bearer.guards.require_capital || capital)
                && bearer.guards.allow(plain.text(), &folded)
        })?;
        if is_address(original, plain, &folded) {
            return None;
        }
        Some(Hit { brand: bearer.brand, alias: bearer.alias, folded, source })
    }
}

/// An accepted name.
struct Hit {
    brand: usize,
    alias: u32,
    folded: Range<usize>,
    source: Range<usize>,
}

/// Whether a prompt names an own brand. Branded and other prompts never share a denominator.
pub fn is_branded(prompt: &str, own: &Matcher) -> bool {
    own.names_any(&mut Scratch::default(), prompt)
}

/// Whether the first letter is a capital, where its script has them.
fn starts_with_capital(written: &str) -> bool {
    written.chars().find(|c| c.is_alphabetic()).is_none_or(|c| !c.is_lowercase())
}

fn names(brands: &[TrackedBrand]) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (brand, tracked) in brands.iter().enumerate() {
        for (index, alias) in (0..).zip(&tracked.aliases) {
            let text = fold(&alias.text);
            if text.is_empty() {
                continue;
            }
            let at = *known.entry(text.clone()).or_insert_with(|| {
                let common = is_common_word(&text);
                names.push(Name { text, common, bearers: Vec::new(), prefixes: Vec::new() });
                names.len() - 1
            });
            names[at].bearers.push(Bearer { brand, alias: index, guards: Guards::new(alias) });
        }
    }
    for name in &mut names {
        let ends = name.text.char_indices().rev().map(|(end, _)| end).filter(|end| *end > 0);
        name.prefixes = ends.filter_map(|end| known.get(&name.text[..end]).copied()).collect();
    }
    names
}

/// Offsets fit: longer texts are cut before the search.
fn offset(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
