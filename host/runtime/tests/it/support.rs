//! Guests built once per run, and runtimes to put them into.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use aiv_runtime::types::{Body, Event, HttpResponse, Outcome, Query, Step};
use aiv_runtime::{Compiler, Plugin, Runtime, RuntimeConfig, StepReport};
use tempfile::TempDir;

/// A component of the workspace beside these tests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(build);
    let path = dir.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn build() -> PathBuf {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
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
        .expect("cargo runs");
    assert!(status.success(), "the guests do not build: `rustup target add wasm32-wasip2`?");
    target.join("wasm32-wasip2/release")
}

/// A runtime with a code cache of its own.
pub(crate) fn runtime() -> (Runtime, TempDir) {
    let dir = TempDir::new().unwrap();
    (Runtime::new(RuntimeConfig::new(dir.path().join("code"))).unwrap(), dir)
}

/// The child that compiles, as a host would start it.
pub(crate) fn compiler() -> Compiler {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/compile");
    assert!(program.exists(), "{} is missing: build the examples", program.display());
    Compiler::child(program, Vec::<String>::new())
}

/// The guest that does what the prompt says, loaded once for all tests.
pub(crate) async fn hostile() -> Arc<Plugin> {
    static RUNTIME: OnceLock<(Runtime, TempDir)> = OnceLock::new();
    let (runtime, _) = RUNTIME.get_or_init(runtime);
    runtime.load(&guest("hostile")).await.unwrap()
}

pub(crate) fn query(prompt: &str) -> Query {
    Query {
        id: "run-1".into(),
        prompt: prompt.into(),
        surface: "hostile-web".into(),
        model: None,
        language: Some("en".into()),
        country: Some("DE".into()),
        location: None,
        device: None,
        config: "{}".into(),
        now_unix: 1_790_000_000.5,
        seed: 42,
        extra: vec![],
    }
}

pub(crate) fn response(body: &str) -> Event {
    Event::Response(HttpResponse {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: Body::Text(body.into()),
        elapsed_ms: 120,
        received_at: 1_790_000_001.0,
    })
}

/// The text of an answer.
pub(crate) fn text(report: &StepReport) -> &str {
    match &report.step {
        Step::Done(Outcome::Answered(answer)) => &answer.text,
        step => panic!("no answer but {step:?}"),
    }
}

/// The state of a waiting step.
pub(crate) fn state(report: &StepReport) -> &[u8] {
    match &report.step {
        Step::Fetch { state, .. } | Step::Pause { state, .. } => state,
        step => panic!("does not wait: {step:?}"),
    }
}
