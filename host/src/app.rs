use crate::{
    Clock,
    config::Config,
    events::EventFeed,
    identity::Tokens,
    providers::{CredentialStore, Providers, Registry, egress::Egress},
    queue::Queue,
    redis::{RateLimits, Redis},
    store::Store,
    vault::Vault,
};
use aiv_runtime::{Compiler, Limits, Runtime, RuntimeConfig};
use anyhow::Context;
use secrecy::ExposeSecret;
use std::{sync::Arc, time::Duration};

/// Everything a handler or a job may use. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub store: Store,
    pub queue: Queue,
    /// Where listeners wait for events.
    pub events: EventFeed,
    pub providers: Providers,
    pub registry: Registry,
    pub runtime: Arc<Runtime>,
    pub redis: Option<Redis>,
    /// Seals secrets of workspaces.
    pub vault: Vault,
    /// The way to addresses that workspaces name.
    pub egress: Egress,
    /// How often callers of the API may call.
    pub request_rates: RateLimits,
    /// Whose tokens are believed.
    pub tokens: Tokens,
    /// What workspaces prove themselves to vendors with.
    pub credentials: CredentialStore,
}

impl App {
    /// Connects to the database, installs what lies in the plugin folder and loads what is in
    /// service.
    ///
    /// Fails when the schema is not current and may not be brought up to date here.
    pub async fn open(config: Config, clock: Clock, runtime: Arc<Runtime>) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        // A weak secret ends the start before anything is opened.
        let tokens = Tokens::new(&config.auth, &clock)?;
        let vault = Vault::open(&config.auth, &config.database)?;
        let store = open_store(&config).await?;
        let credentials = CredentialStore::new(store.clone(), vault.clone());
        let providers = Providers::new(Arc::clone(&config), clock.clone())?;
        let registry = Registry::new(
            store.clone(),
            Arc::clone(&runtime),
            providers.clone(),
            clock.clone(),
            &config.providers,
        );
        registry.install_folder().await?;
        // What does not load was told; the rest serves.
        if let Err(err) = registry.refresh().await {
            tracing::error!("not every component is in service: {err:#}");
        }
        let queue = Queue::new(config.workers.auto_throttle_enabled);
        let redis = config.redis.url.as_ref().map(Redis::open).transpose().context("REDIS_URL")?;
        let request_rates = RateLimits::new(redis.clone());
        let events = EventFeed::new(store.clone());
        let egress = Egress::guarded()?;
        Ok(App {
            config,
            clock,
            store,
            queue,
            events,
            providers,
            registry,
            runtime,
            redis,
            vault,
            egress,
            request_rates,
            tokens,
            credentials,
        })
    }
}

/// Connects to the database and makes sure that its schema is current.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = config.database.url.expose_secret();
    let store = Store::connect(url, config.database.max_connections)
        .await
        .context("cannot open the database: check DATABASE_URL")?;
    let status = store.migration_status().await.context("cannot read the schema's version")?;
    anyhow::ensure!(status.can_migrate(), "{}", status.advice());
    if !status.is_current() {
        let embedded = matches!(store, Store::Sqlite { .. });
        if !config.database.auto_migrate.unwrap_or(embedded) {
            anyhow::bail!("{}, or set AUTO_MIGRATE=true", status.advice());
        }
        store.migrate().await.context("cannot bring the schema up to date")?;
    }
    store.check_tenancy().await.context("row-level security")?;
    Ok(store)
}

/// A runtime that compiles components in a child of this very program.
pub fn runtime(config: &Config) -> anyhow::Result<Arc<Runtime>> {
    let providers = &config.providers;
    let program = std::env::current_exe().context("find this program's own file")?;
    let settings = RuntimeConfig {
        compiler: Compiler::child(program, ["plugin", "compile"]),
        limits: Limits {
            memory_bytes: providers.memory_mib << 20,
            cpu: Duration::from_millis(providers.cpu_ms),
            ..Limits::default()
        },
        ..RuntimeConfig::new(&providers.cache_dir)
    };
    Ok(Arc::new(Runtime::new(settings)?))
}
