//! A worker with many runs in flight dies: how soon does somebody else go on with them?

use super::{
    Arguments, check,
    faults::in_flight,
    fleet::Fleet,
    load::{self, Load},
    report::{Report, note},
};
use aiv_bench::mock::Control;
use anyhow::{Context, ensure};
use std::time::{Duration, Instant};

/// Runs of one worker at once.
const CONCURRENCY: usize = 100;
/// New questions, of three engines each: both workers are full.
const PROMPTS: usize = 70;
/// A call as a share of a lease: the other worker is free when the dead one's runs are to be had.
const LATENCY: f64 = 0.25;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    note(format_args!("\n== recovery: kill -9 of a worker, leases of {} s", arguments.lease));
    let mut fleet = Fleet::start(arguments, 2, CONCURRENCY, arguments.lease).await?;
    let latency = Duration::from_secs(arguments.lease).mul_f64(LATENCY);
    let latency_ms = u64::try_from(latency.as_millis())?;
    fleet.vendors.control(Control { latency_ms, ..Control::default() });
    let mut load = Load::new(fleet.workspace(1000).await?, 0);
    load.batch(PROMPTS).await?;

    let full = async {
        while fleet.vendors.stats().all.in_flight < u64::try_from(2 * CONCURRENCY).unwrap_or(0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), full).await.context("the workers do not fill")?;
    let victim = fleet.workers.processes[0].take().context("the worker lives")?;
    let pid = victim.server.pid;
    let killed = Instant::now();
    victim.server.kill().await;
    let runs = in_flight(&fleet.sql, pid).await?;
    ensure!(!runs.is_empty(), "the killed worker had nothing to do");

    // Recovered is a run whose job somebody else has, or that ended.
    let held = format!(
        "SELECT count(*) FROM jobs LEFT JOIN processes ON processes.id = jobs.owner
         WHERE jobs.queue = 'runPrompt'
           AND (jobs.state = 'available' OR (jobs.state = 'running' AND processes.pid = {pid}))"
    );
    let bound = Duration::from_secs(arguments.lease + 6);
    let recovered = async {
        while fleet.sql.query(&held).await.ok().as_deref() != Some("0") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let recovered = tokio::time::timeout(bound * 2, recovered).await.is_ok();
    let took = killed.elapsed();
    report.check(
        &format!("all runs of the killed worker are in other hands in {} s", bound.as_secs()),
        recovered && took <= bound,
        format!("{} runs, {:.1} s", runs.len(), took.as_secs_f64()),
    );
    let done = load::finish(&fleet.sql, bound + latency * 4).await;
    report.check("everything was done", done, format!("{:.1} s", killed.elapsed().as_secs_f64()));
    check::everything(report, &fleet, &load.accepted, &runs).await?;
    let stopped = fleet.stop().await;
    report.check("processes that are told to stop do so in time", stopped, "");
    Ok(())
}
