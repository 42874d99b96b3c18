use std::ops::Range;

use super::{Alias, boundaries::is_word};
use crate::markdown::fold;

/// How far `must_have_near` looks to either side, in bytes of the folded text.
const NEAR: usize = 200;

/// The guards of an alias, folded.
pub(super) struct Guards {
    pub(super) require_capital: bool,
    near: Vec<String>,
    not_before: Vec<String>,
    not_after: Vec<String>,
}

impl Guards {
    pub(super) fn new(alias: &Alias) -> Self {
        Self {
            require_capital: alias.require_capital,
            near: folded(&alias.must_have_near),
            not_before: folded(&alias.forbidden_before),
            not_after: folded(&alias.forbidden_after),
        }
    }

    /// Whether the surroundings of the span in the folded text allow the name.
    pub(super) fn allow(&self, text: &str, span: &Range<usize>) -> bool {
        self.near_enough(text, span)
            && !self.not_before.iter().any(|term| stands_before(text, span.start, term))
            && !self.not_after.iter().any(|term| stands_after(text, span.end, term))
    }

    fn near_enough(&self, text: &str, span: &Range<usize>) -> bool {
        if self.near.is_empty() {
            return true;
        }
        let before = text.ceil_char_boundary(span.start.saturating_sub(NEAR))..span.start;
        let after = span.end..text.floor_char_boundary((span.end + NEAR).min(text.len()));
        self.near.iter().any(|term| {
            [&before, &after].into_iter().any(|window| {
                let mut hits = text[window.clone()].match_indices(term.as_str());
                hits.any(|(at, _)| stands_alone(text, window.start + at, term.len()))
            })
        })
    }
}

fn folded(terms: &[String]) -> Vec<String> {
    terms.iter().map(|term| fold(term)).filter(|term| !term.is_empty()).collect()
}

fn stands_before(text: &str, at: usize, term: &str) -> bool {
    let before = text[..at].trim_end_matches([' ', '-', '\n']);
    before.ends_with(term) && stands_alone(text, before.len() - term.len(), term.len())
}

fn stands_after(text: &str, at: usize, term: &str) -> bool {
    let after = text[at..].trim_start_matches([' ', '-', '\n']);
    after.starts_with(term) && stands_alone(text, text.len() - after.len(), term.len())
}

fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let edge = |c: Option<char>| c.is_some_and(is_word);
    let starts = edge(text[at..].chars().next()) && edge(text[..at].chars().next_back());
    let end = at + length;
    let ends = edge(text[..end].chars().next_back()) && edge(text[end..].chars().next());
    !starts && !ends
}
