//! Who published a component: Ed25519 over its digest.
//!
//! What is signed is the text `aiv:provider:sha256:` and the digest in hexadecimal. A signature is
//! written `ed25519:<public key>:<signature>`, both in hexadecimal.

use crate::{
    Error, Result,
    config::SignaturePolicy,
    store::{Conn, providers::Artifact, publisher_keys},
};
use aiv_runtime::Digest;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use std::{fmt, str::FromStr};

/// A publisher's word for a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub public_key: Vec<u8>,
    pub signature: Vec<u8>,
}

/// The bytes that a publisher signs.
pub fn message(digest: Digest) -> Vec<u8> {
    format!("aiv:provider:sha256:{digest}").into_bytes()
}

impl Signature {
    /// Whether it is for this very component.
    pub fn verify(&self, digest: Digest) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key)
            .verify(&message(digest), &self.signature)
            .is_ok()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}:{}", hex::encode(&self.public_key), hex::encode(&self.signature))
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::Malformed(
                "a signature is `ed25519:<public key>:<signature>`, both in hexadecimal".into(),
            )
        };
        let rest = text.trim().strip_prefix("ed25519:").ok_or_else(wrong)?;
        let (key, signature) = rest.split_once(':').ok_or_else(wrong)?;
        let decode = |text: &str, bytes: usize| {
            hex::decode(text).ok().filter(|found| found.len() == bytes).ok_or_else(wrong)
        };
        Ok(Signature { public_key: decode(key, 32)?, signature: decode(signature, 64)? })
    }
}

/// An Ed25519 public key in hexadecimal.
pub fn public_key(text: &str) -> Result<Vec<u8>> {
    hex::decode(text.trim()).ok().filter(|key| key.len() == 32).ok_or_else(|| {
        Error::invalid("/public_key", "must be an Ed25519 public key: 64 hexadecimal digits")
    })
}

/// Whether the policy lets a component in. The error says what is wrong with it.
pub async fn check(
    conn: &mut Conn,
    policy: SignaturePolicy,
    digest: Digest,
    signature: Option<&Signature>,
) -> Result<()> {
    let refuse = |why: &str| Err(Error::Forbidden(format!("component {digest}: {why}")));
    let Some(signature) = signature else {
        return match policy {
            SignaturePolicy::Any => Ok(()),
            SignaturePolicy::Signed => refuse("it is not signed, and PLUGIN_SIGNATURES=signed"),
            SignaturePolicy::Trusted => refuse("it is not signed, and PLUGIN_SIGNATURES=trusted"),
        };
    };
    if !signature.verify(digest) {
        return refuse("the signature is not for these bytes: they were altered, or signed anew");
    }
    if policy != SignaturePolicy::Trusted {
        return Ok(());
    }
    let keys = publisher_keys::list(conn).await?;
    match keys.into_iter().find(|key| key.public_key == signature.public_key) {
        Some(key) if key.revoked_at.is_none() => Ok(()),
        Some(key) => refuse(&format!("the key of {} was revoked", key.name)),
        None => refuse(&format!(
            "nobody trusts the key {}, and PLUGIN_SIGNATURES=trusted: add it first",
            hex::encode(&signature.public_key)
        )),
    }
}

/// The signature that was stored with a component.
pub fn stored(artifact: &Artifact) -> Option<Signature> {
    Some(Signature {
        public_key: artifact.publisher_key.clone()?,
        signature: artifact.signature.clone()?,
    })
}
