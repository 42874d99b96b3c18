//! A workspace as a file: applied, exported, and refused with the line of what is wrong.

use crate::support::{
    self,
    process::{Server, aiv, json, text},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const FILE: &str = "\
version: 1
brands:
  - name: Acme
    kind: own
    aliases:
      - text: ACME
        require_capital: true
    domains: [acme.com]
  - name: Rival
    kind: competitor
prompts:
  - text: What is the best CRM for a small agency?
    intent: best crm
    tags: [crm]
  - text: Which CRM do agencies use?
    intent: best crm
    language: en
engines:
  - key: perplexity
    country: US
schedules:
  - name: every morning
    cron: 30 6 * * 1-5
    timezone: Europe/Copenhagen
    batch:
      prompts: [What is the best CRM for a small agency?]
      engines: [perplexity]
      samples: 3
  - name: mondays
    cron: 0 7 * * 1
    report:
      title: The week
alert_rules:
  - name: share falls
    condition:
      kind: metric
      metric: share_of_voice
      brand: Acme
      comparison: drops_by
      threshold: 0.1
  - name: money
    severity: high
    condition:
      kind: event
      event_type: budget.exceeded
";

struct Place {
    files: TempDir,
    server: Server,
    key: String,
}

impl Place {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let database = support::database_url(files.path()).await;
        let key = json(
            aiv(files.path())
                .args(["key", "create", "--json"])
                .env("DATABASE_URL", &database)
                .env("AUTO_MIGRATE", "true")
                .env("PROVIDER_MODE", "replay"),
        );
        let server = Server::start(files.path(), &database).await;
        Place { files, server, key: key["key"].as_str().unwrap().to_owned() }
    }

    fn write(&self, text: &str) -> PathBuf {
        let file = self.files.path().join("workspace.yaml");
        fs::write(&file, text).unwrap();
        file
    }

    fn command(&self) -> Command {
        let mut command = aiv(self.files.path());
        command.env("AIV_URL", &self.server.base).env("AIV_KEY", &self.key);
        command
    }

    /// Applies a file and returns what it came to.
    fn apply(&self, text: &str, more: &[&str]) -> Value {
        let file = self.write(text);
        json(self.command().arg("apply").arg("-f").arg(file).arg("--json").args(more))
    }

    /// Applies a file that is refused, and returns why.
    fn refused(&self, text: &str) -> String {
        let file = self.write(text);
        let output = self.command().arg("apply").arg("-f").arg(file).output().unwrap();
        assert!(!output.status.success(), "{}", self::text(&output));
        let folder = format!("{}/", self.files.path().display());
        self::text(&output).replace(&folder, "")
    }
}

fn changes(answer: &Value) -> Vec<(&str, &str, &str)> {
    let rows = answer["changes"].as_array().unwrap().iter();
    rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap();
        (text("action"), text("kind"), text("name"))
    })
    .collect()
}

#[tokio::test]
async fn a_file_is_brought_about_once_and_exported_again() {
    let place = Place::start().await;
    let planned = place.apply(FILE, &["--dry-run"]);
    assert_eq!((&planned["applied"], changes(&planned).len()), (&json!(false), 9));
    assert!(changes(&planned).iter().all(|(action, ..)| *action == "create"));

    let applied = place.apply(FILE, &[]);
    assert_eq!(applied["applied"], true);
    assert_eq!(changes(&applied), changes(&planned));
    let again = place.apply(FILE, &[]);
    assert_eq!(again["changes"], json!([]), "{again:#}");

    let exported = place.command().arg("export").output().unwrap();
    assert!(exported.status.success(), "{}", text(&exported));
    let exported = String::from_utf8(exported.stdout).unwrap();
    for part in ["brand: Acme", "- What is the best CRM for a small agency?", "cron:", "samples: 3"]
    {
        assert!(exported.contains(part), "{part} is missing in\n{exported}");
    }
    assert!(!exported.contains("daily aggregations"), "{exported}");
    let same = place.apply(&exported, &["--dry-run", "--prune"]);
    assert_eq!(same["changes"], json!([]), "{same:#}\n{exported}");

    // What the file says otherwise is changed, and nothing else is.
    let other = FILE
        .replace("    domains: [acme.com]\n", "    domains: [acme.com, acme.dk]\n")
        .replace("require_capital: true", "require_capital: false")
        .replace("threshold: 0.1", "threshold: 0.2")
        .replace("    intent: best crm\n    tags: [crm]\n", "    intent: null\n    tags: [crm]\n")
        .replace("    country: US\n", "    country: DK\n");
    let planned = place.apply(&other, &["--dry-run"]);
    let fields: Vec<_> = planned["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["kind"].as_str().unwrap(), row["fields"]))
        .collect();
    assert_eq!(
        fields,
        [
            "brand [\"aliases\",\"domains\"]",
            "prompt [\"intent\"]",
            "engine [\"country\"]",
            "alert rule [\"condition\"]",
        ]
    );
    place.apply(&other, &[]);
    assert_eq!(place.apply(&other, &[])["changes"], json!([]));

    // What is left out stays, until it is to be pruned.
    let fewer = "version: 1\nprompts:\n  - text: Which CRM do agencies use?\n    language: en\n";
    assert_eq!(place.apply(fewer, &[])["changes"], json!([]));
    let fewer = format!("{fewer}schedules: []\n");
    let pruned = place.apply(&fewer, &["--prune"]);
    assert_eq!(
        changes(&pruned),
        [
            ("delete", "schedule", "every morning"),
            ("delete", "schedule", "mondays"),
            ("delete", "prompt", "What is the best CRM for a small agency?"),
        ]
    );
    assert_eq!(place.apply(&fewer, &["--prune"])["changes"], json!([]));
}

#[tokio::test]
async fn a_bad_file_is_refused_with_its_lines_and_changes_nothing() {
    let place = Place::start().await;
    for (from, to, parts) in [
        ("version: 1", "version: 2", &["workspace.yaml:1: version"][..]),
        ("kind: own", "kind: ours", &["workspace.yaml:4: brands[0].kind"]),
        ("require_capital: true", "shout: true", &["yaml:7: brands[0].aliases[0].shout"]),
        ("    kind: competitor\n", "", &["yaml:9: brands[1].kind: is required"]),
        ("name: Rival", "name: Acme", &["yaml:9: brands[1]", "stands in line 3 already"]),
        ("    country: US", "    country: USA", &["yaml:20: engines[0].country"]),
        ("brand: Acme", "brand: Nobody", &["yaml:38: alert_rules[0].condition.brand"]),
        ("prompts: [What", "prompts: [Whom", &["yaml:26: schedules[0].batch.prompts[0]"]),
        ("alert_rules:", "alarms:", &["yaml:33: alarms: is not known"]),
        ("    cron: 30", "   cron: 30", &["workspace.yaml:"]),
    ] {
        assert!(FILE.contains(from), "{from}");
        let error = place.refused(&FILE.replacen(from, to, 1));
        for part in parts {
            assert!(error.contains(part), "{to:?}: {error}");
        }
    }
    // Rules that only the host knows are told with their lines as well.
    let error = place.refused(&FILE.replace("cron: 30 6 * * 1-5", "cron: 61 6 * * 1-5"));
    assert!(error.contains("workspace.yaml:23: schedules[0].cron"), "{error}");
    let made = place.apply(FILE, &["--dry-run"]);
    let kinds: Vec<_> = changes(&made).iter().map(|(_, kind, _)| *kind).collect();
    assert!(!kinds.contains(&"brand") && kinds.contains(&"schedule"), "{kinds:?}");

    let file = place.write(FILE);
    let nobody = place
        .command()
        .env("AIV_KEY", "avk_live_wrong")
        .args(["apply", "--dry-run", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(text(&nobody).contains("not valid"), "{}", text(&nobody));
    let nowhere = place
        .command()
        .args(["apply", "--url", "http://127.0.0.1:9", "-f"])
        .arg(Path::new("missing.yaml"))
        .output()
        .unwrap();
    assert!(text(&nowhere).contains("cannot read missing.yaml"), "{}", text(&nowhere));
}
