//! `docs/plugins.md`: what it tells an author to type works.

use std::{fs, path::Path, process::Command};

/// The shell commands of a guide, in order.
fn commands(guide: &str) -> Vec<&str> {
    let blocks = guide.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default()).collect()
}

#[test]
fn the_provider_of_the_guide_passes_its_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let guide = fs::read_to_string(root.join("docs/plugins.md")).unwrap();
    let commands = commands(&guide);
    assert!(commands.len() >= 4, "the guide lost its commands");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("guide.sh");
    let commands = commands.join("\n");
    let typed = format!("set -euo pipefail\nexport PATH=\"$AIV_BIN:$PATH\"\n{commands}\n");
    fs::write(&script, typed).unwrap();
    let aiv = Path::new(env!("CARGO_BIN_EXE_aiv")).parent().unwrap();
    let output = Command::new("bash")
        .arg(&script)
        .current_dir(folder.path())
        .env("AIV", &root)
        .env("AIV_BIN", aiv)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    // What `sdk/componentize` ends with when JavaScript's tool is missing.
    if output.status.code() == Some(3) {
        let reason = error.lines().last().unwrap_or_default();
        return crate::driver::skipped("docs/plugins.md", reason);
    }
    assert!(output.status.success(), "{said}\n{error}");
    for part in
        ["acme 0.1.0 can be installed", "ACME_API_KEY", "ok    acme/answer", "2 passed, 0 failed"]
    {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
