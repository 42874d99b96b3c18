use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};

/// The lexicon that comes with the product.
pub(super) static LEXICON: LazyLock<Lexicon> =
    LazyLock::new(|| Lexicon::parse(include_str!("lexicon.tsv")));

/// What a phrase does to its clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// Starts a clause that says something else.
    Contrast,
    /// Starts a clause about what the rest is compared with, up to the next comma.
    Aside,
    /// Punctuation between clauses.
    Separator,
    /// Turns the next verdict.
    Negation,
    /// Speaks well.
    Positive,
    /// Speaks ill.
    Negative,
    /// Speaks well, and recommends.
    Pick,
    /// Speaks ill, and advises against.
    Avoid,
    /// Says nothing, but belongs to a language of the lexicon.
    Word,
}

impl Cue {
    pub(super) fn is_word(self) -> bool {
        self != Self::Separator
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "contrast" => Self::Contrast,
            "aside" => Self::Aside,
            "negation" => Self::Negation,
            "positive" => Self::Positive,
            "negative" => Self::Negative,
            "pick" => Self::Pick,
            "avoid" => Self::Avoid,
            "word" => Self::Word,
            _ => return None,
        })
    }
}

/// Phrases and their cues.
pub(super) struct Lexicon {
    automaton: Option<AhoCorasick>,
    cues: Vec<Cue>,
}

const SEPARATORS: [&str; 4] = ["; ", " - ", " — ", ": "];

impl Lexicon {
    fn parse(lines: &str) -> Self {
        let entries = lines.lines().filter_map(|line| {
            let (phrase, kind) = line.split_once('\t')?;
            Some((phrase, Cue::named(kind)?))
        });
        let separators = SEPARATORS.iter().map(|mark| (*mark, Cue::Separator));
        let (phrases, cues): (Vec<_>, Vec<_>) = entries.chain(separators).unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(aho_corasick::AhoCorasickKind::DFA))
            .start_kind(aho_corasick::StartKind::Anchored)
            .build(phrases);
        Self { automaton: automaton.ok(), cues }
    }

    /// The cues of a sentence in its order, each a word or phrase of its own.
    pub(super) fn cues<'a>(
        &'a self,
        sentence: &'a str,
    ) -> impl Iterator<Item = (Range<usize>, Cue)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            while let Some(at) = next_start(sentence.as_bytes(), from) {
                let here = aho_corasick::Input::new(sentence)
                    .range(at..)
                    .anchored(aho_corasick::Anchored::Yes);
                let found = self.automaton.as_ref()?.find(here);
                let whole = found.filter(|found| ends_word(sentence.as_bytes(), found.end()));
                from = whole.map_or(at + 1, |found| found.end().max(at + 1));
                if let Some(found) = whole {
                    // The space after a separator may start the next phrase.
                    from -= usize::from(sentence.as_bytes()[from - 1] == b' ');
                    return Some((found.range(), self.cues[found.pattern().as_usize()]));
                }
            }
            None
        })
    }
}

/// The next place where a word starts, or a separator.
fn next_start(text: &[u8], from: usize) -> Option<usize> {
    (from..text.len()).find(|at| {
        let before = at.checked_sub(1).map_or(b' ', |before| text[before]);
        !is_letter(before) || matches!(text[*at], b';' | b':' | b' ')
    })
}

fn ends_word(text: &[u8], end: usize) -> bool {
    end >= text.len() || !is_letter(text[end]) || text[end - 1] == b' '
}

/// Bytes of other scripts count as letters: no phrase ends next to one.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'\''
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::fold;

    #[test]
    fn every_line_is_read() {
        let lines = include_str!("lexicon.tsv").lines();
        let entries: Vec<_> =
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(LEXICON.cues.len(), entries.len() + SEPARATORS.len());
        for entry in entries {
            let (phrase, _) = entry.split_once('\t').unwrap();
            assert_eq!(fold(phrase), phrase, "phrases are folded");
        }
    }

    #[test]
    fn cues_are_whole_phrases() {
        let cues: Vec<_> =
            LEXICON.cues("goodness; it isn't bad - not the best").map(|(_, cue)| cue).collect();
        assert_eq!(
            cues,
            [Cue::Separator, Cue::Word, Cue::Negation, Cue::Negative, Cue::Separator, Cue::Avoid]
        );
    }
}
