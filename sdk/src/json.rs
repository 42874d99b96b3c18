//! Reaching into JSON whose shape nobody guarantees: a wrong type reads as absent.
//!
//! Paths are JSON pointers (`/usage/cost/total_cost`).

use crate::Decimal;

/// Any JSON value.
pub type Json = serde_json::Value;

/// The string at `path`, unless it is empty.
pub fn str_at<'a>(json: &'a Json, path: &str) -> Option<&'a str> {
    json.pointer(path)?.as_str().filter(|text| !text.is_empty())
}

/// The elements of the array at `path`; none when there is no array.
pub fn items_at<'a>(json: &'a Json, path: &str) -> &'a [Json] {
    json.pointer(path).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The non-negative whole number at `path`, also when it is written as a string or as `3.0`.
pub fn u32_at(json: &Json, path: &str) -> Option<u32> {
    decimal_at(json, path)?.to_whole()
}

/// The non-negative decimal number at `path`, exact, also when it is written as a string.
pub fn decimal_at(json: &Json, path: &str) -> Option<Decimal> {
    match json.pointer(path)? {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The strings in the array at `path`, without the empty ones.
pub fn strings_at(json: &Json, path: &str) -> Vec<String> {
    let texts = items_at(json, path).iter().filter_map(Json::as_str);
    texts.filter(|text| !text.trim().is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_type_reads_as_absent() {
        let json = json!({"a": {"b": [1, "x", null, ""]}, "n": "7", "f": 3.0, "neg": -1});
        assert_eq!(str_at(&json, "/a/b/1"), Some("x"));
        assert_eq!(str_at(&json, "/a/b/3"), None);
        assert_eq!(str_at(&json, "/a"), None);
        assert_eq!(items_at(&json, "/a/b").len(), 4);
        assert!(items_at(&json, "/n/x").is_empty());
        assert_eq!(strings_at(&json, "/a/b"), ["x"]);
        assert_eq!(u32_at(&json, "/n"), Some(7));
        assert_eq!(u32_at(&json, "/f"), Some(3));
        assert_eq!(u32_at(&json, "/neg"), None);
    }
}
