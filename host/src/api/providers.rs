use super::{Caller, Problem, Tag};
use crate::{
    App,
    providers::{Route, credentials},
};
use aiv_runtime::types;
use poem_openapi::{Object, OpenApi, payload::Json, types::Any};

/// An answer engine that this host can ask, by a component that speaks for it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Provider {
    /// Names it everywhere, such as `perplexity`.
    key: String,
    name: String,
    description: String,
    homepage: Option<String>,
    /// Version of the component.
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// Version of the interface that it was built for.
    wit_version: String,
    /// Hosts that the operator lets it talk to.
    hosts: Vec<String>,
    credentials: Vec<Credential>,
    surfaces: Vec<Surface>,
    /// JSON Schema of an engine's `config`.
    config_schema: Any<serde_json::Value>,
    /// Its answers are recordings: they are kept out of live numbers.
    synthetic: bool,
}

/// A secret that a provider needs. Its value is never shown, and the component never sees it.
#[derive(Object)]
struct Credential {
    name: String,
    description: String,
    /// Environment variable to put it into.
    variable: String,
    /// Whether it is there.
    present: bool,
}

/// One way of asking a provider.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Surface {
    id: String,
    name: String,
    /// Models that can be chosen; none where there is no choice.
    models: Vec<String>,
    default_model: Option<String>,
    /// What of a prompt's setting it acts on.
    context: SurfaceContext,
    /// A reader sees the whole list of sources, and not only what is cited in the text.
    listed_is_visible: bool,
    /// What one question costs as a rule, in millionths of a US dollar.
    typical_cost_micros: u32,
    /// Requests per second that the vendor allows by default.
    requests_per_second: f64,
    /// Milliseconds after which a question is given up.
    deadline_ms: u32,
}

/// Which parts of a prompt's setting a surface acts on.
#[derive(Object)]
#[expect(clippy::struct_excessive_bools, reason = "four facts about one surface")]
struct SurfaceContext {
    language: bool,
    country: bool,
    location: bool,
    device: bool,
}

/// Every installed provider.
#[derive(Object)]
struct ProviderList {
    data: Vec<Provider>,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Engines")]
impl Api {
    /// List the providers
    ///
    /// What is installed and what each needs. A workspace uses a provider by configuring an
    /// engine of the same key.
    #[oai(path = "/providers", method = "get", operation_id = "list_providers")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn list(&self, _caller: Caller) -> Result<Json<ProviderList>, Problem> {
        let routes = self.0.providers.list();
        Ok(Json(ProviderList { data: routes.iter().map(|route| self.describe(route)).collect() }))
    }
}

impl Api {
    fn describe(&self, route: &Route) -> Provider {
        let missing = self.0.providers.missing_credentials(route);
        let types::Manifest {
            key,
            display_name,
            version,
            description,
            homepage,
            allowed_hosts: _,
            credentials,
            config_schema,
            surfaces,
            extra: _,
        } = route.manifest.clone();
        Provider {
            key,
            name: display_name,
            description,
            homepage,
            version,
            digest: route.digest.to_string(),
            wit_version: route.plugin.wit_version(),
            hosts: route.grant.hosts.clone(),
            credentials: credentials
                .into_iter()
                .map(|types::CredentialRequest { name, description, hosts: _ }| {
                    let variable = credentials::variable(&route.manifest, &name);
                    let granted = route.grant.credentials.contains(&name);
                    let present = granted && !missing.contains(&variable);
                    Credential { name, description, variable, present }
                })
                .collect(),
            surfaces: surfaces.into_iter().map(Into::into).collect(),
            config_schema: Any(serde_json::from_str(&config_schema).unwrap_or_default()),
            synthetic: self.0.providers.is_synthetic(),
        }
    }
}

impl From<types::Surface> for Surface {
    fn from(surface: types::Surface) -> Self {
        let types::Surface {
            id,
            display_name,
            models,
            default_model,
            context,
            listed_is_visible,
            typical_cost_micro_usd,
            max_fetches: _,
            requests_per_second,
            burst: _,
            deadline_ms,
        } = surface;
        let types::ContextSupport { language, country, city, device } = context;
        Surface {
            id,
            name: display_name,
            models,
            default_model,
            context: SurfaceContext { language, country, location: city, device },
            listed_is_visible,
            typical_cost_micros: typical_cost_micro_usd,
            requests_per_second,
            deadline_ms,
        }
    }
}
