//! What an operator allows a component, whatever its manifest asks for.

use aiv_runtime::types::Manifest;
use serde::{Deserialize, Serialize};

/// The operator's side: a request is allowed only when the manifest asks for it and this gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// Exact host names.
    pub hosts: Vec<String>,
    /// Names of credentials.
    pub credentials: Vec<String>,
    /// Largest response, after decompression.
    pub max_response_bytes: u64,
    /// Fetches in one call, when fewer than the manifest's surface asks for.
    pub max_fetches: Option<u32>,
    /// Longest call, whatever the surface asks for.
    pub max_deadline_ms: u32,
    /// Memory in one step.
    pub memory_bytes: u64,
    /// CPU time in one step.
    pub cpu_ms: u32,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            credentials: Vec::new(),
            max_response_bytes: 5 << 20,
            max_fetches: None,
            max_deadline_ms: 900_000,
            memory_bytes: 64 << 20,
            cpu_ms: 200,
        }
    }
}

impl Grant {
    /// Everything that `manifest` asks for, within the default limits.
    pub fn as_requested(manifest: &Manifest) -> Self {
        Self {
            hosts: manifest.allowed_hosts.clone(),
            credentials: manifest.credentials.iter().map(|c| c.name.clone()).collect(),
            ..Self::default()
        }
    }

    /// Whether `manifest` asks for nothing more: a wider one needs a new grant.
    pub fn covers(&self, manifest: &Manifest) -> bool {
        manifest.allowed_hosts.iter().all(|host| self.hosts.contains(host))
            && manifest.credentials.iter().all(|asked| self.credentials.contains(&asked.name))
    }
}
