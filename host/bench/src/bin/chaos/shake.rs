//! Faults at random while batches are started; then quiet, and the accounts.

use super::{
    Arguments, check,
    faults::{self, Happened},
    fleet::Fleet,
    load::{self, Load},
    report::{Report, note},
};
use aiv_bench::mock::{Control, Fault, FaultKind};
use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const WORKSPACES: usize = 4;
/// New questions of a batch; each is asked of three engines.
const PROMPTS: usize = 80;
/// How long the platform may take to do what is left once nothing breaks any more.
const PATIENCE: Duration = Duration::from_mins(4);

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    let seed = arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    note(format_args!(
        "\n== chaos: {} s, seed {seed}: {} workers × {} runs, leases of {} s, Redis {}, fsync {}",
        arguments.seconds,
        arguments.workers,
        arguments.concurrency,
        arguments.lease,
        if arguments.no_redis { "absent" } else { "there" },
        if arguments.no_fsync { "off" } else { "on" },
    ));
    let mut fleet =
        Fleet::start(arguments, arguments.workers, arguments.concurrency, arguments.lease).await?;
    fleet.vendors.control(vendors());

    let mut loads = Vec::new();
    for number in 0..WORKSPACES {
        loads.push(Load::new(fleet.workspace(1000).await?, number));
    }
    let start = Instant::now();
    let end = start + Duration::from_secs(arguments.seconds);
    let waiting = Arc::new(AtomicUsize::new(0));
    let most = arguments.workers * arguments.concurrency * 8;
    let mut feeders = JoinSet::new();
    for load in loads {
        let waiting = Arc::clone(&waiting);
        feeders.spawn(async move { load.keep_going(PROMPTS, &waiting, most, end).await });
    }
    let sql = fleet.sql.clone();
    let happened = tokio::select! {
        happened = shake(&mut fleet, seed, (start, end)) => happened?,
        () = load::watch(&sql, &waiting) => Happened::default(),
    };
    let mut accepted = Vec::new();
    while let Some(batches) = feeders.join_next().await {
        accepted.extend(batches??);
    }

    let quiet = Instant::now();
    let done = load::finish(&fleet.sql, PATIENCE).await;
    let took = quiet.elapsed().as_secs_f64();
    note(format_args!("{:>6.1} s  all quiet", start.elapsed().as_secs_f64()));
    let mut faults: Vec<_> =
        happened.faults.iter().map(|(what, count)| format!("{count} × {what}")).collect();
    faults.sort();
    note(format_args!("faults: {}", faults.join(", ")));
    report.check("what was left was done after the faults", done, format!("in {took:.1} s"));
    check::everything(report, &fleet, &accepted, &happened.in_killed).await?;
    let stopped = fleet.stop().await && happened.unwilling == 0;
    report.check("processes that are told to stop do so in time", stopped, "");
    Ok(())
}

/// They take their time, and are not perfect either.
fn vendors() -> Control {
    let fault = |kind, rate| Fault { rate, ..Fault::new(kind) };
    Control {
        latency_ms: 250,
        jitter_ms: 100,
        faults: vec![fault(FaultKind::Overloaded, 0.02), fault(FaultKind::TooMany, 0.005)],
        ..Control::default()
    }
}

async fn shake(fleet: &mut Fleet, seed: u64, time: (Instant, Instant)) -> anyhow::Result<Happened> {
    let redis = async {
        match &mut fleet.redis {
            Some(redis) => faults::of_redis(redis, seed.wrapping_add(1), time).await,
            None => Ok(Happened::default()),
        }
    };
    let (workers, redis, postgres) = tokio::try_join!(
        faults::of_workers(&mut fleet.workers, &fleet.sql, seed, time),
        redis,
        faults::of_postgres(&mut fleet.postgres, seed.wrapping_add(2), time),
    )?;
    Ok(workers.merge(redis).merge(postgres))
}
