//! Compiled code on local disk, named by what it was compiled from and for.
//!
//! Machine code is trusted blindly once it is mapped, so a file is loaded only when its code
//! (keyed by a secret that never leaves this directory) says that this host wrote it.
//!
//! **Invariant:** a file is written once under a temporary name and renamed; what is mapped is
//! never changed, only unlinked.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::error::LoadError;

const KEY_FILE: &str = "host.key";
/// One block of SHA-256, the most an HMAC key can use.
const KEY_BYTES: usize = 64;

/// The directory, and what makes its files ours.
pub(crate) struct CodeCache {
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    /// Hash of the engine's version and settings.
    compat: String,
    written: AtomicU64,
}

impl CodeCache {
    /// Opens or makes the directory (0700) and its key (0600).
    pub(crate) fn open(dir: &Path, engine: &Engine) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Cache { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let key = open_key(&dir.join(KEY_FILE)).map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), key, compat: compat(engine), written: AtomicU64::new(0) })
    }

    /// The compiled component, if it is here and is what this host wrote.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        let code = fs::read(&path).ok()?;
        let tag = fs::read(tag_path(&path)).unwrap_or_default();
        if self.mac(digest, &code).verify_slice(&tag).is_err() {
            warn!(plugin.digest = %digest, "cached code was changed or cut short: compiling anew");
            self.remove(digest);
            return None;
        }
        drop(code);
        #[expect(unsafe_code, reason = "the tag proves that this host compiled the file")]
        // SAFETY: the file is the unchanged output of `Engine::precompile_component`; it is
        // read-only in a directory of ours, and replaced only by renaming.
        let component = unsafe { Component::deserialize_file(engine, &path) };
        match component {
            Ok(component) => Some(component),
            Err(error) => {
                debug!(plugin.digest = %digest, %error, "cached code does not load");
                self.remove(digest);
                None
            }
        }
    }

    /// Keeps compiled code: code first, then the tag without which it is not loaded.
    pub(crate) fn store(&self, digest: Digest, code: &[u8]) -> Result<(), LoadError> {
        let path = self.path(digest);
        let tag = self.mac(digest, code).finalize().into_bytes();
        self.write(&path, code)
            .and_then(|()| self.write(&tag_path(&path), &tag))
            .and_then(|()| File::open(&self.dir)?.sync_all())
            .map_err(|source| LoadError::Cache { path, source })
    }

    /// Where the code of a component lies.
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{digest}-{}.cwasm", self.compat))
    }

    /// Unlinks; code that is mapped stays mapped.
    fn remove(&self, digest: Digest) {
        let path = self.path(digest);
        for path in [tag_path(&path), path] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != ErrorKind::NotFound
            {
                warn!(%error, path = %path.display(), "cached code cannot be removed");
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let n = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{n}.tmp", std::process::id()));
        let written = write_new(&temporary, bytes, 0o400);
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            // Best effort: the write already failed, and that is what is reported.
            let _ = fs::remove_file(&temporary);
        })
    }

    fn mac(&self, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(digest.as_bytes());
        mac.update(self.compat.as_bytes());
        mac.update(code);
        mac
    }
}

fn tag_path(path: &Path) -> PathBuf {
    path.with_extension("tag")
}

/// Reads the key, or makes it; two processes that start together agree on the first.
fn open_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    match File::open(path) {
        Ok(mut file) => file.read_exact(&mut key).map(|()| key),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            rand::rngs::OsRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
            let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
            write_new(&temporary, &key, 0o600)?;
            let linked = fs::hard_link(&temporary, path);
            fs::remove_file(&temporary)?;
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => open_key(path),
                linked => linked.map(|()| key),
            }
        }
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Sixteen digits that change with wasmtime's version, the target and every setting.
fn compat(engine: &Engine) -> String {
    struct Sha(Sha256);

    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            let hash: [u8; 32] = self.0.clone().finalize().into();
            hash.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
        }
    }

    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
