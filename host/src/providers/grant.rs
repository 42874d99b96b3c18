//! What an operator allows a component, whatever its manifest asks for.

use aiv_runtime::types::Manifest;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use url::Url;

/// The operator's side: a request is allowed only when the manifest asks for it and this gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// Exact host names.
    pub hosts: Vec<String>,
    /// Servers of the operator's own that the manifest's `host-setting` may name, as origins:
    /// `http://127.0.0.1:11434`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Names of credentials.
    pub credentials: Vec<String>,
    /// Hosts that a credential may be sent to; all of `hosts` for one that is not named here.
    pub credential_hosts: BTreeMap<String, Vec<String>>,
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

/// What a manifest asks for beyond a grant. Empty when the grant covers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub hosts: Vec<String>,
    /// Credentials with the hosts that they would be sent to.
    pub credentials: BTreeMap<String, Vec<String>>,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.credentials.is_empty()
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|host| format!("host {host}"));
        let credentials = self
            .credentials
            .iter()
            .map(|(name, hosts)| format!("credential {name} for {}", hosts.join(", ")));
        f.write_str(&hosts.chain(credentials).collect::<Vec<_>>().join("; "))
    }
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            credentials: Vec::new(),
            credential_hosts: BTreeMap::new(),
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
        Self::default().widened(manifest)
    }

    /// This grant and all that `manifest` asks for beyond it.
    #[must_use]
    pub fn widened(mut self, manifest: &Manifest) -> Self {
        let Missing { hosts, credentials } = self.missing(manifest);
        let before = self.hosts.clone();
        self.hosts.extend(hosts);
        for (name, hosts) in credentials {
            let given = self.credentials.contains(&name);
            if !given {
                self.credentials.push(name.clone());
            }
            // One that was given for all hosts keeps those it had.
            let all = || if given { before.clone() } else { Vec::new() };
            self.credential_hosts.entry(name).or_insert_with(all).extend(hosts);
        }
        self
    }

    /// What `manifest` asks for beyond this: it needs a new grant.
    pub fn missing(&self, manifest: &Manifest) -> Missing {
        let mut missing = Missing::default();
        for host in &manifest.allowed_hosts {
            if !self.hosts.contains(host) {
                missing.hosts.push(host.clone());
            }
        }
        for asked in &manifest.credentials {
            let given = self.credentials.contains(&asked.name);
            let new = asked.hosts.iter().filter(|host| !given || !self.binds(&asked.name, host));
            let new: Vec<_> = new.cloned().collect();
            if !new.is_empty() || !given {
                missing.credentials.insert(asked.name.clone(), new);
            }
        }
        missing
    }

    /// Whether `manifest` asks for nothing more.
    pub fn covers(&self, manifest: &Manifest) -> bool {
        self.missing(manifest).is_empty()
    }

    /// Whether `url` leads to a server of the operator's own that `manifest` may be told of.
    pub fn names(&self, manifest: &Manifest, url: &Url) -> bool {
        manifest.host_setting().is_some()
            && self.origins.contains(&url.origin().ascii_serialization())
    }

    /// Whether `url` leads to where a component with `manifest` may go.
    pub fn reaches(&self, manifest: &Manifest, url: &Url) -> bool {
        let is_listed = |host: &String| url.host_str() == Some(host);
        self.names(manifest, url)
            || url.scheme() == "https"
                && url.port().is_none()
                && manifest.allowed_hosts.iter().any(is_listed)
                && self.hosts.iter().any(is_listed)
    }

    /// The origins that a component with `manifest` may be told of.
    pub fn reachable(&self, manifest: &Manifest) -> Vec<String> {
        let listed = manifest.allowed_hosts.iter().filter(|host| self.hosts.contains(host));
        self.origins.iter().cloned().chain(listed.map(|host| format!("https://{host}"))).collect()
    }

    /// Whether a credential that is granted may be sent to an own server at `host`: only when the
    /// grant says so, for no manifest can.
    pub fn binds_named(&self, credential: &str, host: &str) -> bool {
        let bound = self.credential_hosts.get(credential);
        bound.is_some_and(|hosts| hosts.iter().any(|granted| granted == host))
    }

    /// Whether a credential that is granted may be sent to `host`.
    pub fn binds(&self, credential: &str, host: &str) -> bool {
        match self.credential_hosts.get(credential) {
            Some(hosts) => hosts.iter().any(|granted| granted == host),
            // A host that is not granted yet has no credential yet.
            None => self.hosts.iter().any(|granted| granted == host),
        }
    }
}
