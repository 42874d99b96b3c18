//! `aiv provider …` on a database that nobody serves.

use crate::support::{
    database_url,
    guest::adjustable,
    process::{self, aiv, text},
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

struct Terminal {
    folder: tempfile::TempDir,
    database: String,
}

impl Terminal {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database_url(folder.path()).await;
        Terminal { folder, database }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = aiv(self.folder.path());
        command.env("DATABASE_URL", &self.database).env("AUTO_MIGRATE", "true");
        command.args(["--json", "provider"]).args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Value {
        process::json(&mut self.command(arguments))
    }

    /// Runs to a failure; what it says.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn component(&self, name: &str, settings: &[(&str, &str)]) -> (String, String) {
        let path: &Path = self.folder.path();
        let path = path.join(name);
        let (component, digest) = adjustable(settings);
        std::fs::write(&path, component).unwrap();
        (path.display().to_string(), digest)
    }
}

#[tokio::test]
async fn components_are_installed_tried_and_rolled_back_from_a_terminal() {
    let terminal = Terminal::new().await;
    let (first, first_digest) = terminal.component("first.wasm", &[]);
    let (second, second_digest) = terminal.component("second.wasm", &[("version", "1.1.0")]);
    let installed = terminal.run(&["install", &first]);
    assert_eq!(installed["digest"], first_digest);
    assert_eq!(installed["missing"]["hosts"][0], "api.example.com");
    let refused = terminal.refused(&["activate", "adjustable", "1.0.0"]);
    assert!(refused.contains("host api.example.com"), "{refused}");
    let granted = terminal.run(&["grant", "adjustable", "--as-requested", "1.0.0"]);
    assert_eq!(granted["grant"]["credentials"][0], "key");
    let active = terminal.run(&["activate", "adjustable", &first_digest[..8]]);
    assert_eq!((&active["state"], &active["slot"]), (&json!("active"), &json!("main")));

    let local = "https://127.0.0.1/second.wasm";
    let local = terminal.refused(&["install", "--url", local, "--sha256", &second_digest]);
    assert!(local.contains("not a public address"), "{local}");
    assert!(terminal.refused(&["install", "--url", "https://dl.example.com/x"]).contains("sha256"));
    let wrong = terminal.refused(&["install", &second, "--sha256", &first_digest]);
    assert!(wrong.contains("altered"), "{wrong}");
    terminal.run(&["install", &second]);
    let canary = terminal.run(&["canary", "adjustable", "1.1.0", "--percent", "12.5"]);
    assert_eq!((&canary["slot"], &canary["digest"]), (&json!("canary"), &json!(second_digest)));
    let listed = terminal.run(&["list"]);
    let rows = listed.as_array().unwrap();
    let serves: Vec<_> = rows.iter().map(|row| row["in_service"].as_str().unwrap()).collect();
    assert!(serves.contains(&"everybody") && serves.contains(&"canary 12.5 %"), "{serves:?}");
    terminal.run(&["rollback", "adjustable", "--reason", "enough"]);
    let pruned = terminal.run(&["prune", "adjustable"]);
    assert_eq!(pruned["digests"].as_array().unwrap().len(), 1);
    let found = terminal.run(&["inspect", "adjustable"]);
    assert_eq!(found["history"][0]["reason"], "enough");
    assert_eq!(terminal.run(&["logs", "adjustable"]), Value::Array(vec![]));
    terminal.run(&["disable", "adjustable"]);
    terminal.refused(&["inspect", "nobody"]);
    terminal.refused(&["activate", "adjustable", "7.7.7"]);
    let key = "11".repeat(32);
    terminal.run(&["trust", "Acme", &key]);
    terminal.run(&["revoke", &key]);
    assert!(terminal.refused(&["revoke", &key]).contains("not found"));
}
