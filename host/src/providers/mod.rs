//! The engines in service: components, what they may do, and the calls to them.
//!
//! A call goes `start → (fetch → resume)* → done`, driven by [`call`]. Every fetch is checked and
//! given its credentials by [`request`], carried by a [`transport`] (the vendors behind
//! [`egress`], or [`replay`]), and comes back redacted. [`retry`] says what follows a failure.
//!
//! **Invariant:** HTTP goes out only through [`egress`]; nothing else in the host makes a client.
//!
//! **Invariant:** a call keeps the [`Route`] it began with; swapping the catalogue never touches it.

pub mod addresses;
pub mod api_client;
pub mod call;
pub mod cases;
pub mod catalogue;
pub mod credentials;
pub mod egress;
pub mod exchange;
pub mod failure;
pub mod grant;
pub mod health;
mod own;
pub mod redact;
pub mod registry;
pub mod replay;
pub mod request;
pub mod retry;
pub mod signature;
pub mod transport;

pub use self::{
    call::{Begin, CallEnd, CallReport, CallRequest, Checkpoint},
    catalogue::Catalogue,
    credentials::CredentialSource,
    exchange::{Exchange, ExchangeResult},
    failure::{CallFailure, FailureClass},
    grant::Grant,
    health::Health,
    own::{CredentialStore, OwnCredentials},
    registry::Registry,
    transport::Transport,
};

use self::{
    credentials::{EnvironmentCredentials, FixedCredential, KeptSecrets, Secrets},
    egress::Egress,
    replay::ReplayTransport,
    transport::{LiveTransport, MockTransport},
};
use crate::{
    Clock,
    config::{Config, ProviderMode},
    ids::{RunId, WorkspaceId},
    store::engines::Engine,
};
use aiv_runtime::{
    Digest, Limits, Plugin,
    types::{Manifest, Surface},
};
use arc_swap::ArcSwap;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The engines in service. Cheap to clone; all clones see the same catalogue.
#[derive(Clone)]
pub struct Providers(Arc<Inner>);

struct Inner {
    catalogue: ArcSwap<Catalogue>,
    transport: Arc<dyn Transport>,
    credentials: Arc<dyn CredentialSource>,
    secrets: KeptSecrets,
    clock: Clock,
}

/// One engine: the component that speaks for it and what the operator lets it do.
pub struct Route {
    /// Runs within the limits of `grant`.
    pub plugin: Arc<Plugin>,
    pub digest: Digest,
    pub manifest: Manifest,
    pub grant: Grant,
}

impl Route {
    pub fn new(plugin: &Plugin, grant: Grant) -> Self {
        let limits = Limits {
            memory_bytes: usize::try_from(grant.memory_bytes)
                .unwrap_or(Limits::MAX_MEMORY)
                .min(Limits::MAX_MEMORY),
            cpu: Duration::from_millis(grant.cpu_ms.into()),
            ..*plugin.limits()
        };
        Self {
            digest: plugin.digest(),
            manifest: plugin.manifest().clone(),
            plugin: Arc::new(plugin.with_limits(limits)),
            grant,
        }
    }

    pub fn key(&self) -> &str {
        &self.manifest.key
    }

    pub fn surface(&self, id: &str) -> Option<&Surface> {
        self.manifest.surfaces.iter().find(|surface| surface.id == id)
    }

    /// Whether a question is research, to the model of the engine or of its setting `model`.
    pub fn researches(&self, surface: &str, model: Option<&str>, config: &Value) -> bool {
        self.manifest.researches(surface, model.or_else(|| config["model"].as_str()))
    }

    /// Why an engine may not be asked with these settings: research costs a hundred times the
    /// usual, so somebody has to allow it and say how much it may cost in a day.
    pub fn refuses_research(&self, engine: &Engine) -> Option<String> {
        let Engine { key, surface, model, config, allow_research, daily_budget_micros, .. } =
            engine;
        if !self.researches(surface, model.as_deref(), config) {
            return None;
        }
        match (allow_research, daily_budget_micros) {
            (false, _) => Some(format!("engine {key} is for research: set its allow_research")),
            (true, None) => {
                Some(format!("engine {key} is for research: set its daily_budget_micros"))
            }
            (true, Some(_)) => None,
        }
    }

    /// The surface that a run uses when nobody chose one.
    pub fn default_surface(&self) -> Option<&Surface> {
        self.manifest.surfaces.first()
    }
}

impl Providers {
    /// An empty catalogue in front of the vendors, or of whatever stands in for them.
    pub fn new(config: Arc<Config>, clock: Clock) -> anyhow::Result<Self> {
        Ok(match config.providers.mode {
            ProviderMode::Live => Self::with(
                Arc::new(LiveTransport::new(Egress::guarded()?)),
                Arc::new(EnvironmentCredentials::new(config)),
                clock,
            ),
            ProviderMode::Replay => Self::with(
                Arc::new(ReplayTransport),
                Arc::new(FixedCredential::new("replay needs no credential")),
                clock,
            ),
            ProviderMode::Mock => Self::with(
                Arc::new(MockTransport::new(Egress::mocked(config.providers.mock_address()?)?)),
                Arc::new(FixedCredential::new("a mock needs no credential")),
                clock,
            ),
        })
    }

    pub fn with(
        transport: Arc<dyn Transport>,
        credentials: Arc<dyn CredentialSource>,
        clock: Clock,
    ) -> Self {
        let catalogue = ArcSwap::from_pointee(Catalogue::default());
        let secrets = KeptSecrets::default();
        Self(Arc::new(Inner { catalogue, transport, credentials, secrets, clock }))
    }

    /// The component that a provider has in service for everybody.
    pub fn find(&self, key: &str) -> Option<Arc<Route>> {
        self.0.catalogue.load().service(key)?.main().cloned()
    }

    /// The component that serves a workspace: the one pinned for it, or everybody's.
    pub fn find_for(&self, key: &str, workspace: WorkspaceId) -> Option<Arc<Route>> {
        self.0.catalogue.load().service(key)?.of_workspace(workspace).cloned()
    }

    /// The component for a run. It stays the same as long as nothing is put in service.
    pub fn choose(&self, key: &str, workspace: WorkspaceId, run: RunId) -> Option<Arc<Route>> {
        self.0.catalogue.load().service(key)?.choose(workspace, run).cloned()
    }

    /// Whether a component is tried on a share of the runs.
    pub fn is_canary(&self, key: &str, digest: Digest) -> bool {
        self.0.catalogue.load().service(key).is_some_and(|service| service.is_canary(digest))
    }

    /// The route in service whose component has this digest.
    pub fn find_digest(&self, digest: Digest) -> Option<Arc<Route>> {
        self.0.catalogue.load().routes().find(|route| route.digest == digest).cloned()
    }

    /// What everybody gets, by key.
    pub fn list(&self) -> Vec<Arc<Route>> {
        self.0.catalogue.load().main().cloned().collect()
    }

    /// Puts one component each into service, for everybody.
    pub fn replace(&self, routes: impl IntoIterator<Item = Route>) {
        self.put_in_service(Catalogue::of(routes));
    }

    /// Puts another catalogue into service. Calls on their way end with the routes they have.
    pub fn put_in_service(&self, catalogue: Catalogue) {
        self.0.catalogue.store(Arc::new(catalogue));
    }

    /// What is in service at this moment.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.0.catalogue.load_full()
    }

    /// Whether answers are made up and must stay out of live metrics.
    pub fn is_synthetic(&self) -> bool {
        self.0.transport.is_synthetic()
    }

    /// The environment variables that `route` waits for.
    pub fn missing_credentials(&self, route: &Route) -> Vec<String> {
        let secrets = self.secrets(route, &OwnCredentials::default());
        credentials::granted(&route.manifest, &route.grant)
            .filter(|name| secrets.find(name).is_none())
            .map(|name| credentials::variable(&route.manifest, name))
            .collect()
    }

    /// The credentials that `route` wants and may have, and whether the installation has them.
    pub fn wanted_credentials(&self, route: &Route) -> Vec<(String, bool)> {
        let secrets = self.secrets(route, &OwnCredentials::default());
        credentials::granted(&route.manifest, &route.grant)
            .map(|name| (name.to_owned(), secrets.find(name).is_some()))
            .collect()
    }

    fn secrets(&self, route: &Route, own: &OwnCredentials) -> Arc<Secrets> {
        let source = self.0.credentials.as_ref();
        self.0.secrets.load(source, &route.manifest, &route.grant, own)
    }

    fn transport(&self) -> &dyn Transport {
        self.0.transport.as_ref()
    }

    fn now_unix(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of our time fit 53 bits")]
        let micros = self.0.clock.now().timestamp_micros() as f64;
        micros / 1e6
    }
}
