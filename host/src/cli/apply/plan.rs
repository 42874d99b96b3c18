//! What has to change for a workspace to be what a file declares.

use super::{
    compare::same,
    kinds::{DOCUMENT, KINDS, Kind, Workspace},
    source::Source,
};
use anyhow::bail;
use serde_json::{Value, json};
use std::{collections::HashSet, fmt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Create,
    Update,
    Delete,
}

/// One thing to do.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) deed: Deed,
    pub(super) kind: &'static Kind,
    /// Which one.
    pub(super) name: String,
    /// Fields that change.
    pub(super) fields: Vec<String>,
    /// What the file declares; null for what is deleted.
    pub(super) item: Value,
    /// Where in its list the file declares it.
    pub(super) index: Option<usize>,
}

/// The changes, in the order in which they can be made.
pub(super) fn plan(
    source: &Source,
    workspace: &Workspace,
    prune: bool,
) -> anyhow::Result<Vec<Change>> {
    check_names(source, workspace)?;
    let mut changes = Vec::new();
    for kind in &KINDS {
        for (index, item) in source.items(kind).iter().enumerate() {
            let name = kind.identity(item);
            let (deed, fields) = match workspace.find(kind, &name) {
                None => (Deed::Create, vec![]),
                Some(present) => {
                    let fields = differing(kind, item, &present.declared);
                    if fields.is_empty() {
                        continue;
                    }
                    (Deed::Update, fields)
                }
            };
            let (item, index) = (item.clone(), Some(index));
            changes.push(Change { deed, kind, name, fields, item, index });
        }
    }
    if prune {
        // What refers to others goes before them.
        for kind in KINDS.iter().rev().filter(|kind| source.has(kind)) {
            let declared: HashSet<_> =
                source.items(kind).iter().map(|item| kind.identity(item)).collect();
            for present in workspace.items(kind) {
                let name = kind.identity(&present.declared);
                if !declared.contains(&name) {
                    let (fields, item) = (vec![], Value::Null);
                    let deed = Deed::Delete;
                    changes.push(Change { deed, kind, name, fields, item, index: None });
                }
            }
        }
    }
    Ok(changes)
}

/// Refuses a file that refers to what neither it nor the workspace has.
fn check_names(source: &Source, workspace: &Workspace) -> anyhow::Result<()> {
    let [brands, prompts, _, schedules, rules] = &KINDS;
    let known = |kind: &'static Kind, field: &str, name: &Value| {
        let declared = source.items(kind).iter().any(|item| item[field] == *name);
        declared || workspace.items(kind).any(|item| item.declared[field] == *name)
    };
    let mut broken = Vec::new();
    for (index, rule) in source.items(rules).iter().enumerate() {
        let name = &rule["condition"]["brand"];
        if !name.is_null() && !known(brands, "name", name) {
            let pointer = format!("/alert_rules/{index}/condition/brand");
            broken.push(source.place(&pointer, &format!("there is no brand {name}")));
        }
    }
    for (index, schedule) in source.items(schedules).iter().enumerate() {
        let texts = schedule["batch"]["prompts"].as_array();
        for (at, text) in texts.into_iter().flatten().enumerate() {
            if !known(prompts, "text", text) {
                let pointer = format!("/schedules/{index}/batch/prompts/{at}");
                broken.push(source.place(&pointer, &format!("there is no prompt {text}")));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!(broken.join("\n       ")) }
}

/// The fields that the file declares otherwise than they are.
fn differing(kind: &Kind, declared: &Value, present: &Value) -> Vec<String> {
    let properties = &kind.schema()["properties"];
    declared
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            let there = present.get(*name).cloned().unwrap_or(Value::Null);
            let schema = &properties[name.as_str()];
            // References by name are no part of the published schema.
            let aside = named(value) == named(&there);
            !(aside && same(&DOCUMENT, schema, &plain(value), &plain(&there)))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// What a value refers to by name.
fn named(value: &Value) -> (Value, Value) {
    (value["brand"].clone(), value["prompts"].clone())
}

/// A value with what the host puts in where a file leaves it out.
fn plain(value: &Value) -> Value {
    let mut value = value.clone();
    if value["kind"] == "metric" && value["days"].is_null() {
        value["days"] = 7.into();
    }
    value
}

impl Change {
    pub(super) fn to_json(&self) -> Value {
        let deed = match self.deed {
            Deed::Create => "create",
            Deed::Update => "update",
            Deed::Delete => "delete",
        };
        json!({
            "action": deed,
            "kind": self.kind.noun,
            "name": self.name,
            "fields": self.fields,
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.deed {
            Deed::Create => '+',
            Deed::Update => '~',
            Deed::Delete => '-',
        };
        write!(f, "{sign} {} {}", self.kind.noun, self.name)?;
        if !self.fields.is_empty() {
            write!(f, " ({})", self.fields.join(", "))?;
        }
        Ok(())
    }
}
