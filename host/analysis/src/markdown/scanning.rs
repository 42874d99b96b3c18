use std::ops::Range;

use super::{
    blocks::Lists,
    folding::{Case, continues, fold_quickly, fold_segment, segment_length},
    plain::Plain,
};

/// How characters are copied. Both give the same result; the careful one is what the quick one is
/// tested against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Plain ASCII and simple letters in bulk.
    Quick,
    /// Every character through full normalisation.
    Careful,
}

/// Replaces `plain` by the words of `source`. Texts beyond 4 GiB are cut there.
pub(crate) fn strip_into(source: &str, case: Case, pace: Pace, plain: &mut Plain) {
    plain.clear();
    let longest = u32::MAX as usize - 4;
    let source = match source.len() {
        length if length > longest => &source[..source.floor_char_boundary(longest)],
        _ => source,
    };
    plain.text.reserve(source.len());
    let mut scanner = Scanner {
        source,
        bytes: source.as_bytes(),
        at: 0,
        case,
        pace,
        plain,
        gap: Gap::None,
        gap_start: 0,
        open_links: 0,
        lists: Lists::default(),
        folded: String::new(),
    };
    scanner.start_line();
    while scanner.at < scanner.bytes.len() {
        scanner.copy_plain();
        scanner.read_special();
    }
}

/// One pass over a text.
pub(super) struct Scanner<'a> {
    pub(super) source: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    case: Case,
    pace: Pace,
    pub(super) plain: &'a mut Plain,
    gap: Gap,
    gap_start: usize,
    /// Link texts whose target is still to come.
    pub(super) open_links: u32,
    pub(super) lists: Lists,
    /// Room for one normalised character.
    folded: String,
}

/// What stands between the last word and the next, written only when there is a next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    None,
    Space,
    Break,
}

const WORD: u8 = 0;
const SPACE: u8 = 1;
const SPECIAL: u8 = 2;

/// What each byte means to the bulk copy.
static CLASSES: [u8; 256] = {
    let mut classes = [WORD; 256];
    let mut byte = 0x80;
    while byte < 0x100 {
        classes[byte] = SPECIAL;
        byte += 1;
    }
    let specials = b"\n\r\t\x0B\x0C*_~`\\![]<&|";
    let mut index = 0;
    while index < specials.len() {
        classes[specials[index] as usize] = SPECIAL;
        index += 1;
    }
    classes[b' ' as usize] = SPACE;
    classes
};

impl Scanner<'_> {
    /// Copies everything up to the next byte that needs thought: a special one, or a second space.
    fn copy_plain(&mut self) {
        let rest = &self.bytes[self.at..];
        let mut previous = WORD;
        let mut length = rest.len();
        for (index, byte) in rest.iter().enumerate() {
            let class = CLASSES[*byte as usize];
            if class + previous >= SPECIAL {
                length = index;
                break;
            }
            previous = class;
        }
        let end = self.at + length;
        if length > 0 && self.marked_from(end) {
            self.push_ascii(end - 1);
            self.push_segment();
        } else {
            self.push_ascii(end);
        }
    }

    /// Whether the character at `end` belongs to the one before it.
    fn marked_from(&self, end: usize) -> bool {
        self.bytes.get(end).is_some_and(|byte| *byte >= 0xC0)
            && self.source[end..].chars().next().is_some_and(continues)
    }

    /// Copies ASCII without specials up to `end`.
    fn push_ascii(&mut self, end: usize) {
        if self.at < end && self.bytes[self.at] == b' ' {
            self.widen_gap(Gap::Space);
            self.at += 1;
        }
        if self.at >= end {
            return;
        }
        if self.pace == Pace::Careful {
            while self.at < end {
                self.push_segment();
            }
            return;
        }
        let words = &self.source[self.at..end];
        let words = words.strip_suffix(' ').unwrap_or(words);
        self.close_gap();
        self.plain.mark_identity(self.at);
        let start = self.plain.text.len();
        self.plain.text.push_str(words);
        if self.case == Case::Folded {
            self.plain.text[start..].make_ascii_lowercase();
        }
        self.at += words.len();
        if self.at < end {
            self.widen_gap(Gap::Space);
            self.at = end;
        }
    }

    /// Copies one character with its marks.
    pub(super) fn push_segment(&mut self) {
        let rest = &self.source[self.at..];
        if self.pace == Pace::Quick
            && let Some(c) = rest.chars().next()
            && let Some(folded) = fold_quickly(c, self.case)
            && !self.marked_from(self.at + c.len_utf8())
        {
            self.close_gap();
            self.mark(self.at..self.at + c.len_utf8(), folded.len_utf8());
            self.plain.text.push(folded);
            self.at += c.len_utf8();
            return;
        }
        let Some(length) = segment_length(rest) else { return };
        self.push_rewritten(&rest[..length], self.at..self.at + length);
        self.at += length;
    }

    /// Appends `segment`, normalised, in place of `source`.
    pub(super) fn push_rewritten(&mut self, segment: &str, source: Range<usize>) {
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        fold_segment(segment, self.case, &mut folded);
        if !folded.is_empty() && folded.trim().is_empty() {
            self.widen_gap(Gap::Space);
        } else if !folded.is_empty() {
            self.close_gap();
            let single = segment.chars().nth(1).is_none() && folded.chars().nth(1).is_none();
            self.mark(source, if single { folded.len() } else { 0 });
            self.plain.text.push_str(&folded);
        }
        self.folded = folded;
    }

    /// Marks what is appended next as one character of `length` bytes (0: several characters).
    fn mark(&mut self, source: Range<usize>, length: usize) {
        if length == source.len() {
            self.plain.mark_identity(source.start);
        } else {
            self.plain.mark_atom(source);
        }
    }

    pub(super) fn widen_gap(&mut self, gap: Gap) {
        if self.gap == Gap::None {
            self.gap_start = self.at;
        }
        self.gap = self.gap.max(gap);
    }

    /// Writes the gap before a word.
    pub(super) fn close_gap(&mut self) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        if gap == Gap::None {
            return;
        }
        let separator = match (gap, self.plain.text.as_bytes().last()) {
            (_, None | Some(b'\n')) | (Gap::Space, Some(b' ')) => return,
            (Gap::Break, _) => '\n',
            _ => ' ',
        };
        if separator == ' ' && self.bytes.get(self.gap_start) == Some(&b' ') {
            self.plain.mark_identity(self.gap_start);
        } else {
            self.plain.mark_atom(self.gap_start..self.at.max(self.gap_start + 1));
        }
        self.plain.text.push(separator);
    }
}
