//! BullMQ's own clients against the host, and the scripts that both sides have to agree on.

use crate::support::{
    self,
    process::{Server, aiv, json, text},
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The node project with its packages, in a folder that may be written; `None` without npm.
fn install() -> Option<PathBuf> {
    if Command::new("npm").arg("--version").output().is_err() {
        eprintln!("skipped: no npm; install Node.js 20 or later to test with BullMQ's clients");
        return None;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    fs::create_dir_all(&place).unwrap();
    for file in ["package.json", "package-lock.json", ".npmrc", "bullmq.test.mjs"] {
        fs::copy(folder().join(file), place.join(file)).unwrap();
    }
    let lock = fs::read(place.join("package-lock.json")).unwrap();
    let stamp = place.join("node_modules/.installed");
    if fs::read(&stamp).ok().as_ref() != Some(&lock) {
        let installed = Command::new("npm").arg("ci").current_dir(&place).output().unwrap();
        assert!(installed.status.success(), "npm ci: {}", text(&installed));
        fs::write(stamp, lock).unwrap();
    }
    Some(place)
}

#[tokio::test]
async fn bullmq_and_bull_board_work_against_the_queues() {
    let Some(redis) = support::redis_url() else { return };
    let Some(place) = tokio::task::spawn_blocking(install).await.unwrap() else { return };
    let files = tempfile::tempdir().unwrap();
    let database = support::database_url(files.path()).await;
    let key = json(
        aiv(files.path())
            .args(["key", "create", "--admin", "--json"])
            .env("DATABASE_URL", &database)
            .env("AUTO_MIGRATE", "true")
            .env("PROVIDER_MODE", "replay"),
    );
    let prefix = format!("t{}", uuid::Uuid::now_v7().simple());
    let more = [("REDIS_URL", redis.as_str()), ("BULL_PREFIX", &prefix)];
    let server = Server::start_with(files.path(), &database, &more).await;

    let mut node = Command::new("node");
    node.args(["--test", "--test-timeout=120000", "bullmq.test.mjs"])
        .current_dir(place)
        .env("AIV_URL", &server.base)
        .env("AIV_KEY", key["key"].as_str().unwrap())
        .env("REDIS_URL", &redis)
        .env("BULL_PREFIX", &prefix);
    let tested = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    assert!(tested.status.success(), "{}", text(&tested));
}

/// BullMQ's layout in Redis is what its scripts make of it. Another version of the crate may bring
/// others: run the test above with the newest npm `bullmq`, then record them here.
#[test]
fn the_scripts_are_those_that_were_tested() {
    const SCRIPTS: &[(&str, &str)] = &[
        ("addDelayedJob-6", "f5b48a08f3f9e88a"),
        ("addPrioritizedJob-9", "4b8bb972ee43d85f"),
        ("addStandardJob-9", "1b3ad2b460f57119"),
        ("extendLocks-1", "14bb41f30eff2e7f"),
        ("getCounts-1", "8b92225a199eba16"),
        ("getRanges-1", "242c9ed1ef9828b0"),
        ("moveJobFromActiveToWait-9", "ac9546cdd23294a2"),
        ("moveStalledJobsToWait-9", "dad86d89b50d825f"),
        ("moveToActive-11", "7d35069db0b831af"),
        ("moveToDelayed-11", "1a7b9311ef92fd66"),
        ("moveToFinished-14", "8e744ec5d65dbe9e"),
        ("pause-7", "da797a84855a762e"),
    ];
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", text(&metadata));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "bullmq-official")
        .unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let commands = manifest.parent().unwrap().join("src/commands");
    for (name, recorded) in SCRIPTS {
        let script = fs::read(commands.join(format!("{name}.lua"))).unwrap();
        let found = hex::encode(Sha256::digest(script));
        assert_eq!(found[..16], **recorded, "{name} is another script now");
    }
}
