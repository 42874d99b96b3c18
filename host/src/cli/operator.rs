//! What the commands of operators share. They act on the database alone, so that they work while
//! the API is down.

use super::print;
use crate::{
    Clock,
    app::open_store,
    config::Config,
    store::{Store, Tx, audit_logs::Actor},
};
use chrono::{DateTime, Utc};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use std::os::unix::fs::MetadataExt;

/// Somebody at a terminal of the installation.
pub(super) struct Operator {
    pub(super) store: Store,
    pub(super) actor: Actor,
    pub(super) now: DateTime<Utc>,
    json: bool,
}

impl Operator {
    pub(super) async fn open(config: &Config, json: bool) -> anyhow::Result<Self> {
        let store = open_store(config).await?;
        let actor = Actor { workspace: None, name: format!("cli:{}", user()), request_id: None };
        // Jobs are due by the database's clock.
        let now = store.time().await?.unwrap_or_else(|| Clock::default().now());
        Ok(Operator { store, actor, now, json })
    }

    pub(super) async fn begin(&self) -> anyhow::Result<Tx> {
        Ok(self.store.begin().await?)
    }

    /// The answer is for a program.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints rows as a table, or as one JSON array of objects.
    pub(super) fn table(&self, names: &[&str], rows: Vec<Vec<Value>>) -> anyhow::Result<()> {
        if self.json {
            let objects: Vec<Value> = rows
                .into_iter()
                .map(|row| names.iter().map(|name| (*name).to_owned()).zip(row).collect())
                .collect();
            print(serde_json::to_string_pretty(&objects)?)?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(names.iter().map(|n| n.replace('_', " ")));
        for row in rows {
            table.add_row(row.iter().map(text));
        }
        print(table)?;
        Ok(())
    }

    /// Prints what was done: a sentence, or its facts as JSON.
    pub(super) fn say(&self, sentence: &str, facts: &Value) -> anyhow::Result<()> {
        if self.json {
            print(facts)?;
        } else {
            print(sentence)?;
        }
        Ok(())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whose process this is, by the system and not by the environment, which anybody can set.
fn user() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return "unknown".into() };
    let id = process.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or(id)
}

/// `90s`, `15m`, `24h` or `7d`.
pub(super) fn age(text: &str) -> Result<chrono::TimeDelta, String> {
    let wrong = || format!("{text:?} is no age: write it like 90s, 15m, 24h or 7d");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds >= 0)
        .and_then(chrono::TimeDelta::try_seconds)
        .ok_or_else(wrong)
}
