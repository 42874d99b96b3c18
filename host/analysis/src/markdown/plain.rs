use std::ops::Range;

/// Text without markup, and where each part of it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    pub(super) text: String,
    runs: Vec<Run>,
    items: Vec<ItemMark>,
}

/// A stretch of plain text and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Offset in the plain text.
    at: u32,
    /// Offset in the original.
    source: u32,
    /// Bytes of the original that were rewritten as a whole; 0 where bytes correspond one to one.
    atom: u32,
}

/// From here on the text belongs to this list item, or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ItemMark {
    at: u32,
    number: Option<u32>,
}

impl Plain {
    /// The words. Blocks (paragraphs, items, cells) are parted by a line feed, words by one space.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The span of the original behind a span of the plain text; absent for an empty span and for
    /// one that cuts through a rewritten character.
    pub fn source_span(&self, span: Range<usize>) -> Option<Range<usize>> {
        if span.is_empty() || span.end > self.text.len() {
            return None;
        }
        let first = self.runs.get(self.run_at(span.start)?)?;
        let start = match span.start - first.at as usize {
            0 => first.source as usize,
            _ if first.atom > 0 => return None,
            inside => first.source as usize + inside,
        };
        let index = self.run_at(span.end - 1)?;
        let last = self.runs.get(index)?;
        let end = if last.atom == 0 {
            last.source as usize + (span.end - last.at as usize)
        } else {
            let next = self.runs.get(index + 1).map_or(self.text.len(), |run| run.at as usize);
            if next != span.end {
                return None;
            }
            (last.source + last.atom) as usize
        };
        Some(start..end)
    }

    /// The offset in the plain text of what stands at or after `source` in the original.
    pub fn position_of(&self, source: usize) -> Option<usize> {
        let after = self.runs.partition_point(|run| run.source as usize <= source);
        let next = self.runs.get(after).map_or(self.text.len(), |run| run.at as usize);
        let inside = after.checked_sub(1).and_then(|index| self.runs.get(index)).map_or(0, |run| {
            let into = if run.atom > 0 { 0 } else { source - run.source as usize };
            run.at as usize + into
        });
        Some(self.text.ceil_char_boundary(inside.min(next))).filter(|at| *at < self.text.len())
    }

    /// The number of the list item holding this offset of the plain text.
    pub fn list_position(&self, at: usize) -> Option<u32> {
        let after = self.items.partition_point(|mark| mark.at as usize <= at);
        self.items.get(after.checked_sub(1)?)?.number
    }

    /// The first line of each list item.
    pub fn item_heads(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|mark| mark.number.is_some()).map(|mark| {
            let line = self.text.get(mark.at as usize..).unwrap_or_default();
            let line = line.trim_start_matches('\n');
            line.split('\n').next().unwrap_or_default()
        })
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
        self.items.clear();
    }

    /// Notes that what is appended next comes from `source`, byte for byte.
    pub(super) fn mark_identity(&mut self, source: usize) {
        let at = offset(self.text.len());
        let source = offset(source);
        if let Some(last) = self.runs.last()
            && last.atom == 0
            && last.source + (at - last.at) == source
        {
            return;
        }
        self.runs.push(Run { at, source, atom: 0 });
    }

    /// Notes that what is appended next stands for the whole of `source`.
    pub(super) fn mark_atom(&mut self, source: Range<usize>) {
        let run = Run {
            at: offset(self.text.len()),
            source: offset(source.start),
            atom: offset(source.len()).max(1),
        };
        self.runs.push(run);
    }

    pub(super) fn mark_item(&mut self, number: Option<u32>) {
        let mark = ItemMark { at: offset(self.text.len()), number };
        if number.is_some() || self.items.last().is_some_and(|last| last.number.is_some()) {
            self.items.push(mark);
        }
    }

    fn run_at(&self, at: usize) -> Option<usize> {
        self.runs.partition_point(|run| run.at as usize <= at).checked_sub(1)
    }
}

/// Offsets fit: longer texts are cut before they get here.
fn offset(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
