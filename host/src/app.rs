use crate::{
    Clock,
    config::Config,
    providers::{Providers, Registry},
    queue::Queue,
    redis::{RateLimits, Redis},
    store::Store,
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
    pub providers: Providers,
    pub registry: Registry,
    pub runtime: Arc<Runtime>,
    pub redis: Option<Redis>,
    /// How often callers of the API may call.
    pub request_rates: RateLimits,
}

impl App {
    /// Connects to the database, installs what lies in the plugin folder and loads what is in
    /// service.
    ///
    /// Fails when the schema is not current and may not be brought up to date here.
    pub async fn open(config: Config, clock: Clock, runtime: Arc<Runtime>) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        let store = open_store(&config).await?;
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
        Ok(App { config, clock, store, queue, providers, registry, runtime, redis, request_rates })
    }
}

/// Connects to the database and makes sure that its schema is current.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = config.database.url.expose_secret();
    let store = Store::connect(url, config.database.max_connections)
        .await
        .context("cannot open the database: check DATABASE_URL")?;
    let status = store.migration_status().await.context("cannot read the schema's version")?;
    if status.applied > status.known {
        anyhow::bail!(
            "the database is at version {} and this binary knows {}: run a newer one",
            status.applied,
            status.known
        );
    }
    if !status.is_current() {
        let embedded = matches!(store, Store::Sqlite { .. });
        if !config.database.auto_migrate.unwrap_or(embedded) {
            anyhow::bail!(
                "the database is at version {} of {}: run `aiv migrate`, or set AUTO_MIGRATE=true",
                status.applied,
                status.known
            );
        }
        store.migrate().await.context("cannot bring the schema up to date")?;
    }
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
