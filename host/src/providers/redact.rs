//! Takes credentials out of everything that comes back or is kept.
//!
//! **Invariant:** a credential is found in every form a server could echo it in: as it is,
//! percent-encoded, JSON-escaped, and inside any base64 text.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, engine::general_purpose};
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;

const MARK: &str = "[redacted]";

/// Shorter pieces would match by accident and spoil answers.
const SHORTEST: usize = 6;

/// Replaces the bytes of some credentials. Without credentials it changes nothing.
pub struct Redactor(Option<AhoCorasick>);

impl Redactor {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut needles: Vec<Vec<u8>> =
            secrets.into_iter().flat_map(|secret| forms(secret.expose_secret())).collect();
        needles.sort();
        needles.dedup();
        if needles.is_empty() {
            return Self(None);
        }
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&needles);
        Self(Some(automaton.expect("a few short needles always fit")))
    }

    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(needles) if needles.is_match(text) => {
                let marks = vec![MARK; needles.patterns_len()];
                Cow::Owned(needles.replace_all(text, &marks))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// As [`Redactor::text`], without a copy of what has nothing to hide.
    pub fn owned(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Owned(redacted) => redacted,
            Cow::Borrowed(_) => text,
        }
    }

    pub fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.0 {
            Some(needles) if needles.is_match(&bytes) => {
                let marks = vec![MARK; needles.patterns_len()];
                needles.replace_all_bytes(&bytes, &marks)
            }
            _ => bytes,
        }
    }
}

fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    forms.extend(percent_encoded(secret));
    if let Ok(json) = serde_json::to_string(secret) {
        let inner = &json[1..json.len() - 1];
        forms.push(inner.replace('/', "\\/").into_bytes());
        forms.push(inner.as_bytes().to_vec());
    }
    for shift in 0..3 {
        forms.extend(inside_base64(secret.as_bytes(), shift));
    }
    forms.retain(|form| form.len() >= SHORTEST.min(secret.len().max(4)));
    forms
}

/// The spellings of servers and clients differ in what they escape, and in the case of the digits.
fn percent_encoded(secret: &str) -> Vec<Vec<u8>> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let strict: String = secret
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    [lower_digits(&form), lower_digits(&strict), form, strict].map(String::into_bytes).to_vec()
}

fn lower_digits(encoded: &str) -> String {
    let mut digits = 0;
    encoded
        .chars()
        .map(|c| match c {
            '%' => {
                digits = 2;
                c
            }
            c if digits > 0 => {
                digits -= 1;
                c.to_ascii_lowercase()
            }
            c => c,
        })
        .collect()
}

/// What `secret` looks like in base64 when `shift` bytes (mod 3) precede it: only the characters
/// that depend on the secret alone.
fn inside_base64(secret: &[u8], shift: usize) -> Vec<Vec<u8>> {
    let padded = [vec![0; shift], secret.to_vec()].concat();
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD]
        .into_iter()
        .filter_map(|alphabet| alphabet.encode(&padded).as_bytes().get(first..last).map(Into::into))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "pplx-a/b+c\"d=é-0123456789";

    #[test]
    fn every_spelling_is_found() {
        let secret = SecretString::from(SECRET.to_owned());
        let redactor = Redactor::new([&secret]);
        let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let mut texts = vec![
            format!("key {SECRET} end"),
            format!("?api_key={encoded}&q=1"),
            format!("?api_key={}&q=1", lower_digits(&encoded)),
            serde_json::json!({ "echo": SECRET }).to_string(),
        ];
        for before in ["", "u:", "us:", "user:"] {
            for after in ["", ":", "::", "more"] {
                let basic = general_purpose::STANDARD.encode(format!("{before}{SECRET}{after}"));
                texts.push(format!("Basic {basic}"));
            }
        }
        for text in texts {
            let clean = redactor.text(&text).into_owned();
            assert!(clean.contains(MARK), "{text} -> {clean}");
            assert!(!clean.contains("0123456789"), "{clean}");
            assert_eq!(redactor.owned(text.clone()), clean);
            assert_eq!(redactor.bytes(text.into_bytes()), clean.into_bytes());
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let secret = SecretString::from(SECRET.to_owned());
        assert_eq!(Redactor::new([&secret]).text("plain é text"), "plain é text");
        assert_eq!(Redactor::new([]).text("plain"), "plain");
    }
}
