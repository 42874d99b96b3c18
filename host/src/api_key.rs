//! What is given to callers and stored as a digest only: keys for the API and invitations.
//!
//! A key reads `avk_live_<22 random characters><6 check characters>`, an invitation begins with
//! `avi_`. The check characters are the
//! CRC-32 of all that stands before them, so that a mistyped key is refused without asking the
//! database, and so that scanners can find leaked keys without false alarms.
//!
//! **Invariant:** the text of either exists in the caller's hands only; what is stored is its
//! SHA-256. It has 131 bits of randomness, so that a slow hash would protect nothing.

use rand::Rng;
use sha2::{Digest, Sha256};

const PREFIX: &str = "avk_live_";
const INVITATION: &str = "avi_";
const SECRET: usize = 22;
const CHECK: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text of a key. `Debug` does not show it.
pub struct ApiKey(String);

impl ApiKey {
    /// A new key from `rng`, which has to be fit for secrets.
    pub fn generate(rng: &mut (impl Rng + rand::CryptoRng)) -> Self {
        ApiKey(generate(PREFIX, rng))
    }

    /// Reads a key that somebody presents; `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        is_plausible(PREFIX, text).then(|| ApiKey(text.to_owned()))
    }

    /// The whole key: shown once, when it is made.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored instead of the key.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The part that may be shown again, to recognise the key by.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX.len() + 4]
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}…)", self.prefix())
    }
}

/// The text of an invitation. `Debug` does not show it.
pub struct InvitationToken(String);

impl InvitationToken {
    /// A new one from `rng`, which has to be fit for secrets.
    pub fn generate(rng: &mut (impl Rng + rand::CryptoRng)) -> Self {
        InvitationToken(generate(INVITATION, rng))
    }

    /// Reads what somebody presents; `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        is_plausible(INVITATION, text).then(|| InvitationToken(text.to_owned()))
    }

    /// The whole text: shown once, when it is made.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored instead.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl std::fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InvitationToken({INVITATION}…)")
    }
}

fn generate(prefix: &str, rng: &mut (impl Rng + rand::CryptoRng)) -> String {
    let mut text = String::with_capacity(prefix.len() + SECRET + CHECK);
    text.push_str(prefix);
    text.extend((0..SECRET).map(|_| char::from(BASE62[rng.random_range(0..BASE62.len())])));
    let check = check_characters(&text);
    text.push_str(&check);
    text
}

fn is_plausible(prefix: &str, text: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    if rest.len() != SECRET + CHECK || !rest.bytes().all(|b| BASE62.contains(&b)) {
        return false;
    }
    let (body, check) = text.split_at(text.len() - CHECK);
    check_characters(body) == check
}

/// CRC-32 in base 62, most significant digit first. 62⁶ > 2³², so six digits hold any value.
fn check_characters(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % BASE62.len()];
        rest /= BASE62.len();
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_recognised_and_hides_itself() {
        let key = ApiKey::generate(&mut rand::rng());
        let again = ApiKey::parse(key.reveal()).unwrap();
        assert_eq!(again.hash(), key.hash());
        assert_eq!(key.reveal().len(), PREFIX.len() + SECRET + CHECK);
        assert!(!format!("{key:?}").contains(&key.reveal()[PREFIX.len() + 4..]));
    }

    #[test]
    fn an_invitation_is_no_key() {
        let invitation = InvitationToken::generate(&mut rand::rng());
        assert!(InvitationToken::parse(invitation.reveal()).is_some());
        assert!(ApiKey::parse(invitation.reveal()).is_none());
        let key = ApiKey::generate(&mut rand::rng());
        assert!(InvitationToken::parse(key.reveal()).is_none());
        assert_eq!(format!("{invitation:?}"), "InvitationToken(avi_…)");
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let key = ApiKey::generate(&mut rand::rng());
        for position in PREFIX.len()..key.reveal().len() {
            let mut text = key.reveal().as_bytes().to_vec();
            text[position] = if text[position] == b'x' { b'y' } else { b'x' };
            assert!(ApiKey::parse(std::str::from_utf8(&text).unwrap()).is_none());
        }
        for text in ["", "avk_live_", "avk_live_short", "Bearer x", "avk_live_ééééééééééé"]
        {
            assert!(ApiKey::parse(text).is_none(), "{text}");
        }
    }
}
