//! `docs/plugins.md`: what it tells an author to type works.

use crate::{driver::skipped, plugin_kit::Place};
use std::{fs, path::Path, process::Command};

/// The blocks of a guide in a language, in order.
fn blocks<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let blocks = guide.split(&fence).skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default()).collect()
}

#[tokio::test]
async fn the_provider_of_the_guide_passes_its_cases_and_is_in_service() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let guide = fs::read_to_string(root.join("docs/plugins.md")).unwrap();
    let template = fs::read_to_string(root.join("sdk/templates/js/src/provider.js")).unwrap();
    let shown = blocks(&guide, "js");
    assert!(shown.len() >= 2, "the guide lost its source");
    for part in shown {
        assert!(template.contains(part), "the template does not have\n{part}");
    }
    let commands = blocks(&guide, "sh");
    assert!(commands.len() >= 4, "the guide lost its commands");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("guide.sh");
    let commands = commands.join("\n");
    let typed = format!("set -euo pipefail\nexport PATH=\"$AIV_BIN:$PATH\"\n{commands}\n");
    fs::write(&script, typed).unwrap();

    let host = Place::start(&[]).await;
    let aiv = Path::new(env!("CARGO_BIN_EXE_aiv")).parent().unwrap();
    let output = Command::new("bash")
        .arg(&script)
        .current_dir(folder.path())
        .env("AIV_BIN", aiv)
        .env("AIV_TOOLS", root.join("target/tools"))
        .env("AIV_URL", &host.server.base)
        .env("AIV_KEY", &host.key)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    // What `aiv plugin build` ends with when JavaScript's tool is missing.
    if output.status.code() == Some(3) {
        let reason = error.lines().last().unwrap_or_default();
        return skipped("docs/plugins.md", reason);
    }
    assert!(output.status.success(), "{said}\n{error}");
    for part in [
        "acme 0.1.0 can be installed",
        "ACME_API_KEY",
        "ok    acme/answer",
        "3 passed, 0 failed",
        "acme 0.1.0 is in service",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
