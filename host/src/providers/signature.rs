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
use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
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

/// A publisher's private key. It does not print itself.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key, and the text in which it is kept: PKCS #8 as PEM, as OpenSSL writes it.
    pub fn generate() -> anyhow::Result<(Self, SecretString)> {
        let pair = Ed25519KeyPair::generate().context("make a key")?;
        let document = pair.to_pkcs8v1().context("write a key")?;
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let pem = format!("{begin}\n{}\n{end}\n", STANDARD.encode(document.as_ref()));
        Ok((Self(pair), pem.into()))
    }

    /// A key from its PEM; an error says nothing of what was there.
    pub fn of_pem(pem: &SecretString) -> anyhow::Result<Self> {
        let wrong = || anyhow!("it is no Ed25519 key as PEM: `aiv plugin keygen` makes one");
        let document = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| wrong())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.secret_pkcs8_der());
        Ok(Self(pair.map_err(|_| wrong())?))
    }

    /// The half that operators trust, in hexadecimal.
    pub fn public(&self) -> String {
        hex::encode(self.0.public_key())
    }

    pub fn sign(&self, digest: Digest) -> Signature {
        Signature {
            public_key: self.0.public_key().as_ref().to_vec(),
            signature: self.0.sign(&message(digest)).as_ref().to_vec(),
        }
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
