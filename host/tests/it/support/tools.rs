//! Programs of others that tests run.

use super::process::text;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The published document.
pub(crate) fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")
}

/// Runs a command to its good end.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

pub(crate) fn is_there(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A folder to work in, with a copy of what stands in `tests/` under this name. `install` is called
/// when the file that `lock` names has changed since it was called last.
pub(crate) fn prepare(name: &str, lock: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&place).unwrap();
    for entry in fs::read_dir(ours).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    let digest = hex::encode(Sha256::digest(fs::read(place.join(lock)).unwrap()));
    let stamp = place.join("installed");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&digest) {
        install(&place);
        fs::write(stamp, digest).unwrap();
    }
    place
}

/// The `name`d tool for the published document that pip brings; `None`, with a word about it, when
/// it cannot be installed here.
pub(crate) fn openapi_tool(name: &str) -> Option<Command> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/openapi-tools");
    let output = Command::new(script).output().unwrap();
    if output.status.code() == Some(3) {
        eprintln!("skipped: {}", text(&output).trim());
        return None;
    }
    assert!(output.status.success(), "{}", text(&output));
    let place = String::from_utf8(output.stdout).unwrap();
    Some(Command::new(Path::new(place.trim()).join(name)))
}
