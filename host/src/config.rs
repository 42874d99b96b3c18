//! Every setting: its environment name, default and meaning.
//!
//! Settings come from the environment first, then from the file that `AIV_CONFIG` names (TOML),
//! then from the defaults below. They are read once, at start, and passed down.
//!
//! **Invariant:** nothing else reads the environment.

use anyhow::Context;
use confique::Config as _;
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use url::{Host, Url};

/// Where the data lives when nobody said otherwise; the default of `DATABASE_URL` below.
const DEFAULT_DATABASE: &str = "sqlite:data/aiv.db";

/// All settings of one process.
#[derive(Debug, Clone, confique::Config)]
pub struct Config {
    #[config(nested)]
    pub server: Server,
    #[config(nested)]
    pub auth: Auth,
    #[config(nested)]
    pub database: Database,
    #[config(nested)]
    pub redis: Redis,
    #[config(nested)]
    pub workers: Workers,
    #[config(nested)]
    pub budgets: Budgets,
    #[config(nested)]
    pub providers: Providers,
    #[config(nested)]
    pub telemetry: Telemetry,
}

/// Where the API listens.
#[derive(Debug, Clone, confique::Config)]
pub struct Server {
    /// Port of the API, the docs and the dashboard.
    #[config(env = "PORT", default = 3000)]
    pub port: u16,

    /// Address to listen on. `0.0.0.0` serves every interface.
    #[config(env = "BIND_ADDRESS", default = "127.0.0.1")]
    pub bind_address: std::net::IpAddr,

    /// Largest request body in bytes.
    #[config(env = "MAX_BODY_BYTES", default = 1_048_576)]
    pub max_body_bytes: usize,

    /// Connections served at once; more wait.
    #[config(env = "MAX_CONNECTIONS", default = 4096)]
    pub max_connections: usize,

    /// Requests per minute that one API key may make in the long run. Callers without a key share
    /// one allowance per address.
    #[config(env = "RATE_LIMIT_REQUESTS_PER_MINUTE", default = 600)]
    pub rate_limit_requests_per_minute: std::num::NonZeroU32,

    /// Requests that one API key may make at once before the rate applies.
    #[config(env = "RATE_LIMIT_BURST", default = 200)]
    pub rate_limit_burst: std::num::NonZeroU32,

    /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks (`10.0.0.0/8`)
    /// separated by commas. Nobody else's is.
    #[config(env = "TRUSTED_PROXIES", default = [], parse_env = list)]
    pub trusted_proxies: Vec<String>,

    /// Web pages that may speak to the API from a browser: origins such as `https://app.acme.com`,
    /// separated by commas, or `*`. None may by default.
    #[config(env = "CORS_ALLOWED_ORIGINS", default = [], parse_env = list)]
    pub cors_allowed_origins: Vec<String>,

    /// Let those pages send what the browser keeps for this host. The API needs none of it; with
    /// `CORS_ALLOWED_ORIGINS=*` it is refused.
    #[config(env = "CORS_ALLOW_CREDENTIALS", default = false)]
    pub cors_allow_credentials: bool,

    /// Tell browsers for so many seconds to come by TLS only (`Strict-Transport-Security`). Set it
    /// where a proxy in front of the host speaks TLS; 0 says nothing.
    #[config(env = "HSTS_SECONDS", default = 0)]
    pub hsts_seconds: u32,

    /// How long a stopping process reports itself as not ready before it stops accepting, so that
    /// load balancers can take it out first.
    #[config(env = "SHUTDOWN_DELAY_SECONDS", default = 0)]
    pub shutdown_delay_seconds: u64,

    /// Token that `/metrics` wants as a bearer; without one, only loopback may read it.
    #[config(env = "METRICS_TOKEN")]
    pub metrics_token: Option<SecretString>,
}

/// Who may call, besides those with API keys.
#[derive(Debug, Clone, confique::Config)]
pub struct Auth {
    /// Secret of tokens (JWT, HS256) that this installation accepts and `aiv token` makes: 32 bytes
    /// or more. Without it there are no such tokens.
    #[config(env = "JWT_SECRET")]
    pub jwt_secret: Option<SecretString>,

    /// Secrets that were `JWT_SECRET` before, separated by commas: their tokens are accepted until
    /// they expire.
    #[config(env = "JWT_SECRET_PREVIOUS")]
    pub jwt_secret_previous: Option<SecretString>,

    /// What `iss` says in tokens made with `JWT_SECRET`.
    #[config(env = "JWT_ISSUER", default = "aiv")]
    pub jwt_issuer: String,

    /// What `aud` names in tokens made with `JWT_SECRET`.
    #[config(env = "JWT_AUDIENCE", default = "aiv")]
    pub jwt_audience: String,

    /// Where an identity provider publishes its keys (`https://…`). With it, its tokens are
    /// accepted, and the three settings that follow are needed.
    #[config(env = "JWKS_URL")]
    pub jwks_url: Option<Url>,

    /// What `iss` says in the identity provider's tokens.
    #[config(env = "JWKS_ISSUER")]
    pub jwks_issuer: Option<String>,

    /// What `aud` names in the identity provider's tokens.
    #[config(env = "JWKS_AUDIENCE")]
    pub jwks_audience: Option<String>,

    /// How the identity provider signs: `RS256`, `ES256` or `EdDSA`. What a token says of itself
    /// does not count.
    #[config(env = "JWKS_ALGORITHM")]
    pub jwks_algorithm: Option<String>,

    /// Keys that seal the credentials and secrets of workspaces: `<id>:<32 bytes in base64>`,
    /// separated by commas. The first one seals, all of them open; `aiv key rotate` seals anew
    /// with the first. Without one, SQLite makes `master.key` beside the database; on Postgres
    /// workspaces can store no credentials and have no webhooks.
    #[config(env = "AIV_MASTER_KEYS")]
    pub master_keys: Option<SecretString>,

    /// Credentials per minute that an address may get wrong before it is told to wait.
    #[config(env = "AUTH_FAILURES_PER_MINUTE", default = 60)]
    pub failures_per_minute: std::num::NonZeroU32,
}

/// Where the data lives.
#[derive(Debug, Clone, confique::Config)]
pub struct Database {
    /// `sqlite:…` or `postgres://…`.
    #[config(env = "DATABASE_URL", default = "sqlite:data/aiv.db")]
    pub url: SecretString,

    /// Connections in the pool.
    #[config(env = "DATABASE_MAX_CONNECTIONS", default = 20)]
    pub max_connections: u32,

    /// Bring the schema up to date at start. Without it `aiv serve` refuses an old schema.
    /// The default is to do so on SQLite and not on Postgres.
    #[config(env = "AUTO_MIGRATE")]
    pub auto_migrate: Option<bool>,
}

/// What processes share beside the database. All of it may be lost at any moment: the database is
/// the truth.
#[derive(Debug, Clone, confique::Config)]
pub struct Redis {
    /// `redis://…` or `rediss://…`. With it, jobs are handed out through BullMQ queues, rate limits
    /// hold across processes, and caches are shared. Without it the database hands out jobs.
    #[config(env = "REDIS_URL")]
    pub url: Option<SecretString>,

    /// A Redis for caches only, which may evict; `REDIS_URL` when absent.
    #[config(env = "CACHE_REDIS_URL")]
    pub cache_url: Option<SecretString>,

    /// Prefix of the BullMQ queues' keys.
    #[config(env = "BULL_PREFIX", default = "bull")]
    pub bull_prefix: String,

    /// Jobs of one queue that wait in Redis at once; the others wait in the database.
    #[config(env = "REDIS_WINDOW", default = 5000)]
    pub window: usize,
}

/// How work is done in the background.
#[derive(Debug, Clone, confique::Config)]
pub struct Workers {
    /// Runs in flight at once in this process.
    #[config(env = "WORKER_CONCURRENCY", default = 256)]
    pub concurrency: usize,

    /// Runs in flight at once in this process, when it should differ from `WORKER_CONCURRENCY`.
    #[config(env = "WORKER_CONCURRENCY_RUN_PROMPT")]
    pub run_prompt: Option<usize>,

    /// Batches expanded at once in this process.
    #[config(env = "WORKER_CONCURRENCY_RUN_BATCH", default = 4)]
    pub run_batch: usize,

    /// Reports made at once in this process.
    #[config(env = "WORKER_CONCURRENCY_BUILD_REPORT", default = 2)]
    pub build_report: usize,

    /// Deliveries to webhooks at once in this process.
    #[config(env = "WORKER_CONCURRENCY_DELIVER_WEBHOOK", default = 16)]
    pub deliver_webhook: usize,

    /// Days counted again at once in this process.
    #[config(env = "WORKER_CONCURRENCY_DAILY_AGGREGATIONS", default = 2)]
    pub daily_aggregations: usize,

    /// Analyses of stored answers at once in this process.
    #[config(env = "WORKER_CONCURRENCY_REANALYSE_ANSWERS", default = 1)]
    pub reanalyse: usize,

    /// Lower the rate of a lane while its vendor refuses calls, and raise it again afterwards.
    #[config(env = "AUTO_THROTTLE_ENABLED", default = true)]
    pub auto_throttle_enabled: bool,

    /// How long a worker's claim holds when it is not renewed, which happens three times in this
    /// time. A worker that dies is noticed this much later; shorter leases cost writes, and take
    /// jobs away from a worker that merely stood still.
    #[config(env = "WORKER_LEASE_SECONDS", default = 30)]
    pub lease_seconds: std::num::NonZeroU16,

    /// Days that it is remembered what became of each slot of a schedule.
    #[config(env = "SCHEDULE_FIRES_DAYS", default = 90)]
    pub schedule_fires_days: std::num::NonZeroU16,

    /// How long a stopping process waits for the runs in flight before it hands them back.
    #[config(env = "DRAIN_TIMEOUT_SECONDS", default = 25)]
    pub drain_timeout_seconds: u64,
}

/// What asking may cost.
#[derive(Debug, Clone, confique::Config)]
pub struct Budgets {
    /// Share of a budget from which on only interactive runs are made, from 0 to 1.
    #[config(env = "AUTO_THROTTLE_THRESHOLD", default = 0.8)]
    pub throttle_threshold: f64,

    /// Most that all workspaces together may spend in a day (UTC), in millionths of a US dollar.
    /// Unlimited when absent; operators can change it while the platform runs.
    #[config(env = "PLATFORM_DAILY_BUDGET_MICROS")]
    pub platform_daily_micros: Option<i64>,
}

/// Which components answer, and with which credentials.
#[derive(Debug, Clone, confique::Config)]
pub struct Providers {
    /// Folder of components that are installed at start.
    #[config(env = "PLUGIN_DIR", default = "plugins/dist")]
    pub plugin_dir: PathBuf,

    /// Watch that folder: a component that appears or changes is checked and put in service, and
    /// one that disappears gives way to the one before. For development.
    #[config(env = "PLUGIN_WATCH", default = false)]
    pub watch: bool,

    /// Which components may be installed: `any`, `signed` (by some Ed25519 key) or `trusted` (by
    /// a key that an operator added).
    #[config(env = "PLUGIN_SIGNATURES", default = "any")]
    pub signatures: SignaturePolicy,

    /// Runs in a row that a component may fail by its own fault, over all processes, before it is
    /// taken out of service.
    #[config(env = "PLUGIN_QUARANTINE_AFTER", default = 5)]
    pub quarantine_after: std::num::NonZeroU16,

    /// Calls of a canary before its failure rate is held against the main component's.
    #[config(env = "PLUGIN_CANARY_CALLS", default = 20)]
    pub canary_calls: std::num::NonZeroU16,

    /// By how much a canary may fail more often than the main component, from 0 to 1, beyond what
    /// chance explains, before it is taken out of service.
    #[config(env = "PLUGIN_CANARY_MARGIN", default = 0.05)]
    pub canary_margin: f64,

    /// Folder of compiled components. Safe to delete; not safe to share with strangers.
    #[config(env = "PLUGIN_CACHE_DIR", default = "data/plugin-cache")]
    pub cache_dir: PathBuf,

    /// `live` asks the vendors; `replay` answers from built-in recordings and `mock` asks a server
    /// on this machine that plays the vendors, both marked synthetic.
    #[config(env = "PROVIDER_MODE", default = "live")]
    pub mode: ProviderMode,

    /// Where the vendors are played in mode `mock`, such as `http://127.0.0.1:4010`. It must be on
    /// this machine.
    #[config(env = "PROVIDER_MOCK_URL")]
    pub mock_url: Option<String>,

    /// Memory a component may use in one step, in MiB.
    #[config(env = "PLUGIN_MEMORY_MIB", default = 64)]
    pub memory_mib: usize,

    /// CPU time a component may use in one step, in milliseconds.
    #[config(env = "PLUGIN_CPU_MS", default = 200)]
    pub cpu_ms: u64,

    /// Attempts of one run before it fails for good.
    #[config(env = "RUN_MAX_ATTEMPTS", default = 4)]
    pub max_attempts: u16,

    /// Credentials by environment name, filled by [`Config::load`] from the names that the
    /// installed components ask for.
    #[config(default = {})]
    pub credentials: HashMap<String, String>,
}

/// Whose components may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignaturePolicy {
    /// Everybody's. A signature that is there has to be right all the same.
    Any,
    /// Those that are signed, by whichever key.
    Signed,
    /// Those that are signed by a key that an operator added.
    Trusted,
}

/// Where answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderMode {
    /// The vendors themselves.
    Live,
    /// Built-in recordings behind the same components; every result is synthetic.
    Replay,
    /// A server on this machine that plays the vendors; every result is synthetic.
    Mock,
}

impl ProviderMode {
    /// Whether answers are made up, so that they stay out of live metrics and need no credential.
    pub fn is_synthetic(self) -> bool {
        match self {
            ProviderMode::Live => false,
            ProviderMode::Replay | ProviderMode::Mock => true,
        }
    }
}

impl Providers {
    /// Where the vendors are played. Anything but a plain address of this machine is refused: a
    /// request with prompts in it must not leave by a slip of the configuration.
    pub fn mock_address(&self) -> anyhow::Result<SocketAddr> {
        let text = self
            .mock_url
            .as_deref()
            .context("PROVIDER_MODE=mock needs PROVIDER_MOCK_URL, such as http://127.0.0.1:4010")?;
        let refuse = |why: &str| anyhow::anyhow!("PROVIDER_MOCK_URL is {text:?}: {why}");
        let url = Url::parse(text).map_err(|err| refuse(&err.to_string()))?;
        if url.scheme() != "http" {
            return Err(refuse("it must begin with http://"));
        }
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => return Err(refuse("use an address such as 127.0.0.1")),
        };
        if !ip.is_loopback() {
            return Err(refuse("it must be on this machine, such as 127.0.0.1"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(refuse("only an address and a port, please"));
        }
        Ok(SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80)))
    }
}

/// What the process says about itself.
#[derive(Debug, Clone, confique::Config)]
pub struct Telemetry {
    /// Filter in `tracing` syntax, such as `info,aiv=debug`.
    #[config(env = "RUST_LOG", default = "info")]
    pub log: String,

    /// `text` or `json`. The default is text on a terminal and JSON elsewhere.
    #[config(env = "LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Shape of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Workers {
    /// Runs in flight at once in this process.
    pub fn runs_at_once(&self) -> usize {
        self.run_prompt.unwrap_or(self.concurrency).max(1)
    }
}

impl Config {
    /// Reads the environment and the file that `AIV_CONFIG` names.
    pub fn load() -> anyhow::Result<Self> {
        let mut builder = Self::builder().env();
        if let Some(file) = environment("AIV_CONFIG") {
            builder = builder.file(file);
        }
        let config = builder.load()?;
        if config.providers.mode == ProviderMode::Mock {
            config.providers.mock_address()?;
        }
        Ok(config)
    }

    /// The settings of a process that was told nothing.
    pub fn defaults() -> anyhow::Result<Self> {
        Ok(Self::builder().load()?)
    }

    /// A documented configuration file with every default.
    pub fn template() -> String {
        confique::toml::template::<Self>(confique::toml::FormatOptions::default())
    }

    /// Nobody said where the data should live.
    pub fn uses_default_database(&self) -> bool {
        self.database.url.expose_secret() == DEFAULT_DATABASE
    }

    pub fn listen_on(&self) -> SocketAddr {
        SocketAddr::new(self.server.bind_address, self.server.port)
    }

    /// The credential in environment variable `name` (or in the file `{name}_FILE` names).
    pub fn credential(&self, name: &str) -> Option<SecretString> {
        if let Some(value) = self.providers.credentials.get(name) {
            return Some(value.clone().into());
        }
        environment(name)
            .or_else(|| {
                let file = environment(&format!("{name}_FILE"))?;
                std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
            })
            .filter(|value| !value.is_empty())
            .map(Into::into)
    }
}

/// Values separated by commas; empty ones are none.
#[expect(clippy::unnecessary_wraps, reason = "what reads a setting may fail")]
fn list(text: &str) -> Result<Vec<String>, std::convert::Infallible> {
    let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
    Ok(values.map(str::to_owned).collect())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
