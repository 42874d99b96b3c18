//! The words of an answer at which it cites a source.

/// Characters shown before and after the mark.
const AROUND: usize = 160;

/// The text around the first inline mark of a citation, or around its URL; `None` when the answer
/// only lists it. Cut between words, with `…` where something was left out.
pub fn snippet(text: &str, url: &str, markers: &[String]) -> Option<String> {
    let marks = markers.iter().filter(|marker| !marker.is_empty());
    let marked = marks.flat_map(|marker| [format!("[{marker}]"), format!("【{marker}】")]);
    let found = marked
        .filter_map(|mark| text.find(&mark).map(|at| (at, mark.len())))
        .min()
        .or_else(|| text.find(url).map(|at| (at, url.len())))?;
    let (at, length) = found;
    let before = start(text, at);
    let after = end(text, at + length);
    let mut shown = String::with_capacity(after - before + 8);
    if before > 0 {
        shown.push('…');
    }
    shown.push_str(text[before..after].trim());
    if after < text.len() {
        shown.push('…');
    }
    Some(shown)
}

/// Where to begin, at most [`AROUND`] characters before `at`: after a blank when there is one.
fn start(text: &str, at: usize) -> usize {
    let Some((far, _)) = text[..at].char_indices().rev().nth(AROUND) else { return 0 };
    text[far..at].find(char::is_whitespace).map_or(far, |blank| far + blank)
}

/// Where to end, at most [`AROUND`] characters after `at`: before a blank when there is one.
fn end(text: &str, at: usize) -> usize {
    let Some((far, _)) = text[at..].char_indices().nth(AROUND) else { return text.len() };
    let far = at + far;
    text[at..far].rfind(char::is_whitespace).map_or(far, |blank| at + blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_around_the_first_mark_are_shown() {
        let marks = ["2".to_owned()];
        assert_eq!(
            snippet("Acme is fine [1][2].", "https://x.com/", &marks).unwrap(),
            "Acme is fine [1][2]."
        );
        assert_eq!(snippet("Only listed.", "https://x.com/", &marks), None);
        let by_url = snippet("See https://x.com/ for more.", "https://x.com/", &[]);
        assert_eq!(by_url.unwrap(), "See https://x.com/ for more.");
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_never_inside_a_character() {
        let word = "ærøskøbing ";
        let text = format!("{}[7] {}", word.repeat(60), word.repeat(60));
        let shown = snippet(&text, "https://x.com/", &["7".into()]).unwrap();
        assert!(shown.starts_with("…ærøskøbing") && shown.ends_with("ærøskøbing…"), "{shown}");
        assert!(shown.contains("[7]") && shown.chars().count() <= 2 * AROUND + 8);
        // A text without blanks is cut anyway, between characters.
        let dense = format!("{}[7]{}", "語".repeat(500), "語".repeat(500));
        let shown = snippet(&dense, "https://x.com/", &["7".into()]).unwrap();
        assert!(shown.chars().count() <= 2 * AROUND + 8);
    }
}
