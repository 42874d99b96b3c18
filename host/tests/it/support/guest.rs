//! Components made for tests: of any version, with any behaviour.

use aiv_runtime::Digest;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

const MARK: &[u8] = b"@@adjustable-settings@@\n";

/// A component of the runtime's test guests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(build).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The adjustable guest with these settings, and its digest in hexadecimal.
pub(crate) fn adjustable(settings: &[(&str, &str)]) -> (Vec<u8>, String) {
    let mut component = guest("adjustable");
    let at = component.windows(MARK.len()).position(|part| part == MARK).unwrap() + MARK.len();
    let lines = settings.iter().map(|(name, value)| format!("{name}={value}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    component[at..at + text.len()].copy_from_slice(text.as_bytes());
    let digest = Digest::of(&component).to_string();
    (component, digest)
}

fn build() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime/tests/guests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2"])
        .arg("--manifest-path")
        .arg(guests.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // Flags for the host's target are not for the guests'.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .unwrap();
    assert!(status.success(), "the guests do not build: `rustup target add wasm32-wasip2`?");
    target.join("wasm32-wasip2/release")
}
