//! The two schemas, and what the store refuses.

use crate::support::{Host, empty_store};
use aiv::store::{
    Store,
    prompts::{self, NewPrompt},
};
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};

fn prompt(text: &str) -> NewPrompt {
    NewPrompt { text: text.into(), active: true, ..NewPrompt::default() }
}

#[tokio::test]
async fn sqlite_refuses_a_write_outside_a_transaction() {
    let host = Host::start().await;
    let mut conn = host.app.store.read().await.unwrap();
    let now = host.app.clock.now();
    let written = prompts::insert(&mut conn, host.workspace.id, prompt("best crm?"), now).await;
    let embedded = matches!(host.app.store, Store::Sqlite { .. });
    assert_eq!(written.is_err(), embedded, "{written:?}");
}

#[tokio::test]
async fn a_new_text_is_a_new_version() {
    let host = Host::start().await;
    let (id, now) = (host.workspace.id, host.app.clock.now());
    let mut tx = host.app.store.begin().await.unwrap();
    let first = prompts::insert(&mut tx, id, prompt("best crm?"), now).await.unwrap();
    let tagged = NewPrompt { tags: vec!["crm".into()], ..prompt("best crm?") };
    let same = prompts::update(&mut tx, id, first.id, tagged, now).await.unwrap();
    assert_eq!((same.version_id, same.version), (first.version_id, 1));
    let other = prompts::update(&mut tx, id, first.id, prompt("top crm?"), now).await.unwrap();
    assert_ne!(other.version_id, first.version_id);
    assert_eq!(other.version, 2);
}

/// Every table with its columns, as this engine has them.
async fn columns(store: &Store) -> BTreeMap<String, BTreeSet<String>> {
    let rows: Vec<(String, String)> = match store {
        Store::Postgres(pool) => sqlx::query(
            "SELECT table_name, column_name FROM information_schema.columns
             WHERE table_schema = 'public'",
        )
        .fetch_all(pool)
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect(),
        Store::Sqlite { readers, .. } => sqlx::query(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table'",
        )
        .fetch_all(readers)
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect(),
    };
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in rows.into_iter().filter(|(table, _)| !table.starts_with("_sqlx")) {
        tables.entry(table).or_default().insert(column);
    }
    tables
}

/// What `CREATE TABLE` and `ALTER TABLE` say in the migrations of `engine`.
fn declared(engine: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = format!("{}/../migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.collect::<BTreeSet<_>>() {
        let sql = std::fs::read_to_string(file).unwrap();
        let mut table = None;
        for line in sql.lines() {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.split_whitespace().next().map(str::to_owned);
            } else if let Some(rest) = line.strip_prefix("ALTER TABLE ") {
                let mut words = rest.split_whitespace();
                if let (Some(table), Some(verb), Some("COLUMN"), Some(column)) =
                    (words.next(), words.next(), words.next(), words.next())
                {
                    let columns = tables.entry(table.to_owned()).or_default();
                    let column = column.trim_end_matches(';').to_owned();
                    match verb {
                        "ADD" => {
                            columns.insert(column);
                        }
                        "DROP" => {
                            columns.remove(&column);
                        }
                        _ => {}
                    }
                }
            } else if line.starts_with(')') {
                table = None;
            } else if let Some(table) = &table {
                let word = line.split_whitespace().next().unwrap_or_default();
                if word.starts_with(|c: char| c.is_ascii_lowercase()) {
                    tables.entry(table.clone()).or_default().insert(word.to_owned());
                }
            }
        }
    }
    tables
}

#[tokio::test]
async fn the_schema_is_what_both_folders_declare() {
    let files = tempfile::tempdir().unwrap();
    let store = empty_store(&files).await;
    assert_eq!(declared("postgres"), declared("sqlite"));
    assert_eq!(columns(&store).await, declared(store.engine_name()));
}
