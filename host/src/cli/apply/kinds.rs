//! What a file can declare, and how it is written there instead of in the API: things refer to each
//! other by name and not by id.

use super::{
    compare::resolve,
    plan::{Change, Deed},
    source::Source,
};
use crate::providers::api_client::ApiClient;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::{collections::HashMap, sync::LazyLock};

/// A kind of things.
#[derive(Debug)]
pub(super) struct Kind {
    /// Name of the list in the file.
    pub(super) section: &'static str,
    pub(super) noun: &'static str,
    path: &'static str,
    /// Schema of the body that makes one.
    pub(super) schema: &'static str,
    /// Fields that say which one it is.
    identity: &'static [&'static str],
}

/// In the order in which they are made: later ones refer to earlier ones.
pub(super) static KINDS: [Kind; 5] = [
    Kind {
        section: "brands",
        noun: "brand",
        path: "/v1/brands",
        schema: "NewBrand",
        identity: &["name"],
    },
    Kind {
        section: "prompts",
        noun: "prompt",
        path: "/v1/prompts",
        schema: "NewPrompt",
        identity: &["text", "language", "country", "location"],
    },
    Kind {
        section: "engines",
        noun: "engine",
        path: "/v1/engines",
        schema: "NewEngine",
        identity: &["key"],
    },
    Kind {
        section: "schedules",
        noun: "schedule",
        path: "/v1/schedules",
        schema: "NewSchedule",
        identity: &["name"],
    },
    Kind {
        section: "alert_rules",
        noun: "alert rule",
        path: "/v1/alert-rules",
        schema: "NewAlertRule",
        identity: &["name"],
    },
];

/// The published description of the API.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(crate::api::openapi);

/// Something that the workspace has.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// What its path ends with.
    id: String,
    /// As a file would declare it.
    pub(super) declared: Value,
}

/// What a workspace has, of the kinds that matter.
#[derive(Debug, Default)]
pub(super) struct Workspace(HashMap<&'static str, Vec<Item>>);

impl Kind {
    pub(super) fn schema(&self) -> &'static Value {
        &DOCUMENT["components"]["schemas"][self.schema]
    }

    /// Which one it is.
    pub(super) fn identity(&self, item: &Value) -> String {
        let parts = self.identity.iter().filter_map(|name| item[*name].as_str());
        parts.collect::<Vec<_>>().join(" / ")
    }

    fn is_engine(&self) -> bool {
        self.section == "engines"
    }
}

/// Where in the file something stands that stands there in a request body.
pub(super) fn in_file(pointer: &str) -> String {
    match pointer {
        "/condition/brand_id" => "/condition/brand".into(),
        _ => pointer.replacen("/batch/prompt_ids", "/batch/prompts", 1),
    }
}

/// The rule that a part of a file breaks: pointer and detail.
type Broken = (String, String);

/// An item as a request body, as far as that can be known from the file alone.
pub(super) fn checkable(kind: &Kind, item: &Value) -> Result<Value, Broken> {
    let mut body = item.clone();
    let Some(fields) = body.as_object_mut() else {
        return Err((String::new(), format!("a {} is a mapping", kind.noun)));
    };
    let nobody = uuid::Uuid::nil().to_string();
    if kind.is_engine() && !fields.remove("key").is_some_and(|key| key.is_string()) {
        return Err(("/key".into(), "is required: the key of a provider".into()));
    }
    // `null` says that a field is empty, as if it were not there.
    fields.retain(|_, value| !value.is_null());
    if let Some(Value::Object(condition)) = fields.get_mut("condition")
        && let Some(name) = condition.remove("brand")
    {
        if !name.is_string() {
            return Err(("/condition/brand".into(), "is the name of a brand".into()));
        }
        condition.insert("brand_id".into(), nobody.clone().into());
    }
    if let Some(Value::Object(batch)) = fields.get_mut("batch")
        && let Some(texts) = batch.remove("prompts")
        && !texts.as_array().is_some_and(|list| list.iter().all(Value::is_string))
    {
        return Err(("/batch/prompts".into(), "is a list of the texts of prompts".into()));
    }
    Ok(body)
}

impl Workspace {
    /// What there is of the kinds that the file declares, and of those they refer to.
    pub(super) async fn load(client: &ApiClient, source: &Source) -> anyhow::Result<Self> {
        let refers = |section: &str| match section {
            "brands" => source.has(&KINDS[4]),
            "prompts" => source.has(&KINDS[3]),
            _ => false,
        };
        let mut workspace = Workspace::default();
        for kind in KINDS.iter().filter(|kind| source.has(kind) || refers(kind.section)) {
            workspace.read(client, kind).await?;
        }
        Ok(workspace)
    }

    pub(super) async fn load_all(client: &ApiClient) -> anyhow::Result<Self> {
        let mut workspace = Workspace::default();
        for kind in &KINDS {
            workspace.read(client, kind).await?;
        }
        Ok(workspace)
    }

    async fn read(&mut self, client: &ApiClient, kind: &'static Kind) -> anyhow::Result<()> {
        let rows = client.list(kind.path).await?;
        // Every workspace has this schedule; it is nobody's to change.
        let rows = rows.into_iter().filter(|row| row["kind"] != "daily_aggregations");
        let items = rows
            .map(|row| {
                let id = if kind.is_engine() { &row["key"] } else { &row["id"] };
                let id = id.as_str().context("a row without an id")?.to_owned();
                Ok(Item { id, declared: self.declared(kind, &row) })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        self.0.insert(kind.section, items);
        Ok(())
    }

    pub(super) fn items(&self, kind: &Kind) -> impl Iterator<Item = &Item> {
        self.0.get(kind.section).into_iter().flatten()
    }

    /// The one of this identity.
    pub(super) fn find(&self, kind: &Kind, identity: &str) -> Option<&Item> {
        self.items(kind).find(|item| kind.identity(&item.declared) == identity)
    }

    /// A row of the API as a file declares it.
    fn declared(&self, kind: &Kind, row: &Value) -> Value {
        let known = kind.schema()["properties"].as_object();
        let mut item: Map<String, Value> = row
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| {
                known.is_some_and(|known| known.contains_key(*name))
                    || (kind.is_engine() && *name == "key")
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if let Some(Value::Object(condition)) = item.get_mut("condition")
            && let Some(id) = condition.remove("brand_id")
        {
            let brand = self.items(&KINDS[0]).find(|brand| id == brand.id.as_str());
            let name = brand.map_or(id, |brand| brand.declared["name"].clone());
            condition.insert("brand".into(), name);
        }
        if let Some(Value::Object(batch)) = item.get_mut("batch")
            && let Some(Value::Array(ids)) = batch.remove("prompt_ids")
        {
            let texts = ids.into_iter().map(|id| {
                let prompt = self.items(&KINDS[1]).find(|prompt| id == prompt.id.as_str());
                prompt.map_or(id, |prompt| prompt.declared["text"].clone())
            });
            batch.insert("prompts".into(), texts.collect());
        }
        Value::Object(item)
    }

    /// An item of a file as the API takes it, with ids instead of names.
    fn body(&self, item: &Value) -> anyhow::Result<Value> {
        let mut body = item.clone();
        if let Some(condition) = body.get_mut("condition").and_then(Value::as_object_mut)
            && let Some(name) = condition.remove("brand")
        {
            let name = name.as_str().unwrap_or_default();
            let brand = self
                .items(&KINDS[0])
                .find(|brand| brand.declared["name"] == name)
                .with_context(|| format!("the workspace has no brand {name}"))?;
            condition.insert("brand_id".into(), brand.id.clone().into());
        }
        if let Some(batch) = body.get_mut("batch").and_then(Value::as_object_mut)
            && let Some(Value::Array(texts)) = batch.remove("prompts")
        {
            let ids = texts.iter().map(|text| {
                let prompt = self.items(&KINDS[1]).find(|p| p.declared["text"] == *text);
                let prompt =
                    prompt.with_context(|| format!("the workspace has no prompt {text}"))?;
                Ok(Value::from(prompt.id.clone()))
            });
            let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
            batch.insert("prompt_ids".into(), ids.into());
        }
        Ok(body)
    }

    /// Makes one change, and keeps up with it.
    pub(super) async fn carry_out(
        &mut self,
        client: &ApiClient,
        change: &Change,
    ) -> anyhow::Result<()> {
        let kind = change.kind;
        let path = |id: &str| format!("{}/{id}", kind.path);
        let present = self.find(kind, &change.name).cloned();
        match (change.deed, present) {
            (Deed::Delete, Some(item)) => {
                client.delete(&path(&item.id)).await?;
                let items = self.0.entry(kind.section).or_default();
                items.retain(|other| other.id != item.id);
                return Ok(());
            }
            (Deed::Delete, None) => return Ok(()),
            (_, present) if kind.is_engine() => {
                // An engine is saved as a whole: what the file does not name stays.
                let mut whole = present.map_or_else(|| json!({}), |item| item.declared);
                for (name, value) in change.item.as_object().into_iter().flatten() {
                    whole[name] = value.clone();
                }
                let row = client.put(&path(&change.name), &engine_body(whole)).await?;
                self.keep(kind, &row);
            }
            (_, Some(item)) => {
                let named = change.item.as_object().into_iter().flatten();
                let changed = named.filter(|(name, _)| change.fields.contains(name));
                let changed = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
                let body = self.body(&Value::Object(changed))?;
                let row = client.patch(&path(&item.id), &body).await?;
                self.keep(kind, &row);
            }
            (_, None) => {
                let mut body = self.body(&change.item)?;
                if let Some(fields) = body.as_object_mut() {
                    fields.retain(|_, value| !value.is_null());
                }
                let row = client.post(kind.path, &body).await?;
                self.keep(kind, &row);
            }
        }
        Ok(())
    }

    /// Keeps what the host answered.
    fn keep(&mut self, kind: &'static Kind, row: &Value) {
        let id = if kind.is_engine() { &row["key"] } else { &row["id"] };
        let item = Item {
            id: id.as_str().unwrap_or_default().to_owned(),
            declared: self.declared(kind, row),
        };
        let items = self.0.entry(kind.section).or_default();
        items.retain(|other| other.id != item.id);
        items.push(item);
    }
}

fn engine_body(mut whole: Value) -> Value {
    if let Some(fields) = whole.as_object_mut() {
        fields.remove("key");
        fields.retain(|_, value| !value.is_null());
    }
    whole
}

/// An item without what goes without saying.
pub(super) fn brief(kind: &Kind, item: &Value) -> Value {
    let mut item = item.clone();
    let properties = &kind.schema()["properties"];
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|name, value| {
            let schema = resolve(&DOCUMENT, &properties[name.as_str()]);
            let default = match &properties[name.as_str()]["default"] {
                Value::Null => &schema["default"],
                own => own,
            };
            !value.is_null() && (default.is_null() || value != default)
        });
    }
    item
}
