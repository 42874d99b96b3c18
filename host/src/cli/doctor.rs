use super::print;
use crate::Clock;
use crate::{
    app,
    config::Config,
    providers::{Providers, registry},
    redis::{self, Redis},
    store::Store,
};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::{process::ExitCode, sync::Arc};

mod budgets;
mod queues;

#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Write what the ledger says where a budget says something else.
    #[arg(long)]
    repair_budgets: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    verdict: Verdict,
    /// What was found, and what to do about it.
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Works, but somebody should know.
    Warning,
    Failed,
}

impl Doctor {
    /// Looks at everything that `serve` needs. Exit code 1 when something would keep it from
    /// working.
    pub(super) async fn run(self, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
        let mut checks = vec![database(config).await, port(config).await];
        checks.extend(redis(config).await);
        checks.extend(components(config).await);
        // A database that is away or behind was told of already; an empty one has no queues yet.
        if checks[0].verdict == Verdict::Ok {
            checks.extend(queues::all(config).await);
            checks.extend(budgets::all(config, self.repair_budgets).await);
        }
        report(&checks, json)
    }
}

/// Looks at what the queues need, and at nothing else.
pub(super) async fn queues(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let mut checks = vec![database(config).await];
    if checks[0].verdict == Verdict::Ok {
        checks.extend(queues::all(config).await);
    }
    report(&checks, json)
}

fn report(checks: &[Check], json: bool) -> anyhow::Result<ExitCode> {
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    if json {
        print(serde_json::to_string_pretty(&checks)?)?;
    } else {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["check", "verdict", "detail"]);
        for check in checks {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Failed => "failed",
            };
            table.add_row([&check.name, verdict, &check.detail]);
        }
        print(table)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn database(config: &Config) -> Check {
    let found = async {
        let store = Store::connect(config.database.url.expose_secret(), 1).await?;
        store.ping().await?;
        let status = store.migration_status().await?;
        store.close().await;
        anyhow::Ok((store.engine_name(), status))
    };
    match found.await {
        Ok((engine, status)) if status.is_current() => {
            check("database", Verdict::Ok, format!("{engine}, schema version {}", status.applied))
        }
        Ok((engine, status)) => {
            check("database", Verdict::Warning, format!("{engine}: {}", status.advice()))
        }
        Err(err) => check("database", Verdict::Failed, format!("{err:#}: check DATABASE_URL")),
    }
}

async fn redis(config: &Config) -> Vec<Check> {
    let urls = [
        ("redis", "REDIS_URL", &config.redis.url),
        ("cache", "CACHE_REDIS_URL", &config.redis.cache_url),
    ];
    let mut checks = Vec::new();
    for (name, variable, url) in urls {
        let Some(url) = url else { continue };
        let found = async { anyhow::Ok(redis::check(&Redis::open(url)?).await?) };
        match found.await {
            // A cache may forget.
            Ok((version, findings)) if name == "cache" || findings.is_empty() => {
                checks.push(check(name, Verdict::Ok, format!("Redis {version}")));
            }
            Ok((_, findings)) => checks.extend(
                findings.into_iter().map(|found| check(found.name, Verdict::Warning, found.detail)),
            ),
            // The host works without; it is not what was wanted, though.
            Err(err) => {
                let detail =
                    format!("{err:#}: check {variable}; jobs come from the database meanwhile");
                checks.push(check(name, Verdict::Warning, detail));
            }
        }
    }
    checks
}

async fn port(config: &Config) -> Check {
    let address = config.listen_on();
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => check("port", Verdict::Ok, format!("{address} is free")),
        Err(err) => check("port", Verdict::Warning, format!("{address}: {err}; set PORT")),
    }
}

async fn components(config: &Config) -> Vec<Check> {
    let folder = &config.providers.plugin_dir;
    let loaded = async {
        let runtime = app::runtime(config)?;
        let routes = registry::load_folder(&runtime, folder).await?;
        let providers = Providers::new(Arc::new(config.clone()), Clock::default())?;
        anyhow::Ok((routes, providers))
    };
    let (routes, providers) = match loaded.await {
        Ok(loaded) => loaded,
        Err(err) => return vec![check("components", Verdict::Failed, format!("{err:#}"))],
    };
    if routes.is_empty() {
        let detail = format!("none in {}: run `make plugins`, or set PLUGIN_DIR", folder.display());
        return vec![check("components", Verdict::Failed, detail)];
    }
    routes
        .iter()
        .map(|route| {
            let name = format!("component {}", route.key());
            let missing = providers.missing_credentials(route);
            if missing.is_empty() || config.providers.mode.is_synthetic() {
                check(name, Verdict::Ok, format!("version {}", route.manifest.version))
            } else {
                let detail = format!("loads, but cannot be asked: set {}", missing.join(", "));
                check(name, Verdict::Warning, detail)
            }
        })
        .collect()
}

fn check(name: impl Into<String>, verdict: Verdict, detail: String) -> Check {
    Check { name: name.into(), verdict, detail }
}
