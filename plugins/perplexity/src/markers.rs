//! Inline markers: `[3]`, or `[web:3]`.

/// The markers of a text, in order and each once, as (marker, number).
pub(crate) fn markers(text: &str) -> Vec<(&str, u32)> {
    let mut found: Vec<(&str, u32)> = Vec::new();
    for part in text.split('[').skip(1) {
        let Some((marker, _)) = part.split_once(']') else { continue };
        let digits = marker.strip_prefix("web:").unwrap_or(marker);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if let Ok(number) = digits.parse()
            && !found.iter().any(|(known, _)| *known == marker)
        {
            found.push((marker, number));
        }
    }
    found
}

/// The markers that carry this number.
pub(crate) fn of_number(markers: &[(&str, u32)], number: u32) -> Vec<String> {
    let of_number = markers.iter().filter(|(_, n)| *n == number);
    of_number.map(|(marker, _)| (*marker).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_brackets_are_markers() {
        let text = "a[1][web:2] [web:x] [ 3] [[4]] [] [web:] [5 [1] [-6] [99999999999] [07]";
        assert_eq!(markers(text), [("1", 1), ("web:2", 2), ("4", 4), ("07", 7)]);
        assert_eq!(of_number(&markers("[1] [web:1]"), 1), ["1", "web:1"]);
    }
}
