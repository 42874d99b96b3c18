//! Whether the process lives, whether it can work, and what it counts.
//!
//! `/healthz` touches nothing: a database that is away must not get the process restarted.
//! `/readyz` asks what a request would need, at most once in two seconds.

use super::{Problem, addresses::ClientAddress, admin::Figures};
use crate::{App, Error, telemetry::metrics};
use chrono::SecondsFormat;
use poem::{
    IntoResponse, Request, Response,
    http::{StatusCode, header},
};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(1);
const FRESH: Duration = Duration::from_secs(2);
/// A due job that is older says that nobody works.
const LATE: Duration = Duration::from_mins(5);

pub(super) struct Health {
    app: App,
    figures: Arc<Figures>,
    stop: CancellationToken,
    started: Instant,
    /// A schema that was current stays so: nothing takes migrations back.
    migrated: AtomicBool,
    /// Also makes callers that come together share one set of checks.
    last: Mutex<Option<(Instant, Readiness)>>,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
    timestamp: String,
    /// Seconds.
    uptime: u64,
    version: &'static str,
    commit: &'static str,
}

#[derive(Clone, Serialize)]
struct Readiness {
    status: &'static str,
    database: &'static str,
    redis: &'static str,
    queues: &'static str,
    migrations: &'static str,
    plugins: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

#[derive(Clone, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Health {
    pub(super) fn new(app: App, figures: Arc<Figures>, stop: CancellationToken) -> Self {
        let (migrated, last) = (AtomicBool::new(false), Mutex::new(None));
        Health { app, figures, stop, started: Instant::now(), migrated, last }
    }

    pub(super) fn alive(&self) -> Response {
        json(
            StatusCode::OK,
            &Alive {
                status: "ok",
                timestamp: self.app.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true),
                uptime: self.started.elapsed().as_secs(),
                version: env!("CARGO_PKG_VERSION"),
                commit: option_env!("AIV_COMMIT").unwrap_or("unknown"),
            },
        )
    }

    async fn readiness(&self) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((_, readiness)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return readiness.clone();
        }
        let readiness = Box::pin(self.check()).await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    pub(super) async fn ready(&self) -> Response {
        let mut readiness = self.readiness().await;
        // Known to nobody but this process, and needed at once.
        if self.stop.is_cancelled() {
            readiness.status = "not_ready";
            let error = Some("the process is stopping".into());
            readiness.checks.push(Check { name: "running", ok: false, latency_ms: 0, error });
        }
        let status = match readiness.status {
            "ready" => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        json(status, &readiness)
    }

    async fn check(&self) -> Readiness {
        let store = &self.app.store;
        let ping = timed("database", async { Ok(store.ping().await?) });
        let migrations = timed("migrations", async {
            if self.migrated.load(Ordering::Relaxed) {
                return Ok(());
            }
            let status = store.migration_status().await?;
            anyhow::ensure!(status.is_current(), "the schema is not the one this version needs");
            self.migrated.store(true, Ordering::Relaxed);
            Ok(())
        });
        let queues = timed("queues", self.check_queues());
        // Without Redis the database hands out jobs and limits hold per process: that degrades and
        // does not refuse.
        let redis = timed("redis", async {
            match &self.app.redis {
                Some(redis) => Ok(redis.ping().await?),
                None => Ok(()),
            }
        });
        let (database, migrations, queues, redis) = tokio::join!(ping, migrations, queues, redis);
        let plugins = Check {
            name: "plugins",
            ok: !self.app.providers.list().is_empty(),
            latency_ms: 0,
            error: None,
        };
        let ready = database.ok && migrations.ok && plugins.ok;
        let word = |ok: bool, yes, no| if ok { yes } else { no };
        let readiness = Readiness {
            status: word(ready, "ready", "not_ready"),
            database: word(database.ok, "connected", "disconnected"),
            redis: match (&self.app.redis, redis.ok) {
                (None, _) => "absent",
                (Some(_), true) => "connected",
                (Some(_), false) => "disconnected",
            },
            queues: match (database.ok, queues.ok && redis.ok) {
                (true, true) => "healthy",
                (true, false) => "degraded",
                (false, _) => "unhealthy",
            },
            migrations: word(migrations.ok, "current", "behind"),
            plugins: word(plugins.ok, "loaded", "none"),
            checks: vec![],
        };
        let checks = vec![database, migrations, queues, plugins, redis];
        if checks.iter().all(|check| check.ok) {
            readiness
        } else {
            Readiness { checks, ..readiness }
        }
    }

    /// Nobody works when a job has been due for long. A lane that a vendor slows down is late
    /// without anything being wrong, which is why this degrades and does not refuse.
    ///
    /// Also brings the metrics of the queues up to date.
    async fn check_queues(&self) -> anyhow::Result<()> {
        match self.figures.read(&self.app).await?.trouble(LATE) {
            Some(trouble) => anyhow::bail!(trouble),
            None => Ok(()),
        }
    }

    /// Those who know the token; without one, this machine.
    fn admit_scraper(&self, request: &Request) -> Result<(), Problem> {
        if let Some(token) = &self.app.config.server.metrics_token {
            let given = request
                .header(header::AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer "))
                .unwrap_or_default();
            if bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes())) {
                return Ok(());
            }
            return Err(Problem::unauthenticated("send the metrics token as a bearer"));
        }
        let client = request.data::<ClientAddress>().and_then(|address| address.0);
        if client.is_some_and(|ip| ip.is_loopback()) {
            return Ok(());
        }
        let detail = "without METRICS_TOKEN only this machine may read the metrics";
        Err(Error::Forbidden(detail.into()).into())
    }

    /// The metrics, for those who may read them.
    pub(super) async fn metrics(&self, request: &Request) -> Result<Response, Problem> {
        self.admit_scraper(request)?;
        let pool = self.app.store.pool_size();
        metrics::database(pool.active, pool.idle, pool.max);
        // Also brings the queues up to date, at most once in two seconds.
        self.readiness().await;
        Ok(Response::builder()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .body(metrics::render()))
    }
}

/// Runs a check within its time. Its error is told in our words: theirs may name hosts.
async fn timed(name: &'static str, check: impl Future<Output = anyhow::Result<()>>) -> Check {
    let started = Instant::now();
    let error = match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(check.name = name, "not ready: {error:#}");
            Some("failed; the log has the reason".into())
        }
        Err(_) => Some(format!("took longer than {} s", PATIENCE.as_secs())),
    };
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Check { name, ok: error.is_none(), latency_ms, error }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => Response::builder()
            .status(status)
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
