//! Operators at a terminal: the commands, and the runbook that tells of them.

use crate::support::{
    database_url,
    process::{Server, aiv, json, text},
};
use std::path::Path;

#[tokio::test]
async fn queues_are_operated_while_the_api_is_down() {
    let files = tempfile::tempdir().unwrap();
    let database = database_url(files.path()).await;
    let command = |args: &[&str]| {
        let mut command = aiv(files.path());
        command.env("DATABASE_URL", &database).env("AUTO_MIGRATE", "true").args(args);
        command
    };
    let queue = |name: &str| {
        let queues = json(&mut command(&["queue", "list", "--json"]));
        queues.as_array().unwrap().iter().find(|queue| queue["queue"] == name).unwrap().clone()
    };
    assert_eq!(queue("runPrompt")["paused"], false);
    for _ in 0..2 {
        json(&mut command(&["queue", "pause", "runPrompt", "--json"]));
        assert_eq!(queue("runPrompt")["paused"], true);
    }
    let doctor = text(&command(&["queue", "doctor"]).output().unwrap());
    assert!(doctor.contains("aiv queue resume runPrompt"), "{doctor}");
    json(&mut command(&["queue", "resume", "runPrompt", "--json"]));
    assert_eq!(queue("runPrompt")["paused"], false);

    let limits = ["--per-minute", "300", "--max-in-flight", "5", "--json"];
    json(command(&["lane", "set", "runPrompt", "brave"]).args(limits));
    json(&mut command(&["lane", "pause", "runPrompt", "brave", "--json"]));
    let lanes = json(&mut command(&["lane", "list", "--json"]));
    assert_eq!(lanes[0]["lane"], "brave");
    assert_eq!((&lanes[0]["per_minute"], &lanes[0]["paused"]), (&300.into(), &true.into()));

    assert_eq!(json(&mut command(&["job", "list", "--json"])), serde_json::json!([]));
    let none = json(&mut command(&["job", "retry-all", "runPrompt", "--json"]));
    assert_eq!(none["retried"], 0);
    let none = json(&mut command(&["queue", "clean", "runPrompt", "--older-than", "7d", "--json"]));
    assert_eq!(none["removed"], 0);

    let unknown = command(&["queue", "pause", "runPrompts"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("dailyAggregations"), "{}", text(&unknown));
    let nobody = uuid::Uuid::now_v7().to_string();
    for args in [["job", "retry", &nobody], ["worker", "drain", &nobody]] {
        assert_eq!(command(&args).output().unwrap().status.code(), Some(1), "{args:?}");
    }
}

/// Every block after `<!-- run -->` of RUNBOOK.md works against a host that serves.
#[tokio::test]
async fn the_commands_of_the_runbook_are_real() {
    let files = tempfile::tempdir().unwrap();
    let database = database_url(files.path()).await;
    let mut create = aiv(files.path());
    create.args(["key", "create", "--admin", "--json"]);
    create.env("DATABASE_URL", &database).env("AUTO_MIGRATE", "true");
    create.env("PROVIDER_MODE", "replay");
    let key = json(&mut create)["key"].as_str().unwrap().to_owned();
    let server = Server::start(files.path(), &database).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../RUNBOOK.md");
    let runbook = std::fs::read_to_string(file).unwrap();
    let blocks: Vec<_> = runbook.split("<!-- run -->").skip(1).collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    let folder = Path::new(env!("CARGO_BIN_EXE_aiv")).parent().unwrap();
    for block in blocks {
        let script = block.split("```").nth(1).unwrap().strip_prefix("bash").unwrap();
        let output = std::process::Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(files.path())
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()))
            .env("DATABASE_URL", &database)
            .env("PLUGIN_DIR", crate::support::plugin_dir())
            .env("AIV_URL", &server.base)
            .env("AIV_KEY", &key)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}\n{}", text(&output));
    }
}
