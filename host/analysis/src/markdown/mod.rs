//! Markdown to plain text, with the way back to the original bytes.
//!
//! Answers are read as people see them: emphasis, link targets, citation markers, list markers,
//! tags and table rules are gone, their words stay. This is no Markdown renderer: it errs on the
//! side of keeping a character, so that names like `C++`, `E*TRADE` or `H&M` survive.
//!
//! **Invariant:** a span of the plain text maps to one span of the original, or to none when it
//! starts or ends within a character that was rewritten as several.

mod blocks;
mod folding;
mod inline;
mod plain;
mod scanning;

pub use folding::Case;
pub use plain::Plain;

pub(crate) use folding::fold;
pub(crate) use scanning::{Pace, strip_into};

/// The words of an answer without their Markdown, case kept.
pub fn plain_text(answer: &str) -> Plain {
    let mut plain = Plain::default();
    strip_into(answer, Case::Kept, Pace::Quick, &mut plain);
    plain
}

#[cfg(test)]
pub(crate) mod tests;
