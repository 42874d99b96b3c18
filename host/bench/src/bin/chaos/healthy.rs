//! Nobody dies, yet runs take longer than their leases: nobody may take them from those who do
//! them.

use super::{
    Arguments, check,
    fleet::Fleet,
    load::{self, Load},
    report::{Report, note},
};
use aiv_bench::{
    host::ENGINES,
    mock::{Control, Vendor},
};
use std::{collections::HashSet, time::Duration};

/// Runs of the fleet at once.
const CONCURRENCY: usize = 60;
/// Leases that pass while a wave of runs is being done; it takes the longest of them.
const LONGEST: f64 = 2.5;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    let lease = Duration::from_secs(arguments.lease);
    note(format_args!(
        "\n== healthy fleet: 2 workers, leases of {} s, runs of 0.4, 1.1 and {LONGEST} leases",
        arguments.lease
    ));
    let fleet = Fleet::start(arguments, 2, CONCURRENCY / 2, arguments.lease).await?;
    let of = |share: f64| u64::try_from(lease.mul_f64(share).as_millis()).unwrap_or(u64::MAX);
    // Perplexity may take two minutes, the others one: a run ends within its surface's deadline.
    let latency_ms_of =
        [(Vendor::Brave, of(0.4)), (Vendor::Serpapi, of(1.1)), (Vendor::Perplexity, of(LONGEST))];
    fleet.vendors.control(Control { latency_ms_of: latency_ms_of.into(), ..Control::default() });
    let mut load = Load::new(fleet.workspace(1000).await?, 0);
    // As many long runs as there are slots, so that they last for three leases and more.
    load.batch(CONCURRENCY).await?;
    let done = load::finish(&fleet.sql, lease.mul_f64(10.0) + Duration::from_secs(30)).await;
    report.check("everything was done", done, "");
    let runs = u64::try_from(CONCURRENCY * ENGINES.len())?;
    let stats = fleet.vendors.stats();
    report.check(
        "calls = runs",
        stats.all.calls == runs && stats.asked_again == 0 && stats.all.abandoned == 0,
        format!("{} calls, {runs} runs, {} asked again", stats.all.calls, stats.asked_again),
    );
    let lost = fleet.sql.query("SELECT COALESCE(sum(lost), 0), max(epoch) FROM jobs").await?;
    report.check("no job changed hands", lost == "0|0", format!("lost, epoch: {lost}"));
    check::everything(report, &fleet, &load.accepted, &HashSet::new()).await?;
    let stopped = fleet.stop().await;
    report.check("processes that are told to stop do so in time", stopped, "");
    Ok(())
}
