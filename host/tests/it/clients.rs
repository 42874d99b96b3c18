//! Clients that other people's generators make of the published document: type-checked, and used.
//!
//! The generator for Rust is oas3-gen, because it reads 3.1; progenitor and its like read 3.0, which
//! has no way to say much of what the document says.

use crate::support::{
    self,
    process::{Server, aiv, json},
    tools::{document, is_there, prepare, succeed},
};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

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
    async fn run(&self, program: impl AsRef<OsStr>, scenario: Option<&str>, place: &Path) {
        let mut command = Command::new(program);
        command
            .args(scenario)
            .current_dir(place)
            .env("AIV_URL", &self.server.base)
            .env("AIV_KEY", &self.key);
        tokio::task::spawn_blocking(move || succeed(&mut command)).await.unwrap();
    }
}

fn typescript() -> Option<PathBuf> {
    if !is_there("npm", &["--version"]) {
        eprintln!("skipped: no npm; install Node.js 20 or later to test the TypeScript client");
        return None;
    }
    let place = prepare("clients/typescript", "package-lock.json", |place| {
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
    serve().await.run("node", Some("out/scenario.js"), &place).await;
}

fn python() -> Option<PathBuf> {
    if !is_there("python3", &["-c", "import ensurepip, venv"]) {
        eprintln!("skipped: no Python with venv; install python3-venv to test the Python client");
        return None;
    }
    let place = prepare("clients/python", "requirements.txt", |place| {
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
    serve().await.run(python, Some("scenario.py"), &place).await;
}

/// The generator's version, also that of its support crate in the client's manifest.
const OAS3_GEN: &str = "0.29.0";

/// Nobody debugs what is built here, and symbols are most of a gigabyte.
fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "none");
    cargo
}

fn rust() -> PathBuf {
    let place = prepare("clients/rust", "Cargo.lock", |_| {});
    // It is a program to install, and no dependency: it brings a hundred crates of its own.
    let generator = place.join(format!("oas3-gen-{OAS3_GEN}"));
    let program = generator.join("bin/oas3-gen");
    if !program.exists() {
        let mut install = cargo();
        install.args(["install", "oas3-gen", "--version", OAS3_GEN, "--locked", "--debug"]);
        install.args(["--no-track", "--quiet", "--root"]).arg(generator);
        // Beside what else is built: where temporary files go may be small.
        succeed(install.arg("--target-dir").arg(place.join("target")));
    }
    let mut generate = Command::new(program);
    generate.args(["generate", "client-mod", "--quiet", "--output", "client", "--input"]);
    // Its bodies are texts, and a component is none.
    generate.arg(document()).args(["--exclude", "install_provider"]);
    succeed(generate.current_dir(&place));
    let mut build = cargo();
    build.args(["build", "--locked", "--quiet", "--target-dir", "target"]);
    succeed(build.current_dir(&place));
    place
}

#[tokio::test]
async fn a_rust_client_compiles_and_works() {
    let place = tokio::task::spawn_blocking(rust).await.unwrap();
    let program = place.join("target/debug/scenario");
    serve().await.run(program, None, &place).await;
}
