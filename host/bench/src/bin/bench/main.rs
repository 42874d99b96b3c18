//! `make bench`: the platform measured beside a peer and a floor, in one run on one machine.
//!
//! Everything is private and on free ports: PostgreSQL with fsync, Redis with an append-only file,
//! the vendors of [`aiv_bench::mock`]. The contestants take turns, so that whatever else the
//! machine does hits them alike; what is printed are medians and ratios of one run.
//!
//! **Invariant:** all that is started is stopped, also after an error, a signal or the time limit.

mod floor;
mod idle;
mod inflight;
mod lists;
mod machine;
mod mocking;
mod ours;
mod peer;
mod pipeline;
mod report;
mod stage;
mod workers;

use self::{report::Report, stage::Stage};
use aiv_bench::servers;
use anyhow::Context;
use clap::{Parser, ValueEnum};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Measures the platform beside the peer and the floor.
#[derive(Debug, Parser)]
#[command(name = "aiv-bench", version, about)]
struct Arguments {
    /// Only these parts, such as `pipeline,idle`. All of them by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// End with one line of JSON on standard output; the tables go to standard error.
    #[arg(long)]
    json: bool,
    /// Runs of one measurement of the pipeline.
    #[arg(long, default_value_t = 12_000)]
    runs: usize,
    /// How often each contestant is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Calls in flight at once in `inflight`.
    #[arg(long, default_value_t = 5_000)]
    in_flight: usize,
    /// Runs of one worker process at once in `pipeline` and `workers`.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// Count statements too, which costs PostgreSQL some per cent.
    #[arg(long)]
    statements: bool,
    /// Give up after so many minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The host.
    #[arg(long, default_value = "target/release/aiv")]
    aiv: PathBuf,
    /// Its components.
    #[arg(long, default_value = "plugins/dist")]
    plugins: PathBuf,
    /// The peer and the floor, where there are any.
    #[arg(long, env = "AIV_PEER_DIR", default_value = "../shared/peer")]
    peer: PathBuf,
    /// Where builds of the peer and results are kept.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Runs a second end to end at 0 ms, and what they cost.
    Pipeline,
    /// Thousands of calls in flight at a vendor that takes 2 s.
    Inflight,
    /// CPU and memory of a host that has nothing to do.
    Idle,
    /// Whether a second worker process helps.
    Workers,
    /// Pages of a list of a million runs at 200 a second, and an export of all of them. Only when it
    /// is named.
    Lists,
    /// The kernels, by criterion.
    Criterion,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let limit = Duration::from_secs(60 * arguments.minutes);
    let ended = tokio::select! {
        ended = run(&arguments) => ended,
        () = tokio::time::sleep(limit) => Err(anyhow::anyhow!("not done in {limit:?}")),
        () = told_to_stop() => Err(anyhow::anyhow!("stopped")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            report::note(format_args!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
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

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let parts = [Part::Pipeline, Part::Inflight, Part::Idle, Part::Workers, Part::Lists];
    let chosen = |part: &Part| {
        arguments.only.contains(part) || arguments.only.is_empty() && *part != Part::Lists
    };
    std::fs::create_dir_all(&arguments.folder).context("make the folder of results")?;
    let mut report = Report::new(arguments.folder.join("results.jsonl"));
    if parts.iter().any(chosen) {
        let stage = Stage::set_up(arguments).await?;
        for part in parts.iter().filter(|part| chosen(part)) {
            match part {
                Part::Pipeline => pipeline::measure(&stage, &mut report).await?,
                Part::Inflight => inflight::measure(&stage, &mut report).await?,
                Part::Idle => idle::measure(&stage, &mut report).await?,
                Part::Workers => workers::measure(&stage, &mut report).await?,
                Part::Lists => lists::measure(&stage, &mut report).await?,
                Part::Criterion => {}
            }
        }
        stage.tear_down().await;
    }
    if arguments.only.contains(&Part::Criterion) {
        criterion().await?;
    }
    report.finish(arguments.json)
}

/// The benchmarks of `cargo bench`, which print for themselves.
async fn criterion() -> anyhow::Result<()> {
    for package in ["aiv-analysis", "aiv-runtime", "aiv"] {
        servers::succeed("cargo", ["bench", "--locked", "-p", package], Path::new(".")).await?;
    }
    Ok(())
}
