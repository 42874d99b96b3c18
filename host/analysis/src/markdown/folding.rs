use unicode_normalization::{
    IsNormalized, UnicodeNormalization,
    char::{canonical_combining_class, decompose_compatible},
    is_nfkc_quick,
};

/// Whether upper and lower case are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As written.
    Kept,
    /// Folded, for search.
    Folded,
}

/// A name as it is searched for: NFKC and case fold, one space between words, and the
/// equivalences of [`fold_segment`].
pub(crate) fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(length) = segment_length(rest) {
        let (segment, after) = rest.split_at(length);
        fold_segment(segment, Case::Folded, &mut folded);
        rest = after;
    }
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Appends one segment (a character and the marks on it), normalised.
///
/// Beyond NFKC and full case folding: hyphens and apostrophes of every shape become `-` and `'`
/// (engines write `Coca‑Cola` and `McDonald’s` either way); `İ` and `ı` become `i`; invisible
/// characters, trade-mark signs and superscript or circled digits (footnotes) vanish, because
/// NFKC would turn `Sony™` into `SonyTM` and `Sony²` into `Sony2`.
pub(super) fn fold_segment(segment: &str, case: Case, out: &mut String) {
    let start = out.len();
    for c in segment.chars().filter(|c| !is_dropped(*c)).nfkc() {
        match c {
            '\u{2010}'..='\u{2013}' | '\u{2212}' | '\u{FE63}' => out.push('-'),
            '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2BC}' | '\u{2032}' | '\u{60}' => {
                out.push('\'');
            }
            c if c.is_whitespace() => out.push(' '),
            c if case == Case::Kept => out.push(c),
            c => {
                for folded in c.to_uppercase().flat_map(char::to_lowercase) {
                    let dotted = folded == '\u{307}' && out[start..].ends_with('i');
                    if !dotted {
                        out.push(folded);
                    }
                }
            }
        }
    }
}

/// The fold of a common character that becomes one other; absent when it takes the long way. It
/// agrees with [`fold_segment`].
pub(super) fn fold_quickly(c: char, case: Case) -> Option<char> {
    match c {
        '\0'..='\x7F' if case == Case::Kept && c != '`' && !c.is_whitespace() => Some(c),
        '!'..='_' | 'a'..='~' => Some(c.to_ascii_lowercase()),
        '\u{C0}'..='\u{DE}' | '\u{410}'..='\u{42F}' => match case {
            Case::Kept => Some(c),
            Case::Folded => c.to_lowercase().next(),
        },
        '\u{2010}'..='\u{2013}' => Some('-'),
        '\u{2018}' | '\u{2019}' => Some('\''),
        '\u{E0}'..='\u{FE}'
        | '\u{430}'..='\u{44F}'
        | '\u{2014}'
        | '\u{201C}'
        | '\u{201D}'
        | '\u{2022}'
        | '\u{3001}'
        | '\u{3002}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' => Some(c),
        _ => None,
    }
}

/// Bytes of the first segment: a character and whatever may merge into it.
pub(super) fn segment_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    chars.next()?;
    Some(chars.find(|(_, c)| !continues(*c)).map_or(text.len(), |(at, _)| at))
}

/// Whether normalisation may merge the character into the one before it.
pub(super) fn continues(c: char) -> bool {
    if c < '\u{300}' || matches!(c, '\u{2000}'..='\u{206F}' | '\u{4E00}'..='\u{D7A3}') {
        return false;
    }
    let mut first = None;
    decompose_compatible(c, |part| {
        first.get_or_insert(part);
    });
    let merges = |c: char| {
        canonical_combining_class(c) != 0
            || is_nfkc_quick(std::iter::once(c)) == IsNormalized::Maybe
    };
    merges(c) || first.is_some_and(merges)
}

/// Characters without a shape of their own, and marks set beside a name.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E0FFF}'
            | '\u{B2}'
            | '\u{B3}'
            | '\u{B9}'
            | '\u{2070}'
            | '\u{2074}'..='\u{2079}'
            | '\u{2120}'
            | '\u{2122}'
            | '\u{2460}'..='\u{2473}'
            | '\u{AE}'
            | '\u{A9}'
    )
}
