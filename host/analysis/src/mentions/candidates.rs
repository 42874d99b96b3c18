use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Matcher, Scratch, lints::is_common_word};
use crate::markdown::{Case, Pace, Plain, fold, strip_into};

const LONGEST: usize = 40;
const MOST_WORDS: usize = 4;

/// A name that stands where competitors stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompetitorCandidate {
    /// The name, in its commonest spelling.
    pub name: String,
    /// Answers with a list item that starts with it.
    pub answers: u32,
    /// Those of them that also name a tracked brand.
    pub beside: u32,
}

/// Capitalised names at the head of list items, counted over answers, for a person to adopt,
/// merge or block. Names that are tracked already are left out.
#[derive(Default)]
pub struct CompetitorCandidates {
    names: HashMap<String, Counts>,
    plain: Plain,
}

#[derive(Default)]
struct Counts {
    spellings: HashMap<String, u32>,
    answers: u32,
    beside: u32,
}

impl CompetitorCandidates {
    /// Counts the names in one answer, each once.
    pub fn add(&mut self, tracked: &Matcher, scratch: &mut Scratch, answer: &str) {
        let beside = !tracked.find_with(scratch, answer).is_empty();
        strip_into(answer, Case::Kept, Pace::Quick, &mut self.plain);
        let mut seen = Vec::new();
        for head in self.plain.item_heads() {
            let Some(name) = name_in(head) else { continue };
            let key = fold(name);
            if seen.contains(&key) || tracked.names_any(scratch, name) {
                continue;
            }
            let counts = self.names.entry(key.clone()).or_default();
            *counts.spellings.entry(name.to_owned()).or_default() += 1;
            counts.answers += 1;
            counts.beside += u32::from(beside);
            seen.push(key);
        }
    }

    /// The candidates, those beside tracked brands most often first.
    pub fn into_sorted(self) -> Vec<CompetitorCandidate> {
        let mut candidates: Vec<_> = self
            .names
            .into_values()
            .filter_map(|counts| {
                let Counts { spellings, answers, beside } = counts;
                let best = spellings.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
                Some(CompetitorCandidate { name: best?.0, answers, beside })
            })
            .collect();
        candidates.sort_unstable_by(|a, b| {
            (b.beside, b.answers, &a.name).cmp(&(a.beside, a.answers, &b.name))
        });
        candidates
    }
}

/// The name a list item starts with: up to four capitalised words before a colon, dash, comma,
/// bracket or full stop.
fn name_in(head: &str) -> Option<&str> {
    let end = [": ", " - ", " — ", ", ", " (", ". ", "; "]
        .iter()
        .filter_map(|mark| head.find(mark))
        .min()
        .unwrap_or(head.len());
    let name = head[..end].trim().trim_end_matches([':', '.', ',', '-', '—']);
    let words: Vec<_> = name.split(' ').collect();
    let capital = |word: &str| word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    let linking = |word: &str| matches!(word, "&" | "of" | "and" | "de" | "og" | "und" | "by");
    let named = words.iter().all(|word| capital(word) || linking(word));
    let starts = words.first().is_some_and(|word| capital(word));
    let letters = name.contains(char::is_alphabetic);
    let fits = name.len() <= LONGEST && words.len() <= MOST_WORDS && name.chars().count() > 1;
    (named && starts && letters && fits && !is_heading(name)).then_some(name)
}

/// Words that head items without naming anybody. A single everyday word may be a name (`Notion`),
/// several of them are a phrase (`Free Plan`).
fn is_heading(name: &str) -> bool {
    let folded = fold(name);
    let single = !folded.contains(' ');
    let everyday =
        |word: &str| is_common_word(word) || word.strip_suffix('s').is_some_and(is_common_word);
    folded.split(' ').all(|word| HEADINGS.contains(&word) || (!single && everyday(word)))
}

const HEADINGS: [&str; 72] = [
    "advantages",
    "affordable",
    "alternatives",
    "automation",
    "availability",
    "battery",
    "benefits",
    "best",
    "budget",
    "collaboration",
    "comfort",
    "companies",
    "comparison",
    "compatibility",
    "conclusion",
    "cons",
    "considerations",
    "cost",
    "customization",
    "design",
    "disadvantages",
    "documentation",
    "downsides",
    "drawbacks",
    "durability",
    "ease",
    "enterprise",
    "feature",
    "features",
    "flexibility",
    "free",
    "highlights",
    "integration",
    "integrations",
    "limitations",
    "materials",
    "note",
    "overview",
    "performance",
    "plans",
    "premium",
    "price",
    "pricing",
    "privacy",
    "pros",
    "quality",
    "rating",
    "recommendation",
    "reliability",
    "requirements",
    "reviews",
    "scalability",
    "security",
    "size",
    "sound",
    "speed",
    "strengths",
    "summary",
    "support",
    "tip",
    "usability",
    "use",
    "value",
    "verdict",
    "warranty",
    "weaknesses",
    "website",
    "why",
    "fordele",
    "ulemper",
    "vorteile",
    "nachteile",
];
