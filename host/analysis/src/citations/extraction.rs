use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A URL in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UrlSpan {
    /// Where it starts, in bytes.
    pub start: u32,
    /// Its length.
    pub len: u32,
}

impl UrlSpan {
    /// The span as a range.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// The web addresses in a text, in its order, without the brackets, quotes, emphasis and
/// punctuation around them. Parentheses belong to an address as long as they are balanced.
pub fn urls_in(text: &str) -> Vec<UrlSpan> {
    let mut spans = Vec::new();
    let mut free = 0;
    for colon in memchr::memmem::find_iter(text.as_bytes(), "://") {
        let Some(start) = scheme_start(text, colon).filter(|start| *start >= free) else {
            continue;
        };
        let host = colon + "://".len();
        let end = host + length(&text[host..], text[..start].ends_with('_'));
        free = end;
        if end > host
            && let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(end - start))
        {
            spans.push(UrlSpan { start, len });
        }
    }
    spans
}

/// Where `http` or `https` before the colon starts.
fn scheme_start(text: &str, colon: usize) -> Option<usize> {
    let start = ["https", "http"].iter().find_map(|scheme| {
        let start = colon.checked_sub(scheme.len())?;
        text.get(start..colon)?.eq_ignore_ascii_case(scheme).then_some(start)
    })?;
    let letter = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
    (!letter).then_some(start)
}

/// How far the address reaches.
fn length(rest: &str, underlined: bool) -> usize {
    let mut depth = 0_usize;
    let mut end = rest.len();
    let mut in_path = false;
    for (at, c) in rest.char_indices() {
        let stops = match c {
            '(' => {
                depth += 1;
                false
            }
            ')' if depth > 0 => {
                depth -= 1;
                false
            }
            ')' => true,
            '/' | '?' | '#' => {
                in_path = true;
                false
            }
            _ => is_stop(c, in_path),
        };
        if stops {
            end = at;
            break;
        }
    }
    let trimmed = rest[..end].trim_end_matches(|c: char| {
        ".,;:!?'\"*~".contains(c) || (c == '_' && underlined) || (c == '(' && depth > 0)
    });
    trimmed.len()
}

fn is_stop(c: char, in_path: bool) -> bool {
    if c.is_ascii() {
        return c.is_ascii_whitespace() || c.is_ascii_control() || "<>\"`\\^{}|[]".contains(c);
    }
    let spaceless = c >= '\u{0E00}' && !matches!(c, '\u{1E00}'..='\u{1FFF}');
    !c.is_alphanumeric() || (spaceless && !in_path)
}
