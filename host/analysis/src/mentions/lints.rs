use std::{collections::HashSet, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::{Alias, TrackedBrand};
use crate::markdown::fold;

/// Words of everyday English, with the commonest of some other languages.
static COMMON_WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_words.txt").lines().collect());

const SHORTEST: usize = 3;

/// What may go wrong with an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AliasWarning {
    /// Nothing is left of it after folding: it will never match.
    Empty,
    /// Fewer than three characters: it will match abbreviations.
    TooShort,
    /// An everyday word: ask for a capital, or for a word nearby.
    CommonWord,
    /// Another brand has the same alias; the brand listed first gets the mention.
    SameAs {
        /// The other brand.
        brand: u32,
        /// The index of its alias.
        alias: u32,
    },
    /// Contained in another brand's alias, which wins wherever it stands in full.
    PartOf {
        /// The other brand.
        brand: u32,
        /// The index of its alias.
        alias: u32,
    },
    /// Contains another brand's alias, and wins over it.
    Contains {
        /// The other brand.
        brand: u32,
        /// The index of its alias.
        alias: u32,
    },
}

/// What to think about before saving an alias of brand `brand`. Aliases of the same brand do not
/// get in each other's way.
pub fn lint_alias(alias: &Alias, brand: u32, tracked: &[TrackedBrand]) -> Vec<AliasWarning> {
    let name = fold(&alias.text);
    if name.is_empty() {
        return vec![AliasWarning::Empty];
    }
    let mut warnings = Vec::new();
    let spaceless = name.chars().any(|c| c > '\u{2E80}');
    if name.chars().count() < SHORTEST && !spaceless {
        warnings.push(AliasWarning::TooShort);
    }
    if is_common_word(&name) && !alias.require_capital && alias.must_have_near.is_empty() {
        warnings.push(AliasWarning::CommonWord);
    }
    for other in tracked.iter().filter(|other| other.id != brand) {
        for (index, theirs) in (0..).zip(&other.aliases) {
            let theirs = fold(&theirs.text);
            let (brand, alias) = (other.id, index);
            if theirs == name {
                warnings.push(AliasWarning::SameAs { brand, alias });
            } else if has_words(&theirs, &name) {
                warnings.push(AliasWarning::PartOf { brand, alias });
            } else if has_words(&name, &theirs) {
                warnings.push(AliasWarning::Contains { brand, alias });
            }
        }
    }
    warnings
}

pub(super) fn is_common_word(folded: &str) -> bool {
    COMMON_WORDS.contains(folded)
}

/// Whether `inner` stands in `outer` as words of its own.
fn has_words(outer: &str, inner: &str) -> bool {
    !inner.is_empty()
        && outer.match_indices(inner).any(|(at, _)| {
            super::boundaries::ending(outer, &(at..at + inner.len()))
                == Some(super::boundaries::Ending::Word)
        })
}
