//! `make drills`: what operators have to do to components, done while the platform is at work, and
//! what callers can do to the API.
//!
//! Everything is private and on free ports. What a drill finds is checked against the database and
//! against what the API says.
//!
//! **Invariant:** all that is started is stopped, also after an error, a signal or the time limit.

mod components;
mod fleet;
mod hostile_plugins;
mod hot_swap;
mod schemathesis;

use aiv_bench::report::{Report, note};
use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Swaps components under load, lets hostile ones in, and holds the API against its document.
#[derive(Debug, Parser)]
#[command(name = "aiv-drills", version, about)]
struct Arguments {
    /// Only these drills. All of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Drill>,
    /// How long components are swapped under load.
    #[arg(long, env = "DRILL_SECONDS", default_value_t = 120)]
    seconds: u64,
    /// How long a vendor takes, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    latency_ms: u64,
    /// Runs of one worker at once; two workers do as many in the time of one call.
    #[arg(long, default_value_t = 200)]
    concurrency: usize,
    /// Requests that schemathesis makes of each operation and phase.
    #[arg(long, env = "DRILL_EXAMPLES", default_value_t = 200)]
    examples: u32,
    /// The database that schemathesis meets.
    #[arg(long, value_enum, env = "DRILL_DATABASE", default_value_t = Database::Sqlite)]
    database: Database,
    /// An argument for schemathesis itself, such as `--include-tag=Prompts`. Can be repeated.
    #[arg(long, allow_hyphen_values = true)]
    st: Vec<String>,
    /// The host; by default the release build, or else the debug build.
    #[arg(long)]
    aiv: Option<PathBuf>,
    /// Its components.
    #[arg(long, default_value = "plugins/dist")]
    plugins: PathBuf,
    /// The components that misbehave on purpose.
    #[arg(long, default_value = "target/guests/wasm32-wasip2/release")]
    guests: PathBuf,
    /// Where the logs are kept.
    #[arg(long, default_value = "target/drills")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drill {
    /// Components are swapped, tried, quarantined and rolled back under load.
    HotSwap,
    /// Components that loop, eat memory, lie and spy.
    HostilePlugins,
    /// Requests that obey the published document or break it.
    Schemathesis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Of 200 operations, each takes some seconds for some examples.
    let examples = 120 * u64::from(arguments.examples);
    let limit = Duration::from_secs(1800 + 3 * arguments.seconds + examples);
    let ended = tokio::select! {
        ended = run(&arguments) => ended,
        () = tokio::time::sleep(limit) => Err(anyhow::anyhow!("not done in {limit:?}")),
        () = told_to_stop() => Err(anyhow::anyhow!("stopped")),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            note(format_args!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything held.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut report = Report::default();
    for drill in [Drill::HotSwap, Drill::HostilePlugins, Drill::Schemathesis] {
        if !arguments.only.is_empty() && !arguments.only.contains(&drill) {
            continue;
        }
        match drill {
            Drill::HotSwap => hot_swap::run(arguments, &mut report).await?,
            Drill::HostilePlugins => hostile_plugins::run(arguments, &mut report).await?,
            Drill::Schemathesis => schemathesis::run(arguments, &mut report).await?,
        }
    }
    Ok(report.finish())
}

async fn told_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
