//! Manifests, with the parts that most plugins have in common.

use crate::{ContextSupport, CredentialRequest, Manifest, Surface};

/// Key in a manifest's `extra` that names the environment variable of a credential, as
/// `<credential>=<VARIABLE>`.
const ENV: &str = "env";
/// Key that names what costs a hundred times the usual: `<surface>`, or `<surface>:<model>`.
const RESEARCH: &str = "research";

impl Manifest {
    /// A manifest with a key, a name and the plugin's own version; nothing is asked for yet.
    pub fn new(key: &str, display_name: &str, version: &str) -> Self {
        Self {
            key: key.to_owned(),
            display_name: display_name.to_owned(),
            version: version.to_owned(),
            description: String::new(),
            homepage: None,
            allowed_hosts: Vec::new(),
            credentials: Vec::new(),
            config_schema: r#"{"type":"object"}"#.to_owned(),
            surfaces: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// Says what the plugin does, in a sentence.
    #[must_use]
    pub fn description(mut self, text: &str, homepage: &str) -> Self {
        text.clone_into(&mut self.description);
        self.homepage = Some(homepage.to_owned());
        self
    }

    /// Asks to connect to a host, and for a credential that is sent nowhere else. `variable` is
    /// the environment variable in which an operator usually keeps it.
    #[must_use]
    pub fn host(mut self, host: &str, credential: &str, variable: &str, description: &str) -> Self {
        self.allowed_hosts.push(host.to_owned());
        self.credentials.push(CredentialRequest {
            name: credential.to_owned(),
            description: description.to_owned(),
            hosts: vec![host.to_owned()],
        });
        self.extra.push((ENV.to_owned(), format!("{credential}={variable}")));
        self
    }

    /// The JSON Schema of the configuration.
    #[must_use]
    pub fn config_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.config_schema);
        self
    }

    /// Says that a question on this surface, or to `<surface>:<model>`, costs a hundred times the
    /// usual. An engine asks there only when its owner allows it and sets a daily budget.
    #[must_use]
    pub fn research(mut self, what: &str) -> Self {
        self.extra.push((RESEARCH.to_owned(), what.to_owned()));
        self
    }

    /// Adds a surface. The first one is what a plugin does when none is named.
    #[must_use]
    pub fn surface(mut self, surface: Surface) -> Self {
        self.surfaces.push(surface);
        self
    }
}

impl Surface {
    /// A surface with one fetch per query, one request per second and a minute's deadline.
    pub fn new(id: &str, display_name: &str) -> Self {
        Self {
            id: id.to_owned(),
            display_name: display_name.to_owned(),
            models: Vec::new(),
            default_model: None,
            context: ContextSupport { language: false, country: false, city: false, device: false },
            listed_is_visible: false,
            typical_cost_micro_usd: 0,
            max_fetches: 1,
            requests_per_second: 1.0,
            burst: 1,
            deadline_ms: 60_000,
        }
    }
}
