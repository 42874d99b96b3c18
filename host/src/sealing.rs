//! Secrets at rest: AES-256-GCM under a key of the workspace, which is derived from a master key.
//!
//! **Invariant:** what was sealed for one workspace and purpose opens for no other: a row that is
//! copied to another tenant, or a column to another one, is unreadable there.

use crate::{Error, Result, config::Config, ids::WorkspaceId};
use anyhow::Context as _;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct Sealer(Option<Arc<[MasterKey]>>);

/// The first one seals; all of them open.
struct MasterKey {
    id: String,
    key: SecretBox<[u8; KEY_BYTES]>,
}

impl Sealer {
    /// The keys of `AIV_MASTER_KEYS`; without it, on SQLite, one in a file beside the database,
    /// which is made when it is missing. Without either nothing can be sealed.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        if let Some(text) = &config.auth.master_keys {
            return Self::parse(text.expose_secret()).context("AIV_MASTER_KEYS");
        }
        match key_file(config.database.url.expose_secret()) {
            Some(file) => {
                let key = read_or_make(&file)
                    .with_context(|| format!("the master key in {}", file.display()))?;
                Ok(Self(Some([MasterKey { id: "file".into(), key }].into())))
            }
            None => Ok(Self(None)),
        }
    }

    /// Reads `id:key,id:key`, keys in base64.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let keys = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let keys = keys
            .map(|part| {
                let (id, key) = part.split_once(':').context("each key is written `id:base64`")?;
                anyhow::ensure!(
                    !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_graphic()),
                    "a key's id has 1 to 32 visible characters"
                );
                Ok(MasterKey { id: id.to_owned(), key: decode(key)? })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        anyhow::ensure!(!keys.is_empty(), "there is no key in it");
        Ok(Self(Some(keys.into())))
    }

    /// Encrypts a secret of a workspace. `purpose` says what it is for, and to open it again it has
    /// to be the same.
    pub fn seal(&self, workspace: WorkspaceId, purpose: &str, secret: &[u8]) -> Result<Vec<u8>> {
        let master = self.keys()?.first().context("there is no master key")?;
        let key = derive(master, workspace)?;
        let mut sealed = vec![VERSION, u8::try_from(master.id.len()).unwrap_or(u8::MAX)];
        sealed.extend(master.id.as_bytes());
        let mut text = secret.to_vec();
        let nonce = key
            .seal_in_place_append_tag(aad(&sealed, workspace, purpose), &mut text)
            .map_err(|_| anyhow::anyhow!("a secret cannot be sealed"))?;
        sealed.extend(nonce.as_ref());
        sealed.extend(text);
        Ok(sealed)
    }

    pub fn unseal(&self, workspace: WorkspaceId, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || anyhow::anyhow!("a sealed secret is damaged, or of another workspace");
        let [VERSION, length, rest @ ..] = sealed else { return Err(broken().into()) };
        let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(broken)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let master =
            self.keys()?.iter().find(|key| key.id.as_bytes() == id).with_context(|| {
                let id = String::from_utf8_lossy(id);
                format!("a secret was sealed with the master key {id:?}, which is not set")
            })?;
        let key = derive(master, workspace)?;
        let head = &sealed[..2 + id.len()];
        let mut text = text.to_vec();
        let opened = key
            .open_in_place(Nonce::from(nonce), aad(head, workspace, purpose), &mut text)
            .map_err(|_| broken())?;
        Ok(opened.to_vec())
    }

    fn keys(&self) -> Result<&[MasterKey]> {
        self.0.as_deref().ok_or_else(|| {
            Error::Unavailable(
                "the installation cannot keep secrets: its operator has to set AIV_MASTER_KEYS"
                    .into(),
            )
        })
    }
}

fn aad(head: &[u8], workspace: WorkspaceId, purpose: &str) -> Aad<Vec<u8>> {
    let mut bytes = head.to_vec();
    bytes.extend(workspace.0.as_bytes());
    bytes.extend(purpose.as_bytes());
    Aad::from(bytes)
}

/// The key of one workspace.
fn derive(master: &MasterKey, workspace: WorkspaceId) -> Result<RandomizedNonceKey> {
    let failed = |_| anyhow::anyhow!("a key cannot be derived");
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"aiv sealing");
    let extracted = salt.extract(master.key.expose_secret());
    let info = [workspace.0.as_bytes().as_slice()];
    let mut key = [0; KEY_BYTES];
    extracted
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(failed)?;
    Ok(RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(failed)?)
}

fn decode(text: &str) -> anyhow::Result<SecretBox<[u8; KEY_BYTES]>> {
    let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    let bytes: [u8; KEY_BYTES] = bytes.context("a key is 32 bytes in base64")?;
    Ok(SecretBox::new(Box::new(bytes)))
}

/// Where the master key of an embedded database lies.
fn key_file(database: &str) -> Option<PathBuf> {
    let path = database.strip_prefix("sqlite:")?.trim_start_matches("//");
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path.contains(":memory:") {
        return None;
    }
    Some(Path::new(path).with_file_name("master.key"))
}

fn read_or_make(file: &Path) -> anyhow::Result<SecretBox<[u8; KEY_BYTES]>> {
    match fs::read_to_string(file) {
        Ok(text) => return decode(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let mut key = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    // Whoever comes second finds the first one's key.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made {
        Ok(mut made) => {
            made.write_all(STANDARD.encode(key).as_bytes())?;
            made.sync_all()?;
            Ok(SecretBox::new(Box::new(key)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            decode(&fs::read_to_string(file)?)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Sealer {
        Sealer::parse(text).unwrap()
    }

    fn pair(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; KEY_BYTES]))
    }

    #[test]
    fn a_secret_opens_for_its_workspace_and_purpose_only() {
        let sealer = keys(&pair("a", 1));
        let (ours, other) = (WorkspaceId::generate(), WorkspaceId::generate());
        let blob = sealer.seal(ours, "webhook", b"secret").unwrap();
        assert_ne!(blob, sealer.seal(ours, "webhook", b"secret").unwrap());
        assert!(!blob.windows(6).any(|window| window == b"secret"));
        assert_eq!(sealer.unseal(ours, "webhook", &blob).unwrap(), b"secret");
        assert!(sealer.unseal(other, "webhook", &blob).is_err());
        assert!(sealer.unseal(ours, "connection", &blob).is_err());
        for at in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[at] ^= 1;
            assert!(sealer.unseal(ours, "webhook", &damaged).is_err(), "byte {at}");
            assert!(sealer.unseal(ours, "webhook", &blob[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn the_first_key_seals_and_older_ones_open() {
        let workspace = WorkspaceId::generate();
        let old = keys(&pair("a", 1)).seal(workspace, "x", b"s").unwrap();
        let both = keys(&format!("{}, {}", pair("b", 2), pair("a", 1)));
        assert_eq!(both.unseal(workspace, "x", &old).unwrap(), b"s");
        let new = both.seal(workspace, "x", b"s").unwrap();
        let error = keys(&pair("a", 1)).unseal(workspace, "x", &new).unwrap_err();
        assert!(error.to_string().contains("\"b\""), "{error}");
    }

    #[test]
    fn bad_keys_are_refused() {
        for text in ["", "a", "a:AAAA", &format!("{},b:x", pair("a", 1)), ":AAAA"] {
            assert!(Sealer::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_embedded_database_has_its_key_beside_it() {
        let files = tempfile::tempdir().unwrap();
        let file = key_file(&format!("sqlite:{}/aiv.db", files.path().display())).unwrap();
        let made = read_or_make(&file).unwrap();
        let again = read_or_make(&file).unwrap();
        assert_eq!(made.expose_secret(), again.expose_secret());
        assert_eq!(key_file("postgres://x/y"), None);
        assert_eq!(key_file("sqlite::memory:"), None);
    }
}
