//! Finding tracked brands in an answer.
//!
//! Names are searched in folded plain text (see [`crate::markdown`]); spans point into the
//! original answer. At any place the longest accepted name wins, across all brands.
//!
//! A name is accepted when
//! - no letter or digit touches it, except that scripts written without spaces (Chinese, Japanese,
//!   Korean, Thai, Lao, Khmer, Burmese) have no word boundary;
//! - a possessive may follow (`Asana's`, `Adidas'`), and so may a genitive -s as Danish, Swedish,
//!   Norwegian and German write it (`Sonys`), the latter only where it cannot well be a plural or
//!   another word: the name is written with a capital, is no common word, has four letters or more
//!   and does not end in s, x or z;
//! - it is no part of a URL, an e-mail address or a domain, unless it is the whole domain and
//!   typed so (`Monday.com`);
//! - the guards of its alias hold.
//!
//! **Invariant:** the text of a prompt is never scanned for mentions.

mod aliases;
mod boundaries;
mod candidates;
mod guards;
mod lints;
mod matcher;
mod starts;

pub use aliases::{Alias, TrackedBrand};
pub use candidates::{CompetitorCandidate, CompetitorCandidates};
pub use lints::{AliasWarning, lint_alias};
pub use matcher::{Matcher, MatcherError, Mention, Scratch, is_branded};

#[cfg(test)]
mod tests;
