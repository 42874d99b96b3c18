//! What a sentence says of a brand: a deterministic lexicon (English, Danish, German, Swedish and
//! some Norwegian) with negation, read over the clause that names the brand.

mod lexicon;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use lexicon::{Cue, LEXICON};

use crate::{
    markdown::{Case, Pace, Plain, strip_into},
    sentences::sentence_around,
};

/// A negation turns what follows within this many words.
const REACH: usize = 3;

/// How a sentence speaks of a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// Well.
    Positive,
    /// Neither well nor ill, or both.
    Neutral,
    /// Ill.
    Negative,
}

/// A reading of the clause that names a brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Absent when the lexicon knows none of its words: a bare name, or another language.
    pub(crate) sentiment: Option<Sentiment>,
    /// Whether the brand is named as a pick.
    pub(crate) pick: bool,
}

/// One sentence of folded plain text, read once for all the brands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Where the sentence is.
    pub(crate) span: Range<usize>,
    /// Stretches of the sentence, in its order.
    clauses: Vec<Clause>,
    known: bool,
}

/// A stretch of a sentence and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clause {
    start: usize,
    /// Clauses with the same number are one, interrupted by an aside.
    number: usize,
    score: i32,
    pick: bool,
}

impl Clause {
    const fn new(start: usize, number: usize) -> Self {
        Self { start, number, score: 0, pick: false }
    }

    /// The clause that an aside interrupts goes on after the comma that ends the aside.
    fn resumed(&self, interrupted: Option<usize>, read: &str) -> Option<Self> {
        let number = interrupted?;
        Some(Self::new(self.start + read.find(", ")?, number))
    }
}

/// How a sentence speaks of the brand named at `span` of it. `others` tells whether it names
/// further brands; then a clause without a verdict of its own stays neutral instead of taking
/// that of the sentence.
pub fn judge(sentence: &str, span: Range<usize>, others: bool) -> Option<Sentiment> {
    let mut plain = Plain::default();
    strip_into(sentence, Case::Folded, Pace::Quick, &mut plain);
    let at = plain.position_of(span.start)?;
    Reading::of(plain.text(), &(at..at)).judge(at, others).sentiment
}

impl Reading {
    /// Reads the sentence holding the span.
    pub(crate) fn of(text: &str, span: &Range<usize>) -> Self {
        let span = sentence_around(text, span);
        let sentence = &text[span.clone()];
        let mut reading = Self { span: span.clone(), clauses: Vec::new(), known: false };
        let mut clause = Clause::new(span.start, 0);
        let mut latest = 0;
        let mut aside = None;
        let mut negation: Option<usize> = None;
        for (range, cue) in LEXICON.cues(sentence) {
            let at = span.start + range.start;
            if let Some(resumed) = clause.resumed(aside, &text[clause.start..at]) {
                reading.clauses.push(clause);
                clause = resumed;
                (aside, negation) = (None, None);
            }
            reading.known |= cue.is_word();
            let polarity = match cue {
                Cue::Contrast | Cue::Separator => {
                    reading.clauses.push(clause);
                    latest += 1;
                    clause = Clause::new(at, latest);
                    (aside, negation) = (None, None);
                    continue;
                }
                Cue::Aside => {
                    reading.clauses.push(clause);
                    latest += 1;
                    aside = Some(aside.unwrap_or(clause.number));
                    clause = Clause::new(at, latest);
                    negation = None;
                    continue;
                }
                Cue::Negation => {
                    negation = Some(range.end);
                    continue;
                }
                Cue::Word => continue,
                Cue::Positive | Cue::Pick => 1,
                Cue::Negative | Cue::Avoid => -1,
            };
            let negated = negation.is_some_and(|end| words(&sentence[end..range.start]) <= REACH);
            negation = None;
            clause.score += if negated { -polarity } else { polarity };
            clause.pick |= cue == Cue::Pick && !negated;
        }
        let resumed = clause.resumed(aside, &text[clause.start..span.end]);
        reading.clauses.push(clause);
        reading.clauses.extend(resumed);
        reading
    }

    /// The judgement on a brand named at `at`.
    pub(crate) fn judge(&self, at: usize, others: bool) -> Judgement {
        let own = self.clauses.iter().rev().find(|clause| clause.start <= at);
        let number = own.map_or(0, |clause| clause.number);
        let sum = |clauses: &mut dyn Iterator<Item = &Clause>| {
            clauses.fold((0, false, false), |(score, pick, said), clause| {
                (score + clause.score, pick | clause.pick, said || clause.score != 0 || clause.pick)
            })
        };
        let (mut score, mut pick, said) =
            sum(&mut self.clauses.iter().filter(|clause| clause.number == number));
        if !said && !others {
            (score, pick, _) = sum(&mut self.clauses.iter());
        }
        let sentiment = self.known.then_some(match score {
            1.. => Sentiment::Positive,
            0 => Sentiment::Neutral,
            _ => Sentiment::Negative,
        });
        Judgement { sentiment, pick: pick && score >= 0 }
    }
}

/// Words between a negation and what it may turn.
fn words(between: &str) -> usize {
    between.split_whitespace().count()
}

#[cfg(test)]
mod tests;
