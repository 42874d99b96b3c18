//! Seals what must be stored and may be read by nobody who has only the database: credentials of
//! engines, what signs webhooks, secrets of connections.
//!
//! Each workspace has a key of its own, derived (HKDF-SHA-256) from a master key that is not in the
//! database. A secret is sealed (AES-256-GCM) under that key and bound to its place: a row that is
//! moved to another workspace, owner or name opens no more. What is sealed says how and with which
//! master key: version, length of the key's id, the id, nonce, ciphertext and tag.
//!
//! **Invariant:** what does not open is an error and never an empty or another secret.

use crate::{
    Error, Result, config,
    ids::{ConnectionId, WebhookId, WorkspaceId},
};
use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const KEY_BYTES: usize = 32;
/// The id of the key that lies beside an embedded database.
const FILE_KEY: &str = "file";

/// Where a secret belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    workspace: WorkspaceId,
    owner: Owner<'a>,
    name: &'a str,
}

/// What of a workspace a secret belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    Engine(&'a str),
    Webhook(WebhookId),
    Connection(ConnectionId),
}

impl<'a> Place<'a> {
    /// A credential of an engine, by the name that its provider gives it.
    pub fn of_engine(workspace: WorkspaceId, engine: &'a str, name: &'a str) -> Self {
        Place { workspace, owner: Owner::Engine(engine), name }
    }

    /// What signs the deliveries of a webhook.
    pub fn of_webhook(workspace: WorkspaceId, id: WebhookId) -> Self {
        Place { workspace, owner: Owner::Webhook(id), name: "signing_key" }
    }

    /// What signs the messages to a connection.
    pub fn of_connection(workspace: WorkspaceId, id: ConnectionId) -> Self {
        Place { workspace, owner: Owner::Connection(id), name: "secret" }
    }
}

/// How a secret was sealed. New ones are [`Version::Placed`]; the others are only opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// Of webhooks and connections, before there was one way for all.
    Purpose = 1,
    /// Of engines, before there was one way for all.
    Credential = 2,
    Placed = 3,
}

/// The master keys of the installation. Cheap to clone; all clones have the same keys.
#[derive(Clone)]
pub struct Vault(Arc<ArcSwap<Vec<MasterKey>>>);

/// The first one seals; all of them open.
struct MasterKey {
    id: String,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

impl Vault {
    /// The keys of `AIV_MASTER_KEYS`. An embedded database has one more in a file beside it, which
    /// is made when there is no other key.
    ///
    /// # Errors
    /// When a key cannot be read, or has not 32 bytes.
    pub fn open(auth: &config::Auth, database: &config::Database) -> anyhow::Result<Self> {
        let text = auth.master_keys.as_ref().map(ExposeSecret::expose_secret);
        let mut keys = parse(text.unwrap_or_default())?;
        if let Some(file) = key_file(database.url.expose_secret()) {
            let found = if keys.is_empty() { read_or_make(&file).map(Some) } else { read(&file) };
            let found = found.with_context(|| format!("the master key in {}", file.display()))?;
            let named = keys.iter().any(|key| key.id == FILE_KEY);
            let bytes = found.filter(|_| !named);
            keys.extend(bytes.map(|bytes| MasterKey { id: FILE_KEY.into(), bytes }));
        }
        Ok(Vault(Arc::new(ArcSwap::from_pointee(keys))))
    }

    /// Goes by the keys of `other` from now on, in all clones.
    pub fn replace(&self, other: &Vault) {
        self.0.store(other.0.load_full());
    }

    /// The id of the key that seals.
    ///
    /// # Errors
    /// When there is no key.
    pub fn current_key(&self) -> Result<String> {
        self.0.load().first().map(|key| key.id.clone()).ok_or_else(no_key)
    }

    /// Whether something is sealed as it would be today: with the first key, in the newest way.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let keys = self.0.load();
        Envelope::read(sealed).is_some_and(|envelope| {
            envelope.version == Version::Placed
                && keys.first().is_some_and(|key| key.id.as_bytes() == envelope.key_id)
        })
    }

    /// # Errors
    /// When there is no master key: the operator has to set one.
    pub fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>> {
        let keys = self.0.load();
        let master = keys.first().ok_or_else(no_key)?;
        let version = Version::Placed;
        let key = master.of_workspace(version, place.workspace)?;
        let mut sealed = vec![version as u8, u8::try_from(master.id.len()).unwrap_or(u8::MAX)];
        sealed.extend(master.id.as_bytes());
        let aad = Aad::from(version.bound_to(&sealed, &master.id, place));
        let mut text = secret.to_vec();
        let nonce = key
            .seal_in_place_append_tag(aad, &mut text)
            .map_err(|_| anyhow::anyhow!("a secret could not be sealed"))?;
        sealed.extend(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// # Errors
    /// When its master key is not there, or it was sealed for another place.
    pub fn unseal(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let Place { workspace, owner, name } = place;
        let damaged = || anyhow::anyhow!("{name} of {owner} does not open: set it again");
        let envelope = Envelope::read(sealed).ok_or_else(damaged)?;
        let Envelope { version, key_id, head, nonce, text } = envelope;
        let keys = self.0.load();
        let master = keys.iter().find(|key| key.id.as_bytes() == key_id).with_context(|| {
            let id = String::from_utf8_lossy(key_id);
            format!(
                "{name} of {owner} was sealed with master key {id}, which AIV_MASTER_KEYS does \
                 not have"
            )
        })?;
        let key = master.of_workspace(version, workspace)?;
        let aad = Aad::from(version.bound_to(head, &master.id, place));
        let mut text = text.to_vec();
        let opened =
            key.open_in_place(Nonce::from(nonce), aad, &mut text).map_err(|_| damaged())?;
        Ok(opened.to_vec())
    }

    /// As [`Vault::unseal`], of a secret that is text.
    ///
    /// # Errors
    /// As [`Vault::unseal`].
    pub fn unseal_text(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretString> {
        let text = String::from_utf8(self.unseal(place, sealed)?);
        Ok(text.ok().with_context(|| format!("{} is no text", place.name))?.into())
    }
}

fn no_key() -> Error {
    let detail = "this installation keeps no secrets of workspaces: its operator has to set \
                  AIV_MASTER_KEYS";
    Error::Conflict(detail.into())
}

/// The parts of what is sealed.
struct Envelope<'a> {
    version: Version,
    key_id: &'a [u8],
    /// All that comes before the nonce.
    head: &'a [u8],
    nonce: &'a [u8; NONCE_LEN],
    text: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(sealed: &'a [u8]) -> Option<Self> {
        let [version, length, rest @ ..] = sealed else { return None };
        let version = [Version::Purpose, Version::Credential, Version::Placed]
            .into_iter()
            .find(|known| *known as u8 == *version)?;
        let (key_id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (nonce, text) = rest.split_first_chunk()?;
        Some(Envelope { version, key_id, head: &sealed[..2 + key_id.len()], nonce, text })
    }
}

impl Version {
    /// What a workspace's key is derived with, besides the workspace.
    fn derivation(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Version::Purpose => (b"aiv sealing", b""),
            Version::Credential => (b"aiv vault 1", b"provider credentials"),
            Version::Placed => (b"aiv vault 3", b""),
        }
    }

    /// What is authenticated with the secret. No part can hold what separates them.
    fn bound_to(self, head: &[u8], key_id: &str, place: Place<'_>) -> Vec<u8> {
        let Place { workspace, owner, name } = place;
        match self {
            Version::Purpose => {
                [head, workspace.0.as_bytes(), format!("{owner}/{name}").as_bytes()].concat()
            }
            Version::Credential => {
                let engine = if let Owner::Engine(key) = owner { key } else { "" };
                format!("1\0{key_id}\0{workspace}\0{engine}\0{name}").into_bytes()
            }
            Version::Placed => {
                [head, format!("\0{workspace}\0{owner}\0{name}").as_bytes()].concat()
            }
        }
    }
}

impl MasterKey {
    fn of_workspace(
        &self,
        version: Version,
        workspace: WorkspaceId,
    ) -> anyhow::Result<RandomizedNonceKey> {
        let failed = |_| anyhow::anyhow!("the key of a workspace could not be derived");
        let (salt, purpose) = version.derivation();
        let mut derived = [0; KEY_BYTES];
        Salt::new(HKDF_SHA256, salt)
            .extract(self.bytes.expose_secret())
            .expand(&[purpose, workspace.0.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(failed)?;
        RandomizedNonceKey::new(&AES_256_GCM, &derived).map_err(failed)
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Engine(key) => write!(f, "engine/{key}"),
            Owner::Webhook(id) => write!(f, "webhook/{id}"),
            Owner::Connection(id) => write!(f, "connection/{id}"),
        }
    }
}

/// Reads `id:key,id:key`, keys in base64.
fn parse(text: &str) -> anyhow::Result<Vec<MasterKey>> {
    let mut keys: Vec<MasterKey> = Vec::new();
    for (index, entry) in text.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        // What is wrong is told by its place: the entry itself is a secret.
        let wrong =
            || format!("AIV_MASTER_KEYS: entry {} is not <id>:<32 bytes in base64>", index + 1);
        let (id, key) = entry.trim().split_once(':').with_context(wrong)?;
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        ensure!((1..=32).contains(&id.len()) && id.chars().all(known), wrong());
        let bytes = decode(key).with_context(wrong)?;
        ensure!(
            keys.iter().all(|other| other.id != id),
            "AIV_MASTER_KEYS: two keys are called {id}"
        );
        keys.push(MasterKey { id: id.to_owned(), bytes });
    }
    Ok(keys)
}

fn decode(text: &str) -> Option<SecretBox<[u8; KEY_BYTES]>> {
    let bytes: [u8; KEY_BYTES] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
    Some(SecretBox::new(Box::new(bytes)))
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

fn read(file: &Path) -> anyhow::Result<Option<SecretBox<[u8; KEY_BYTES]>>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(decode(&text).context("it is not 32 bytes in base64")?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_or_make(file: &Path) -> anyhow::Result<SecretBox<[u8; KEY_BYTES]>> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut key = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    // Whoever comes second finds the first one's key.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut made) => {
            made.write_all(STANDARD.encode(key).as_bytes())?;
            made.sync_all()?;
            Ok(SecretBox::new(Box::new(key)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read(file)?.context("it appeared and disappeared")
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const OLD: &str = "a:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const NEW: &str = "b:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    const ELSEWHERE: &str = "postgres://localhost/aiv";

    fn vault_on(database: &str, keys: Option<&str>) -> anyhow::Result<Vault> {
        let mut settings = config::Config::defaults().unwrap();
        settings.auth.master_keys = keys.map(Into::into);
        settings.database.url = database.into();
        Vault::open(&settings.auth, &settings.database)
    }

    fn vault(keys: &str) -> Vault {
        vault_on(ELSEWHERE, Some(keys)).unwrap()
    }

    #[test]
    fn a_secret_opens_in_its_place_and_nowhere_else() {
        let vault = vault(OLD);
        let (ours, theirs) = (WorkspaceId::generate(), WorkspaceId::generate());
        let place = Place::of_engine(ours, "brave", "api_key");
        let sealed = vault.seal(place, b"canary").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        assert_eq!(vault.unseal(place, &sealed).unwrap(), b"canary");
        for moved in [
            Place::of_engine(theirs, "brave", "api_key"),
            Place::of_engine(ours, "aio", "api_key"),
            Place::of_engine(ours, "brave", "other"),
            Place::of_webhook(ours, WebhookId::generate()),
        ] {
            assert!(vault.unseal(moved, &sealed).is_err(), "{moved:?}");
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(vault.unseal(place, &altered).is_err(), "byte {at}");
            assert!(vault.unseal(place, &sealed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn equal_secrets_are_sealed_differently() {
        let vault = vault(OLD);
        let place = Place::of_engine(WorkspaceId::generate(), "brave", "api_key");
        let seal = || vault.seal(place, b"canary").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn what_was_sealed_before_opens() {
        let vault = vault(OLD);
        let id =
            |last: u128| uuid::Uuid::from_u128(0x0193_6f00_0000_7000_8000_0000_0000_0000 | last);
        let workspace = WorkspaceId(id(1));
        let webhook = Place::of_webhook(workspace, WebhookId(id(2)));
        for (place, sealed, secret) in [
            (
                webhook,
                "010161000102030405060708090a0bff03f0548e6be6d420ad8100fc1c6983fa24d93b895288",
                "signing",
            ),
            (
                Place::of_engine(workspace, "brave", "api_key"),
                "020161000102030405060708090a0b95fe4687c3ad30d05178d19cd35c430d47f8b73c4524",
                "canary",
            ),
        ] {
            let sealed = hex::decode(sealed).unwrap();
            assert_eq!(vault.unseal(place, &sealed).unwrap(), secret.as_bytes());
            assert!(!vault.is_current(&sealed));
            let elsewhere = Place::of_engine(workspace, "aio", "api_key");
            assert!(vault.unseal(elsewhere, &sealed).is_err());
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let place = Place::of_engine(WorkspaceId::generate(), "brave", "api_key");
        let (old, both) = (vault(OLD), vault(&format!("{NEW}, {OLD}")));
        let sealed = old.seal(place, b"canary").unwrap();
        assert_eq!(both.unseal(place, &sealed).unwrap(), b"canary");
        assert!(old.is_current(&sealed) && !both.is_current(&sealed));
        assert_eq!(both.current_key().unwrap(), "b");
        let error = vault(NEW).unseal(place, &sealed).unwrap_err().to_string();
        assert!(error.contains("master key a"), "{error}");
        // Whoever has the vault already hears of other keys.
        let held = old.clone();
        old.replace(&both);
        assert!(!held.is_current(&sealed));
    }

    #[test]
    fn keys_that_are_none_are_refused_without_being_shown() {
        for wrong in ["hunter2", "a:hunter2", "a:c2hvcnQ=", &format!("{OLD},{OLD}"), "é:x"] {
            let error = vault_on(ELSEWHERE, Some(wrong)).map(drop).unwrap_err().to_string();
            assert!(error.contains("AIV_MASTER_KEYS") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        let place = Place::of_engine(WorkspaceId::generate(), "brave", "api_key");
        for (database, keys) in
            [(ELSEWHERE, None), (ELSEWHERE, Some("")), ("sqlite::memory:", None)]
        {
            let refused = vault_on(database, keys).unwrap().seal(place, b"x").unwrap_err();
            assert!(refused.to_string().contains("AIV_MASTER_KEYS"), "{refused}");
        }
    }

    #[test]
    fn an_embedded_database_has_its_key_beside_it() {
        let files = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}/data/aiv.db", files.path().display());
        let place = Place::of_engine(WorkspaceId::generate(), "brave", "api_key");
        let sealed = vault_on(&database, None).unwrap().seal(place, b"x").unwrap();
        let file = files.path().join("data/master.key");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = vault_on(&database, None).unwrap();
        assert_eq!(again.unseal(place, &sealed).unwrap(), b"x");
        // It goes on to open what it sealed when other keys are set.
        let set = vault_on(&database, Some(NEW)).unwrap();
        assert_eq!((set.current_key().unwrap().as_str(), set.is_current(&sealed)), ("b", false));
        assert_eq!(set.unseal(place, &sealed).unwrap(), b"x");
    }
}
