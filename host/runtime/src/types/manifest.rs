//! What a plugin says about itself.

use serde::{Deserialize, Serialize};

use super::Extra;

/// A plugin's description of itself. It is a request: the operator's grant decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Stable engine key, such as `perplexity`.
    pub key: String,
    pub display_name: String,
    /// Semantic version of the plugin itself.
    pub version: String,
    pub description: String,
    pub homepage: Option<String>,
    /// Exact host names, https only.
    pub allowed_hosts: Vec<String>,
    pub credentials: Vec<CredentialRequest>,
    /// JSON Schema of [`super::Query::config`].
    pub config_schema: String,
    pub surfaces: Vec<Surface>,
    pub extra: Extra,
}

impl Manifest {
    /// The setting, if there is one, whose address may lead to hosts that only the operator knows:
    /// the extra `host-setting`.
    pub fn host_setting(&self) -> Option<&str> {
        let named = self.extra.iter().find(|(key, _)| key == "host-setting");
        named.map(|(_, value)| value.trim_matches('"'))
    }

    /// Whether a question on this surface, to this model, is research: the extra `research` names
    /// `<surface>`, or `<surface>:<model>`.
    pub fn researches(&self, surface: &str, model: Option<&str>) -> bool {
        self.extra.iter().filter(|(key, _)| key == "research").any(|(_, value)| {
            match value.trim_matches('"').split_once(':') {
                Some((named, of)) => named == surface && model == Some(of),
                None => value.trim_matches('"') == surface,
            }
        })
    }
}

/// A credential the plugin needs; it never sees the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRequest {
    pub name: String,
    pub description: String,
    /// The credential is only ever sent to these hosts, a subset of `allowed_hosts`.
    pub hosts: Vec<String>,
}

/// One way of asking the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// Stable, such as `perplexity-agent`.
    pub id: String,
    pub display_name: String,
    pub models: Vec<String>,
    pub default_model: Option<String>,
    pub context: ContextSupport,
    /// The whole source list is visible to a person, not only what is cited inline.
    pub listed_is_visible: bool,
    /// Estimate for budgets when nothing else is known.
    pub typical_cost_micro_usd: u32,
    /// Upper bound of `fetch` steps for one query.
    pub max_fetches: u32,
    /// Requests per second that the vendor allows by default.
    pub requests_per_second: f64,
    pub burst: u32,
    pub deadline_ms: u32,
}

/// Which parts of a query's context a surface acts on.
#[expect(clippy::struct_excessive_bools, reason = "mirrors the record of the interface")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextSupport {
    pub language: bool,
    pub country: bool,
    pub city: bool,
    pub device: bool,
}
