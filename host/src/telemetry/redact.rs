//! Takes credentials out of text.
//!
//! Secrets have types that do not print; this is the net below, for what a vendor or a library
//! puts into its messages.

use std::{
    borrow::Cow,
    io::{self, Write},
};

const MASK: &str = "[redacted]";

/// What credentials start with, and how long the rest must be to count as one.
const MARKS: [(&str, usize); 8] = [
    ("avk_live_", 8),
    ("Bearer ", 8),
    ("bearer ", 8),
    ("pplx-", 8),
    ("whsec_", 8),
    ("avi_", 20),
    // The beginning of a JSON object in base64: every JWT begins so.
    ("eyJ", 20),
    // Short and part of ordinary words, so only with a long rest.
    ("sk-", 16),
];

/// Names whose value is a credential when a URL carries them.
const PARAMETERS: [&str; 5] = ["api_key=", "apikey=", "access_token=", "key=", "token="];

/// `text` with every credential in it masked.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    for (mark, least) in MARKS {
        for (at, _) in text.match_indices(mark) {
            let from = at + mark.len();
            let length = token(&text[from..]);
            if length >= least && is_boundary(text, at) {
                spans.push(from..from + length);
            }
        }
    }
    for name in PARAMETERS {
        for (at, _) in text.match_indices(name) {
            let from = at + name.len();
            let length = token(&text[from..]);
            if length >= 8 && matches!(text[..at].bytes().last(), Some(b'?' | b'&')) {
                spans.push(from..from + length);
            }
        }
    }
    // postgres://user:password@host
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let authority = &rest[..rest.find(['/', ' ', '"', '\'', '?']).unwrap_or(rest.len())];
        if let Some((user_info, _)) = authority.rsplit_once('@')
            && let Some(colon) = user_info.find(':')
        {
            let from = at + 3 + colon + 1;
            spans.push(from..at + 3 + user_info.len());
        }
    }
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|span| span.start);
    let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
    for span in spans {
        if span.start < done {
            done = done.max(span.end);
            continue;
        }
        clean.push_str(&text[done..span.start]);
        clean.push_str(MASK);
        done = span.end;
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// Length of the token at the start of `text`.
fn token(text: &str) -> usize {
    text.bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'='))
        .count()
}

/// Whether a word begins at `at`.
fn is_boundary(text: &str, at: usize) -> bool {
    !text[..at].bytes().last().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// A writer that masks each line before it passes it on. The log writes a line at a time.
pub struct Redacting<W>(W);

impl<W> Redacting<W> {
    pub fn new(to: W) -> Self {
        Redacting(to)
    }
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) => self.0.write_all(redact(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_and_words_are_not() {
        for (text, clean) in [
            ("key avk_live_0123456789 said", "key avk_live_[redacted] said"),
            ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln", "token eyJ[redacted]"),
            ("take avi_0123456789abcdefghij", "take avi_[redacted]"),
            ("Authorization: Bearer abcdef012345", "Authorization: Bearer [redacted]"),
            (
                "postgres://aiv:hunter2@db:5432/aiv away",
                "postgres://aiv:[redacted]@db:5432/aiv away",
            ),
            (
                "https://serpapi.com/search?api_key=0123456789abcdef&q=x",
                "https://serpapi.com/search?api_key=[redacted]&q=x",
            ),
            ("pplx-0123456789abcdef", "pplx-[redacted]"),
            ("sk-0123456789abcdef01", "sk-[redacted]"),
            ("task-scheduler-that-is-long", "task-scheduler-that-is-long"),
            ("https://example.com/a@b:c", "https://example.com/a@b:c"),
            ("a Bearer of news", "a Bearer of news"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }
}
