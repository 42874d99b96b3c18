use std::ops::Range;

use crate::markdown::Plain;

/// How far a URL is looked for to either side of a name, in bytes.
const LONGEST_TOKEN: usize = 1024;

/// What follows a name that may stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing that belongs to a word.
    Word,
    /// A genitive -s.
    GenitiveS,
}

/// Whether the span of the folded text is a word of its own.
pub(super) fn ending(text: &str, span: &Range<usize>) -> Option<Ending> {
    let (before, name, after) = split(text, span)?;
    if touches(name.chars().next(), before.chars().next_back()) {
        return None;
    }
    let last = name.chars().next_back();
    let mut following = after.chars();
    if !touches(last, following.next()) {
        return Some(Ending::Word);
    }
    let genitive = after.starts_with('s')
        && !after[1..].starts_with(is_word)
        && last.is_some_and(|last| last.is_alphabetic() && !matches!(last, 's' | 'x' | 'z'))
        && name.chars().filter(|c| c.is_alphabetic()).count() >= 4;
    genitive.then_some(Ending::GenitiveS)
}

fn split<'a>(text: &'a str, span: &Range<usize>) -> Option<(&'a str, &'a str, &'a str)> {
    Some((text.get(..span.start)?, text.get(span.clone())?, text.get(span.end..)?))
}

/// Whether a neighbour reads as part of the same word as the edge of a name.
fn touches(edge: Option<char>, neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| is_word(c) && !is_spaceless(c)) && !edge.is_some_and(is_spaceless)
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// Scripts that put no space between words.
fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}'
        | '\u{1000}'..='\u{109F}'
        | '\u{1100}'..='\u{11FF}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30FF}'
        | '\u{3130}'..='\u{318F}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Whether the span lies within a URL, an e-mail address or a domain that is more than it.
pub(super) fn is_address(original: &str, plain: &Plain, span: &Range<usize>) -> bool {
    let text = plain.text();
    let token = token_around(text, span);
    if token == *span {
        return false;
    }
    let word = &text[token.clone()];
    if !word.contains(['.', '@', ':', '/']) {
        return false;
    }
    if let Some(scheme) = word.find("://") {
        let letters = word[..scheme].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
        if span.end > token.start + scheme - letters {
            return true;
        }
    }
    let domain = host_around(text, &token, span);
    let path = domain_in_path(text, &token, span);
    if path.is_some_and(|domain| is_domain(original, plain, &domain)) {
        return true;
    }
    let next = text.as_bytes().get(domain.end);
    let previous = domain.start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    if next == Some(&b'@') && text[domain.end + 1..].starts_with(is_word) {
        return true;
    }
    if !is_domain(original, plain, &domain) {
        return false;
    }
    let local = previous == Some(&b'@')
        && text[..domain.start - 1].ends_with(|c| is_word(c) || "._%+-".contains(c));
    let pathed = next == Some(&b'/') && starts_path(original, plain, domain.end + 1);
    domain != *span || local || pathed
}

/// The span and what touches it, up to white space or a mark that ends a URL.
fn token_around(text: &str, span: &Range<usize>) -> Range<usize> {
    let stops = |c: char| c.is_whitespace() || "\"<>(){}[]|,;“”「」、。！？".contains(c);
    let first = text.ceil_char_boundary(span.start.saturating_sub(LONGEST_TOKEN));
    let last = text.floor_char_boundary((span.end + LONGEST_TOKEN).min(text.len()));
    let start = text[first..span.start].char_indices().rev().find(|(_, c)| stops(*c));
    let start = start.map_or(first, |(at, c)| first + at + c.len_utf8());
    let end = text[span.end..last].find(stops).map_or(last, |at| span.end + at);
    start..end
}

/// The span widened to letters, digits, dots, hyphens and underscores within its token.
fn host_around(text: &str, token: &Range<usize>, span: &Range<usize>) -> Range<usize> {
    let part = |c: char| is_word(c) || matches!(c, '.' | '-' | '_');
    let edge = |c: char| matches!(c, '.' | '-');
    let before = &text[token.start..span.start];
    let before = before[before.trim_end_matches(part).len()..].trim_start_matches(edge);
    let after = &text[span.end..token.end];
    let after = after[..after.len() - after.trim_start_matches(part).len()].trim_end_matches(edge);
    span.start - before.len()..span.end + after.len()
}

/// The domain that starts the token, when the span comes after its first slash.
fn domain_in_path(text: &str, token: &Range<usize>, span: &Range<usize>) -> Option<Range<usize>> {
    let slash = token.start + text[token.clone()].find('/')?;
    (slash < span.start && starts_plainly(text, slash)).then_some(token.start..slash)
}

fn starts_plainly(text: &str, slash: usize) -> bool {
    text[slash + 1..].starts_with(|c: char| is_word(c) || "-_~%@#?".contains(c))
}

/// Whether the span of the folded text is a host under a public suffix. A last label with a
/// capital is the start of a sentence that lacks its space (`Asana.It`), unless all is capital.
fn is_domain(original: &str, plain: &Plain, span: &Range<usize>) -> bool {
    let host = &plain.text()[span.clone()];
    let Some((rest, label)) = host.rsplit_once('.') else { return false };
    if rest.is_empty() || label.is_empty() || !label.is_ascii() {
        return false;
    }
    let written = plain.source_span(span.clone()).and_then(|span| original.get(span));
    let last = written.and_then(|written| written.rsplit_once('.')).map_or(label, |(_, last)| last);
    let shouted = written.is_none_or(|written| !written.contains(char::is_lowercase));
    if last.contains(char::is_uppercase) && !shouted {
        return false;
    }
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// Whether a path follows, rather than the next of several names (`Booking.com/Expedia`).
fn starts_path(original: &str, plain: &Plain, at: usize) -> bool {
    let text = plain.text();
    let Some(next) = text[at..].chars().next().filter(|c| is_word(*c)) else {
        return text[at..].starts_with(['?', '#', '~', '_', '-', '@']);
    };
    let written = plain.source_span(at..at + next.len_utf8()).and_then(|span| original.get(span));
    !written.is_some_and(|written| written.starts_with(char::is_uppercase))
}
