use super::{
    Caller, Operator, Problem, Tag,
    figures::{Sample, Totals},
    types::{Nullable, Timestamp},
};
use crate::{
    Result,
    jobs::{self, operate},
    providers::Route,
    queue::rate::{self, Rate},
    store::lanes::{FULL, LaneControl},
    telemetry::memory,
};
use poem_openapi::{Object, OpenApi, payload::Json};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The installation at a glance.
#[derive(Object)]
struct SystemReport {
    system: System,
}

/// The process that answers, and what all processes share.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct System {
    /// Seconds that this process has run.
    uptime: u64,
    version: String,
    memory: Memory,
    database: Database,
    redis: RedisReport,
    /// By name of the queue.
    queues: HashMap<String, QueueReport>,
    /// By key of the provider.
    providers: HashMap<String, ProviderReport>,
    rate_limits: RateLimits,
    budgets: Budgets,
    /// Why something is `null`, by its path.
    unknown: HashMap<String, String>,
}

/// Memory of the process that answers.
#[derive(Object)]
struct Memory {
    /// For people; `null` where the system does not tell.
    used: Nullable<String>,
    total: Nullable<String>,
    used_bytes: Nullable<u64>,
    total_bytes: Nullable<u64>,
}

/// The database, as this process reaches it.
#[derive(Object)]
struct Database {
    /// `connected` or `disconnected`.
    status: String,
    engine: String,
    /// Open connections of this process.
    connections: u32,
    idle: u32,
    #[oai(rename = "maxConnections")]
    max_connections: u32,
    latency_ms: Nullable<f64>,
    /// Version of the schema.
    migration: Nullable<String>,
}

/// Redis, where it is used.
#[derive(Object)]
struct RedisReport {
    /// `configured` or `not_configured`; `/readyz` says whether it answers.
    status: String,
    latency_ms: Nullable<f64>,
    used_memory_bytes: Nullable<u64>,
}

/// What a queue holds and does.
#[derive(Object)]
struct QueueReport {
    waiting: i64,
    active: i64,
    delayed: i64,
    /// Within the last day.
    completed: i64,
    /// Given up: dead letters.
    failed: i64,
    /// The same number by its other name.
    dead: i64,
    paused: bool,
    oldest_waiting_s: i64,
    /// Processes that take jobs.
    workers: i64,
    completed_1h: i64,
    failed_1h: i64,
}

/// How a provider fares.
#[derive(Object)]
struct ProviderReport {
    /// `healthy`, `degraded` or `unhealthy` by the runs of the last hour; `disabled` without its
    /// credentials; `unknown` when nothing was asked.
    status: String,
    /// What may start at once, of the burst: `remaining/limit`.
    #[oai(rename = "rateLimit")]
    rate_limit: Nullable<String>,
    remaining: Nullable<u64>,
    limit: Nullable<u64>,
    /// When it may be asked again, or the burst is whole again.
    resets_at: Nullable<Timestamp>,
    /// `open` while the vendor wants to be left alone, `half_open` while its rate is lowered.
    circuit: String,
    plugin: PluginReport,
    /// Of the last runs of the hour, at most a thousand over all providers.
    success_rate_1h: Nullable<f64>,
    /// Of their last tries, milliseconds.
    p95_ms_1h: Nullable<i64>,
    spent_today_microusd: Nullable<i64>,
}

/// The component that speaks for a provider.
#[derive(Object)]
struct PluginReport {
    version: String,
    digest: String,
    wit: String,
}

/// What callers of this API may do.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct RateLimits {
    per_key: Allowance,
    /// Callers without a key.
    per_ip: Allowance,
    #[oai(rename = "rejected_1h")]
    rejected: Nullable<u64>,
}

/// So many requests in the window, and so many at once.
#[derive(Object)]
struct Allowance {
    limit: u32,
    window_s: u32,
    burst: u32,
}

/// What asking may cost.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Budgets {
    /// Of a workspace that sets none; `null` is unlimited.
    default_daily_microusd: Nullable<i64>,
    /// Of all workspaces together; `null` is unlimited.
    platform_daily_microusd: Nullable<i64>,
    auto_throttle: AutoThrottle,
    throttled_workspaces: Nullable<u64>,
}

/// When batches begin to give way to people.
#[derive(Object)]
struct AutoThrottle {
    enabled: bool,
    /// Share of a budget from which on only interactive runs are made.
    threshold: f64,
}

pub(in crate::api) struct Api {
    operator: Operator,
    started: Instant,
}

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Find the state of the system
    ///
    /// What is not known is `null`, with the reason under `unknown`.
    #[oai(path = "/admin/system", method = "get", operation_id = "find_system")]
    async fn find(&self, _caller: Caller) -> Result<Json<SystemReport>, Problem> {
        let app = &self.operator.app;
        let sample = self.operator.figures.read(app).await?;
        let mut unknown = Unknown::default();
        let memory = Memory {
            used: Nullable(memory::used().map(megabytes)),
            total: Nullable(memory::total().map(megabytes)),
            used_bytes: unknown.unless("memory.used", memory::used(), "this system does not tell"),
            total_bytes: Nullable(memory::total()),
        };
        let queues = operate::QUEUES
            .into_iter()
            .map(|name| (name.to_owned(), QueueReport::of(&sample, name)))
            .collect();
        let providers = app.providers.list();
        let providers = providers
            .iter()
            .map(|route| (route.key().to_owned(), self.provider(route, &sample, &mut unknown)))
            .collect();
        let (server, limits) = (&app.config.server, &app.config.budgets);
        let allowance = || Allowance {
            limit: server.rate_limit_requests_per_minute.get(),
            window_s: 60,
            burst: server.rate_limit_burst.get(),
        };
        let counted = "counted by `http_requests_total{status=\"429\"}` in /metrics";
        let rejected = unknown.unless("rateLimits.rejected_1h", None, counted);
        let throttled = "told per workspace";
        let system = System {
            uptime: self.started.elapsed().as_secs(),
            version: env!("CARGO_PKG_VERSION").into(),
            memory,
            database: self.database(&mut unknown).await,
            redis: self.redis(&mut unknown),
            queues,
            providers,
            rate_limits: RateLimits { per_key: allowance(), per_ip: allowance(), rejected },
            budgets: Budgets {
                default_daily_microusd: Nullable(None),
                platform_daily_microusd: Nullable(limits.platform_daily_micros),
                auto_throttle: AutoThrottle {
                    enabled: app.config.workers.auto_throttle_enabled,
                    threshold: limits.throttle_threshold,
                },
                throttled_workspaces: unknown.unless(
                    "budgets.throttledWorkspaces",
                    None,
                    throttled,
                ),
            },
            unknown: unknown.0,
        };
        Ok(Json(SystemReport { system }))
    }
}

impl Api {
    pub(super) fn new(operator: Operator) -> Self {
        Api { operator, started: Instant::now() }
    }

    async fn database(&self, unknown: &mut Unknown) -> Database {
        let store = &self.operator.app.store;
        let started = Instant::now();
        let ping = tokio::time::timeout(Duration::from_secs(1), store.ping()).await;
        let answered = matches!(ping, Ok(Ok(())));
        let took = answered.then(|| started.elapsed().as_secs_f64() * 1000.0);
        let migration = match store.migration_status().await {
            Ok(status) => Some(format!("{:04}", status.applied)),
            Err(_) => None,
        };
        let pool = store.pool_size();
        Database {
            status: if answered { "connected" } else { "disconnected" }.into(),
            engine: store.engine_name().into(),
            connections: pool.active + pool.idle,
            idle: pool.idle,
            max_connections: pool.max,
            latency_ms: unknown.unless("database.latency_ms", took, "no answer within a second"),
            migration: Nullable(migration),
        }
    }

    fn redis(&self, unknown: &mut Unknown) -> RedisReport {
        let (status, why) = match &self.operator.app.config.redis.url {
            Some(_) => ("configured", "`aiv queue doctor` and /readyz ask it"),
            None => ("not_configured", "REDIS_URL is not set"),
        };
        RedisReport {
            status: status.into(),
            latency_ms: unknown.unless("redis.latency_ms", None, why),
            used_memory_bytes: unknown.unless("redis.used_memory_bytes", None, why),
        }
    }

    fn provider(&self, route: &Route, sample: &Sample, unknown: &mut Unknown) -> ProviderReport {
        let app = &self.operator.app;
        let (key, queue) = (route.key(), operate::QUEUES[0]);
        let control = sample.lane_words.iter().map(|word| &word.control);
        let control = control.clone().find(|c| c.queue == queue && c.lane == key);
        let path = |field: &str| format!("providers.{key}.{field}");

        let lately: Vec<_> = sample
            .recent
            .iter()
            .filter(|end| end.lane == key && end.state != "cancelled")
            .collect();
        let succeeded = lately.iter().filter(|end| end.state == "succeeded").count();
        let success = (!lately.is_empty()).then(|| share(succeeded, lately.len()));
        let mut took: Vec<i64> = lately
            .iter()
            .filter_map(|end| Some((end.finished_at - end.started_at?).num_milliseconds()))
            .collect();
        took.sort_unstable();
        let p95 = took.get((took.len() * 95 / 100).min(took.len().saturating_sub(1))).copied();

        let blocked = control.and_then(|c| c.blocked_until).filter(|until| *until > sample.at);
        let throttled = control.is_some_and(|c| c.throttle < FULL);
        let circuit = match (blocked, throttled) {
            (Some(_), _) => "open",
            (None, true) => "half_open",
            (None, false) => "closed",
        };
        let status = match success {
            _ if !app.providers.missing_credentials(route).is_empty() => "disabled",
            Some(rate) if rate < 0.5 => "unhealthy",
            Some(rate) if rate < 0.95 || circuit != "closed" => "degraded",
            None if circuit != "closed" => "degraded",
            Some(_) => "healthy",
            None => "unknown",
        };
        let rate = lane_rate(jobs::stated_rate(app, queue, key), control);
        let allowed = rate.map(|rate| rate::allowed(rate, control.and_then(|c| c.tat), sample.at));
        let remaining = allowed.map(|allowed| if blocked.is_some() { 0 } else { allowed.jobs });
        let remaining = remaining.and_then(|jobs| u64::try_from(jobs).ok());
        let limit = rate.map(|rate| u64::from(rate.burst));
        let remaining = remaining.map(|jobs| jobs.min(limit.unwrap_or(jobs)));
        let no_rate = "neither the component nor an operator states a rate";
        let nothing = "no run ended within the hour";
        ProviderReport {
            status: status.into(),
            rate_limit: unknown.unless(
                &path("rateLimit"),
                remaining.zip(limit).map(|(remaining, limit)| format!("{remaining}/{limit}")),
                no_rate,
            ),
            remaining: Nullable(remaining),
            limit: Nullable(limit),
            resets_at: Nullable(blocked.or(allowed.map(|a| a.next_at)).map(Into::into)),
            circuit: circuit.into(),
            plugin: PluginReport {
                version: route.manifest.version.clone(),
                digest: format!("sha256:{}", route.digest),
                wit: route.plugin.wit_version(),
            },
            success_rate_1h: unknown.unless(&path("success_rate_1h"), success, nothing),
            p95_ms_1h: unknown.unless(&path("p95_ms_1h"), p95, nothing),
            spent_today_microusd: unknown.unless(
                &path("spent_today_microusd"),
                None,
                "days are workspaces' own: see GET /v1/costs",
            ),
        }
    }
}

/// The rate that holds in a lane.
fn lane_rate(stated: Option<Rate>, control: Option<&LaneControl>) -> Option<Rate> {
    let Some(control) = control else { return stated };
    let per_minute = control
        .per_minute
        .map(|rate| f64::from(u32::try_from(rate).unwrap_or(u32::MAX)))
        .or(stated.map(|rate| rate.per_minute))?;
    let burst = control
        .burst
        .and_then(|burst| u32::try_from(burst).ok())
        .or(stated.map(|rate| rate.burst))
        .unwrap_or(1);
    Some(Rate { per_minute, burst }.throttled(control.throttle))
}

impl QueueReport {
    fn of(sample: &Sample, name: &str) -> Self {
        let Totals { waiting, delayed, active, failed, oldest_waiting_s, per_minute: _, hour, day } =
            sample.totals(name);
        QueueReport {
            waiting,
            active,
            delayed,
            completed: day.succeeded,
            failed,
            dead: failed,
            paused: sample.queue_words.iter().any(|word| word.queue == name && word.paused),
            oldest_waiting_s,
            workers: i64::try_from(sample.workers().count()).unwrap_or(i64::MAX),
            completed_1h: hour.succeeded,
            failed_1h: hour.dead,
        }
    }
}

/// Reasons for what is missing, by path.
#[derive(Default)]
struct Unknown(HashMap<String, String>);

impl Unknown {
    fn unless<T>(&mut self, path: &str, value: Option<T>, why: &str) -> Nullable<T> {
        if value.is_none() {
            self.0.insert(path.to_owned(), why.to_owned());
        }
        Nullable(value)
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}MB", bytes / 1_000_000)
}

#[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
