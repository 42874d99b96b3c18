//! `make chaos`: the platform while everything around it breaks.
//!
//! Everything is private and on free ports: PostgreSQL, Redis with an append-only file, and the
//! vendors of [`aiv_bench::mock`], which remember who asked what how often. Afterwards the
//! database and the vendors must tell the same story.
//!
//! **Invariant:** all that is started is stopped, also after an error, a signal or the time limit.

mod check;
mod faults;
mod fleet;
mod healthy;
mod recovery;
mod shake;

use aiv_bench::{
    load,
    report::{self, Report, note},
};
use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Breaks what the platform leans on, and checks that nothing is lost and nothing is paid twice.
#[derive(Debug, Parser)]
#[command(name = "aiv-chaos", version, about)]
struct Arguments {
    /// Only these scenarios, such as `chaos,healthy`. All of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// How long things break.
    #[arg(long, env = "CHAOS_SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Repeats the faults of an earlier run; another number each time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Worker processes.
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Runs of one worker process at once.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Seconds that a claim holds without renewal.
    #[arg(long, default_value_t = 30)]
    lease: u64,
    /// Leave Redis out: the database hands the jobs out.
    #[arg(long)]
    no_redis: bool,
    /// PostgreSQL does not wait for its disk. It survives its own crashes all the same.
    #[arg(long)]
    no_fsync: bool,
    /// The host; by default the release build, or else the debug build.
    #[arg(long)]
    aiv: Option<PathBuf>,
    /// Its components.
    #[arg(long, default_value = "plugins/dist")]
    plugins: PathBuf,
    /// Where the logs are kept.
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Faults at random while batches are started.
    Chaos,
    /// Nobody dies; runs outlast their leases.
    Healthy,
    /// How long the runs of a killed worker take to get on.
    Recovery,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let limit = Duration::from_secs(600 + 2 * arguments.seconds);
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
    for scenario in [Scenario::Healthy, Scenario::Recovery, Scenario::Chaos] {
        if !arguments.only.is_empty() && !arguments.only.contains(&scenario) {
            continue;
        }
        match scenario {
            Scenario::Chaos => shake::run(arguments, &mut report).await?,
            Scenario::Healthy => healthy::run(arguments, &mut report).await?,
            Scenario::Recovery => recovery::run(arguments, &mut report).await?,
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
