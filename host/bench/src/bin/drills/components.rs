//! Components made of others.

use anyhow::{Context, ensure};
use std::path::Path;

const MARK: &[u8] = b"@@adjustable-settings@@\n";

pub(crate) fn read(folder: &Path, name: &str) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path)
        .with_context(|| format!("read {}: run `make plugins guests` first", path.display()))
}

/// The same component under another digest: a custom section changes nothing else.
pub(crate) fn relabelled(component: &[u8], label: &str) -> anyhow::Result<Vec<u8>> {
    let name = b"label";
    let size = 1 + name.len() + label.len();
    ensure!(size < 128, "the label is too long");
    let mut bytes = component.to_vec();
    bytes.extend([0, u8::try_from(size)?, u8::try_from(name.len())?]);
    bytes.extend(name);
    bytes.extend(label.as_bytes());
    Ok(bytes)
}

/// The adjustable guest with these settings.
pub(crate) fn adjustable(guests: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let mut component = read(guests, "adjustable")?;
    let at = component.windows(MARK.len()).position(|part| part == MARK);
    let at = at.context("the guest has no settings")? + MARK.len();
    let lines = settings.iter().map(|(name, value)| format!("{name}={value}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    component[at..at + text.len()].copy_from_slice(text.as_bytes());
    Ok(component)
}
