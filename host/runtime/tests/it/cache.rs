//! Compiled code on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use aiv_runtime::{Blame, Compiler, LoadError, Runtime, RuntimeConfig};
use tempfile::TempDir;

use crate::support::{compiler, guest, query, runtime, text};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn again(dir: &TempDir) -> Runtime {
    Runtime::new(RuntimeConfig::new(dir.path().join("code"))).unwrap()
}

/// A compiler that must not be needed.
fn offline(dir: &TempDir) -> Runtime {
    let compiler = Compiler::child("/nonexistent/compiler", Vec::<String>::new());
    let config = RuntimeConfig { compiler, ..RuntimeConfig::new(dir.path().join("code")) };
    Runtime::new(config).unwrap()
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn files_are_private_and_read_only() {
    let (runtime, _dir) = runtime();
    let plugin = runtime.load(&guest("hostile")).await.unwrap();
    let code = runtime.code_path(plugin.digest());
    assert_eq!(mode(runtime.cache_dir()), 0o700);
    assert_eq!(mode(&runtime.cache_dir().join("host.key")), 0o600);
    assert_eq!(mode(&code), 0o400);
    assert_eq!(mode(&code.with_extension("tag")), 0o400);
    let name = code.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with(&plugin.digest().to_string()), "{name}");
    assert_eq!(fs::read_dir(runtime.cache_dir()).unwrap().count(), 3);
}

#[tokio::test]
async fn a_second_start_does_not_compile() {
    let (first, dir) = runtime();
    let wasm = guest("hostile");
    let plugin = first.load(&wasm).await.unwrap();
    let cached = offline(&dir).load(&wasm).await.unwrap();
    assert_eq!(cached.manifest(), plugin.manifest());
    assert_eq!(text(&cached.start(&query("warm")).await.unwrap()), "warm");
}

#[tokio::test]
async fn changed_code_is_not_loaded_but_compiled_anew() {
    let (first, dir) = runtime();
    let wasm = guest("hostile");
    let path = first.code_path(first.load(&wasm).await.unwrap().digest());
    let tag = path.with_extension("tag");
    let (code, code_tag) = (fs::read(&path).unwrap(), fs::read(&tag).unwrap());
    let mut flipped = code.clone();
    flipped[code.len() / 2] ^= 1;
    for changed in [&flipped[..], &code[..code.len() / 2], b""] {
        overwrite(&path, changed);
        let refused = offline(&dir).load(&wasm).await.unwrap_err();
        assert!(matches!(refused, LoadError::Compiler(_)), "{refused}");
        assert!(!path.exists());
        let plugin = again(&dir).load(&wasm).await.unwrap();
        assert_eq!(text(&plugin.start(&query("anew")).await.unwrap()), "anew");
        assert_eq!(fs::read(&path).unwrap(), code);
    }
    // Neither without a tag, nor with the tag of another key.
    fs::remove_file(&tag).unwrap();
    assert!(offline(&dir).load(&wasm).await.is_err());
    again(&dir).load(&wasm).await.unwrap();
    let key = dir.path().join("code/host.key");
    overwrite(&key, &[0; 64]);
    assert!(offline(&dir).load(&wasm).await.is_err());
    again(&dir).load(&wasm).await.unwrap();
    assert_ne!(fs::read(&tag).unwrap(), code_tag);
}

#[tokio::test]
async fn running_code_survives_its_file() {
    let (runtime, dir) = runtime();
    let wasm = guest("hostile");
    let plugin = runtime.load(&wasm).await.unwrap();
    let path = runtime.code_path(plugin.digest());
    overwrite(&path, b"something else");
    again(&dir).load(&wasm).await.unwrap();
    assert_eq!(text(&plugin.start(&query("mapped")).await.unwrap()), "mapped");
}

#[tokio::test]
async fn a_child_compiles_the_same_code() {
    let (in_process, _dir) = runtime();
    let dir = TempDir::new().unwrap();
    let config = RuntimeConfig { compiler: compiler(), ..RuntimeConfig::new(dir.path()) };
    let outside = Runtime::new(config).unwrap();
    let wasm = guest("hostile");
    let plugin = outside.load(&wasm).await.unwrap();
    assert_eq!(text(&plugin.start(&query("child")).await.unwrap()), "child");
    let digest = in_process.load(&wasm).await.unwrap().digest();
    let (ours, theirs) = (in_process.code_path(digest), outside.code_path(digest));
    assert_eq!(ours.file_name(), theirs.file_name());
    assert_eq!(fs::read(ours).unwrap(), fs::read(theirs).unwrap());
}

#[tokio::test]
async fn a_child_that_fails_says_why() {
    let with = async |compiler| {
        let dir = TempDir::new().unwrap();
        let config = RuntimeConfig { compiler, ..RuntimeConfig::new(dir.path()) };
        Runtime::new(config).unwrap().load(&guest("hostile")).await.unwrap_err()
    };
    let sh = |script: &str| Compiler::child("/bin/sh", ["-c", script]);
    let complains = with(sh("echo out of luck >&2; exit 3")).await;
    assert!(complains.to_string().contains("out of luck"), "{complains}");
    let lies = with(sh("echo this is no code")).await;
    assert_eq!(lies.blame(), Blame::Host, "{lies}");
    let missing = with(Compiler::child("/nonexistent", Vec::<String>::new())).await;
    assert_eq!(missing.blame(), Blame::Host, "{missing}");
    let slow = Compiler::Child {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "exec /bin/sleep 60".into()],
        timeout: Duration::from_millis(200),
    };
    let slow = with(slow).await;
    assert!(matches!(slow, LoadError::CompileTimeout(_)), "{slow}");
    assert_eq!(slow.blame(), Blame::Host);
    // What the kernel does to a child that has used up its CPU time.
    let heavy = with(sh("kill -XCPU $$")).await;
    assert!(matches!(heavy, LoadError::CompileCpu(_)), "{heavy}");
    assert_eq!(heavy.blame(), Blame::Guest);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_at_the_same_time_compile_once() {
    let (runtime, _dir) = runtime();
    let wasm = guest("hostile");
    let (a, b, c) = tokio::join!(runtime.load(&wasm), runtime.load(&wasm), runtime.load(&wasm));
    let plugins = [a.unwrap(), b.unwrap(), c.unwrap()];
    for plugin in &plugins {
        assert!(std::sync::Arc::ptr_eq(plugin, &plugins[0]));
    }
}
