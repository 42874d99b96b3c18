//! Clients that other people's generators make of the published document: type-checked, and used.

use crate::support::{
    self,
    process::{Server, aiv, json, text},
};
use sha2::{Digest, Sha256};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Runs a command to its good end.
#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

fn is_there(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// The folder of a client, with a copy of what we keep of it. `install` is called when the files
/// that `lock` names have changed since it was called last.
fn prepare(name: &str, lock: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    fs::create_dir_all(&place).unwrap();
    for entry in fs::read_dir(ours).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place.join(entry.file_name())).unwrap();
    }
    let digest = hex::encode(Sha256::digest(fs::read(place.join(lock)).unwrap()));
    let stamp = place.join("installed");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&digest) {
        install(&place);
        fs::write(stamp, digest).unwrap();
    }
    place
}

/// A host in a process of its own, and an owner's key.
struct Served {
    _files: TempDir,
    server: Server,
    key: String,
}

async fn serve() -> Served {
    let files = tempfile::tempdir().unwrap();
    let database = support::database_url(files.path()).await;
    let key = json(
        aiv(files.path())
            .args(["key", "create", "--json"])
            .env("DATABASE_URL", &database)
            .env("AUTO_MIGRATE", "true")
            .env("PROVIDER_MODE", "replay"),
    );
    let keys = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let more = [("AIV_MASTER_KEYS", keys)];
    let server = Server::start_with(files.path(), &database, &more).await;
    Served { _files: files, server, key: key["key"].as_str().unwrap().to_owned() }
}

impl Served {
    async fn run(&self, program: impl AsRef<OsStr>, scenario: &str, place: &Path) {
        let mut command = Command::new(program);
        command
            .arg(scenario)
            .current_dir(place)
            .env("AIV_URL", &self.server.base)
            .env("AIV_KEY", &self.key);
        tokio::task::spawn_blocking(move || succeed(&mut command)).await.unwrap();
    }
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")
}

fn typescript() -> Option<PathBuf> {
    if !is_there("npm", &["--version"]) {
        eprintln!("skipped: no npm; install Node.js 20 or later to test the TypeScript client");
        return None;
    }
    let place = prepare("typescript", "package-lock.json", |place| {
        succeed(Command::new("npm").arg("ci").current_dir(place));
    });
    let tool = |name: &str| place.join("node_modules/.bin").join(name);
    let mut generate = Command::new(tool("openapi-typescript"));
    generate.arg(document()).args(["--default-non-nullable=false", "-o", "schema.d.ts"]);
    succeed(generate.current_dir(&place));
    succeed(Command::new(tool("tsc")).args(["-p", "."]).current_dir(&place));
    Some(place)
}

#[tokio::test]
async fn a_typescript_client_compiles_and_works() {
    let Some(place) = tokio::task::spawn_blocking(typescript).await.unwrap() else { return };
    serve().await.run("node", "out/scenario.js", &place).await;
}

fn python() -> Option<PathBuf> {
    if !is_there("python3", &["-c", "import ensurepip, venv"]) {
        eprintln!("skipped: no Python with venv; install python3-venv to test the Python client");
        return None;
    }
    let place = prepare("python", "requirements.txt", |place| {
        let mut make = Command::new("python3");
        succeed(make.args(["-m", "venv", "--clear", "venv"]).current_dir(place));
        let mut install = Command::new(place.join("venv/bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
        succeed(install.arg("requirements.txt").current_dir(place));
    });
    let tool = |name: &str| place.join("venv/bin").join(name);
    let mut generate = Command::new(tool("openapi-python-client"));
    generate.arg("generate").arg("--path").arg(document());
    generate.args(["--meta", "none", "--output-path", "aiv_client", "--overwrite"]);
    succeed(generate.current_dir(&place));
    succeed(Command::new(tool("mypy")).args(["--strict", "scenario.py"]).current_dir(&place));
    Some(place)
}

#[tokio::test]
async fn a_python_client_type_checks_and_works() {
    let Some(place) = tokio::task::spawn_blocking(python).await.unwrap() else { return };
    let python = place.join("venv/bin/python");
    serve().await.run(python, "scenario.py", &place).await;
}
