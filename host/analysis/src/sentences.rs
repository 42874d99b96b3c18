//! Sentences of folded plain text.

use std::ops::Range;

/// Words whose full stop does not end a sentence.
const ABBREVIATIONS: [&str; 22] = [
    "e.g", "i.e", "etc", "vs", "inc", "ltd", "co", "corp", "dr", "mr", "mrs", "ms", "no", "approx",
    "st", "jr", "f.eks", "bl.a", "ca", "z.b", "d.h", "t.ex",
];

/// A sentence reaches at most this far to either side of the span, in bytes.
const LONGEST: usize = 1024;

/// The sentence holding a span: from the last end of a sentence or block before it to the first
/// one after it.
pub(crate) fn sentence_around(text: &str, span: &Range<usize>) -> Range<usize> {
    let first = text.ceil_char_boundary(span.start.saturating_sub(LONGEST));
    let last = text.floor_char_boundary((span.end + LONGEST).min(text.len()));
    let start = text[first..span.start]
        .char_indices()
        .rev()
        .find(|(at, c)| ends_at(text, first + at, *c))
        .map_or(first, |(at, c)| first + at + c.len_utf8());
    let end = text[span.end..last]
        .char_indices()
        .find(|(at, c)| ends_at(text, span.end + at, *c))
        .map_or(last, |(at, _)| span.end + at);
    start..end
}

/// Whether the character at `at` ends a sentence.
fn ends_at(text: &str, at: usize, c: char) -> bool {
    match c {
        '\n' | '。' | '！' | '？' => true,
        '!' | '?' => follows_space(text, at),
        '.' => follows_space(text, at) && !is_abbreviated(&text[..at]),
        _ => false,
    }
}

fn follows_space(text: &str, at: usize) -> bool {
    let rest = text[at + 1..].trim_start_matches(['"', '\'', '”', ')', '»']);
    rest.is_empty() || rest.starts_with([' ', '\n'])
}

fn is_abbreviated(before: &str) -> bool {
    let word = before.rsplit([' ', '\n', '(']).next().unwrap_or_default();
    ABBREVIATIONS.contains(&word)
        || (word.len() == 1 && word.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around<'a>(text: &'a str, word: &str) -> &'a str {
        let at = text.find(word).unwrap();
        text[sentence_around(text, &(at..at + word.len()))].trim()
    }

    #[test]
    fn sentences_end_where_readers_stop() {
        let text = "one is good. two costs 1.5 vs. 2 e.g. here! three?\nfour (five.) six";
        assert_eq!(around(text, "one"), "one is good");
        assert_eq!(around(text, "two"), "two costs 1.5 vs. 2 e.g. here");
        assert_eq!(around(text, "three"), "three");
        assert_eq!(around(text, "four"), "four (five");
        assert_eq!(around("索尼很好。华为也是。", "华为"), "华为也是");
        assert_eq!(
            around("we use monday.com daily. it works", "monday.com"),
            "we use monday.com daily"
        );
        assert_eq!(around("yahoo! is old. so", "yahoo!"), "yahoo! is old");
    }
}
