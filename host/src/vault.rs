//! Seals what must be stored and may be read by nobody who has only the database.
//!
//! Each workspace has a key of its own, derived (HKDF-SHA-256) from the master key that the settings
//! hold. A secret is sealed (AES-256-GCM) under that key and bound to its place: a row that is moved
//! to another workspace, engine or name opens no more.
//!
//! **Invariant:** what does not open is an error and never an empty or another secret.

use crate::{config, ids::WorkspaceId};
use anyhow::{Context, ensure};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::sync::Arc;

/// Of everything sealed, so that another way to seal can follow.
const VERSION: u8 = 1;

/// Where a secret belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub workspace: WorkspaceId,
    pub engine: &'a str,
    pub name: &'a str,
}

/// A secret as it is stored.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The master key that sealed it.
    pub key_id: String,
    /// Version, nonce, what is sealed and its tag.
    pub bytes: Vec<u8>,
}

/// The master keys of the installation. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<[MasterKey]>);

struct MasterKey {
    id: String,
    bytes: SecretBox<[u8; 32]>,
}

impl Vault {
    /// The keys of the settings: the first one seals, all of them open.
    ///
    /// # Errors
    /// When a key cannot be read, or has not 32 bytes.
    pub fn new(settings: &config::Auth) -> anyhow::Result<Self> {
        let text = settings.master_keys.as_ref().map(ExposeSecret::expose_secret);
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, entry) in text.unwrap_or_default().split(',').enumerate() {
            if entry.trim().is_empty() {
                continue;
            }
            // What is wrong is told by its place: the entry itself is a secret.
            let wrong =
                || format!("AIV_MASTER_KEYS: entry {} is not <id>:<32 bytes in base64>", index + 1);
            let (id, key) = entry.trim().split_once(':').with_context(wrong)?;
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            ensure!((1..=32).contains(&id.len()) && id.chars().all(known), wrong());
            let bytes = STANDARD.decode(key.trim()).ok().with_context(wrong)?;
            let bytes: [u8; 32] = bytes.try_into().ok().with_context(wrong)?;
            ensure!(
                keys.iter().all(|other| other.id != id),
                "AIV_MASTER_KEYS: two keys are called {id}"
            );
            keys.push(MasterKey { id: id.to_owned(), bytes: SecretBox::new(Box::new(bytes)) });
        }
        Ok(Vault(keys.into()))
    }

    /// Whether there is a key to seal with.
    pub fn can_seal(&self) -> bool {
        !self.0.is_empty()
    }

    /// The id of the key that seals.
    pub fn current_key(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    /// # Errors
    /// When there is no master key.
    pub fn seal(&self, place: Place<'_>, secret: &SecretString) -> anyhow::Result<Sealed> {
        let master = self.0.first().context("there is no master key: set AIV_MASTER_KEYS")?;
        let key = master.of_workspace(place.workspace)?;
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        let aad = Aad::from(place.bound_to(&master.id));
        let nonce = key
            .seal_in_place_append_tag(aad, &mut sealed)
            .map_err(|_| anyhow::anyhow!("a credential could not be sealed"))?;
        let mut bytes = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        bytes.push(VERSION);
        let nonce: &[u8; NONCE_LEN] = nonce.as_ref();
        bytes.extend_from_slice(nonce);
        bytes.append(&mut sealed);
        Ok(Sealed { key_id: master.id.clone(), bytes })
    }

    /// # Errors
    /// When its master key is not there, or it was sealed for another place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> anyhow::Result<SecretString> {
        let Place { engine, name, .. } = place;
        let master = self.0.iter().find(|key| key.id == sealed.key_id).with_context(|| {
            format!(
                "credential {name} of {engine} was sealed with master key {}, which \
                 AIV_MASTER_KEYS does not have",
                sealed.key_id
            )
        })?;
        let damaged = || format!("credential {name} of {engine} does not open: set it again");
        let (version, rest) = sealed.bytes.split_first().with_context(damaged)?;
        ensure!(*version == VERSION, damaged());
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).with_context(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok().with_context(damaged)?;
        let mut rest = rest.to_vec();
        let key = master.of_workspace(place.workspace)?;
        let aad = Aad::from(place.bound_to(&master.id));
        let secret = key.open_in_place(nonce, aad, &mut rest).ok().with_context(damaged)?;
        Ok(std::str::from_utf8(secret).ok().with_context(damaged)?.to_owned().into())
    }
}

impl MasterKey {
    fn of_workspace(&self, workspace: WorkspaceId) -> anyhow::Result<RandomizedNonceKey> {
        let failed = |_| anyhow::anyhow!("the key of a workspace could not be derived");
        let info = [b"provider credentials".as_slice(), workspace.0.as_bytes().as_slice()];
        let mut derived = [0; 32];
        Salt::new(HKDF_SHA256, b"aiv vault 1")
            .extract(self.bytes.expose_secret())
            .expand(&info, HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(failed)?;
        RandomizedNonceKey::new(&AES_256_GCM, &derived).map_err(failed)
    }
}

impl Place<'_> {
    /// No part can hold what separates them.
    fn bound_to(&self, key_id: &str) -> Vec<u8> {
        let Place { workspace, engine, name } = self;
        format!("{VERSION}\0{key_id}\0{workspace}\0{engine}\0{name}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const NEW: &str = "b:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

    fn vault(keys: &str) -> anyhow::Result<Vault> {
        let mut settings = config::Config::defaults().unwrap().auth;
        settings.master_keys = Some(keys.to_owned().into());
        Vault::new(&settings)
    }

    fn place<'a>(workspace: WorkspaceId, engine: &'a str, name: &'a str) -> Place<'a> {
        Place { workspace, engine, name }
    }

    #[test]
    fn a_secret_opens_in_its_place_and_nowhere_else() {
        let vault = vault(OLD).unwrap();
        let (ours, theirs) = (WorkspaceId::generate(), WorkspaceId::generate());
        let sealed = vault.seal(place(ours, "brave", "api_key"), &"canary".into()).unwrap();
        assert!(!sealed.bytes.windows(6).any(|part| part == b"canary"));
        let opened = vault.open(place(ours, "brave", "api_key"), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "canary");
        for moved in [
            place(theirs, "brave", "api_key"),
            place(ours, "aio", "api_key"),
            place(ours, "brave", "other"),
        ] {
            assert!(vault.open(moved, &sealed).is_err(), "{moved:?}");
        }
        for at in 0..sealed.bytes.len() {
            let mut altered = sealed.clone();
            altered.bytes[at] ^= 1;
            assert!(vault.open(place(ours, "brave", "api_key"), &altered).is_err(), "byte {at}");
        }
        for length in 0..sealed.bytes.len() {
            let cut = Sealed { bytes: sealed.bytes[..length].to_vec(), ..sealed.clone() };
            assert!(vault.open(place(ours, "brave", "api_key"), &cut).is_err());
        }
    }

    #[test]
    fn equal_secrets_are_sealed_differently() {
        let vault = vault(OLD).unwrap();
        let place = place(WorkspaceId::generate(), "brave", "api_key");
        let seal = || vault.seal(place, &"canary".into()).unwrap().bytes;
        assert_ne!(seal(), seal());
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let place = place(WorkspaceId::generate(), "brave", "api_key");
        let sealed = vault(OLD).unwrap().seal(place, &"canary".into()).unwrap();
        let both = vault(&format!("{NEW}, {OLD}")).unwrap();
        assert_eq!(both.open(place, &sealed).unwrap().expose_secret(), "canary");
        assert_eq!(both.seal(place, &"x".into()).unwrap().key_id, "b");
        let error = vault(NEW).unwrap().open(place, &sealed).unwrap_err().to_string();
        assert!(error.contains("master key a"), "{error}");
    }

    #[test]
    fn keys_that_are_none_are_refused_without_being_shown() {
        assert!(!vault("").unwrap().can_seal());
        for wrong in ["hunter2", "a:hunter2", "a:c2hvcnQ=", &format!("{OLD},{OLD}"), "é:x"] {
            let error = vault(wrong).map(drop).unwrap_err().to_string();
            assert!(error.contains("AIV_MASTER_KEYS") && !error.contains("hunter2"), "{error}");
        }
    }
}
