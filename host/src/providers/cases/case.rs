//! `case.json`, as it is written.

use super::{clock_at, transport_error};
use crate::{Clock, providers::Route};
use aiv_runtime::types::{Query, TransportError};
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The seed of a case that names none.
pub(super) const SEED: u32 = 1;

/// One conformance case.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub(super) id: String,
    pub(super) provider: String,
    pub(super) surface: String,
    pub(super) prompt: String,
    model: Option<String>,
    /// What the component's chances come from; 1 without it.
    seed: Option<u32>,
    #[serde(default)]
    location: Location,
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    pub(super) deliver: Deliver,
    pub(super) steps: Vec<CaseStep>,
    /// Compared field by field with what the call ended with.
    pub(super) expect: Value,
    #[serde(skip)]
    folder: PathBuf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Location {
    language: Option<String>,
    country: Option<String>,
    #[serde(rename = "location")]
    place: Option<String>,
    city: Option<String>,
    region: Option<String>,
    device: Option<String>,
}

/// How the vendor hands a body over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deliver {
    /// Size of the pieces; all at once without it.
    pub(super) chunk_bytes: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CaseStep {
    /// Any request will do without it.
    pub(super) request: Option<ExpectedRequest>,
    pub(super) response: Option<RecordedResponse>,
    /// There is no response, for this reason.
    transport: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ExpectedRequest {
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RecordedResponse {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    body: String,
}

pub(super) enum Expected<'a> {
    /// The component waits, and its state holds the token to go on with.
    Pending {
        token: &'a str,
    },
    Ended,
}

impl Case {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("case.json");
        let text = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let mut case: Self =
            serde_json::from_slice(&text).with_context(|| format!("read {}", file.display()))?;
        folder.clone_into(&mut case.folder);
        for (i, step) in case.steps.iter().enumerate() {
            if step.response.is_some() == step.transport.is_some() {
                bail!("{}: step {} needs a response or a transport", file.display(), i + 1);
            }
        }
        Ok(case)
    }

    /// `provider/case`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.id)
    }

    /// Key of the provider that the case is for.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    pub(super) fn body(&self, response: &RecordedResponse) -> anyhow::Result<Vec<u8>> {
        let file = self.folder.join(&response.body);
        std::fs::read(&file).with_context(|| format!("read {}", file.display()))
    }

    pub(super) fn expected(&self) -> Expected<'_> {
        match (self.expect["outcome"].as_str(), self.expect["token"].as_str()) {
            (Some("pending"), Some(token)) => Expected::Pending { token },
            _ => Expected::Ended,
        }
    }

    /// Stands still at the time the case was recorded.
    pub(super) fn clock(&self) -> Clock {
        let at = self.config.get("now_epoch_s").and_then(Value::as_f64);
        at.and_then(|at| clock_at(at).ok()).unwrap_or_default()
    }

    pub(super) fn query(&self, route: &Route) -> anyhow::Result<Query> {
        if route.surface(&self.surface).is_none() {
            let known: Vec<_> =
                route.manifest.surfaces.iter().map(|surface| surface.id.as_str()).collect();
            bail!(
                "{}: {} has no surface {} (it has {})",
                self.name(),
                route.key(),
                self.surface,
                known.join(", ")
            );
        }
        let mut config = self.config.clone();
        config.remove("now_epoch_s");
        let Location { language, country, place, city, region, device } = self.location.clone();
        let parts: Vec<_> = [city, region].into_iter().flatten().collect();
        Ok(Query {
            id: self.name(),
            prompt: self.prompt.clone(),
            surface: self.surface.clone(),
            model: self.model.clone(),
            language,
            country,
            location: place.or_else(|| (!parts.is_empty()).then(|| parts.join(", "))),
            device,
            config: Value::Object(config).to_string(),
            now_unix: 0.0,
            seed: self.seed.unwrap_or(SEED),
            extra: Vec::new(),
        })
    }
}

impl CaseStep {
    pub(super) fn transport(&self) -> anyhow::Result<Option<TransportError>> {
        self.transport.as_deref().map(transport_error).transpose()
    }
}
