//! Thousands of calls in flight at a vendor that takes two seconds, in one worker process.

use super::{
    floor,
    machine::{median, resident},
    ours::{Installation, Workspace},
    peer::{self, Peer},
    report::{Report, figure, note, rounded, table},
    stage::Stage,
};
use aiv_bench::host::Process;
use serde_json::json;
use std::path::Path;

const LATENCY_MS: u64 = 2000;
/// An engine of a workspace has at most 1,024 runs in flight.
const WORKSPACES: usize = 2;

#[derive(Debug, Clone, Copy)]
struct Measured {
    /// Calls a second without ramp and tail.
    steady: f64,
    resident_mb: f64,
    in_flight: f64,
}

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let in_flight = stage.arguments.in_flight;
    // Each place is used five times.
    let prompts = in_flight * 5 / 3 / WORKSPACES;
    let runs = prompts * 3 * WORKSPACES;
    let rounds = stage.arguments.rounds.min(2);
    let installation = Installation::new(stage, "inflight", Some(2)).await?;
    let process = installation.serve(in_flight).await?;
    let mut workspaces = Vec::new();
    for _ in 0..WORKSPACES {
        workspaces.push(installation.workspace(&process, prompts, 1024).await?);
    }
    if stage.floor.is_some() && stage.postgres.number(peer::DATABASE, "SELECT 1").await.is_err() {
        // The floor writes into the peer's tables, which the pipeline has made if it came first.
        stage.postgres.create(peer::DATABASE).await?;
        let schema = stage.peer.iter().map(|folder| folder.join("sql/schema.sql"));
        for file in schema {
            stage.postgres.run_file(peer::DATABASE, &file, &[]).await?;
        }
    }
    let (mut ours, mut floors) = (vec![], vec![]);
    for round in 1..=rounds {
        let slot = format!("round-{round}");
        let measured = asked(stage, &process, &workspaces, &slot, prompts).await?;
        note(format_args!("round {round}: ours: {:.0} runs/s", measured.steady));
        ours.push(measured);
        if let Some(program) = &stage.floor {
            let measured = floored(stage, program, runs, in_flight).await?;
            note(format_args!("round {round}: floor: {:.0} runs/s", measured.steady));
            floors.push(measured);
        }
    }
    let mut rows = Vec::new();
    let mut figures = json!({ "in_flight": in_flight, "latency_ms": LATENCY_MS, "runs": runs });
    for (name, measured) in [("ours", &ours), ("floor", &floors)] {
        if measured.is_empty() {
            continue;
        }
        let of = |of: fn(&Measured) -> f64| median(measured.iter().map(of));
        let (steady, resident, most) =
            (of(|m| m.steady), of(|m| m.resident_mb), of(|m| m.in_flight));
        rows.push(vec![name.to_owned(), figure(steady, 0), figure(resident, 0), figure(most, 0)]);
        figures[name] = json!({
            "runs_s": rounded(steady, 0), "peak_resident_mb": rounded(resident, 0),
            "most_in_flight": most,
        });
    }
    let ratio =
        |of: fn(&Measured) -> f64| median(ours.iter().map(of)) / median(floors.iter().map(of));
    figures["ratio_to_floor"] = rounded(ratio(|m| m.steady), 3);
    figures["resident_ratio_to_floor"] = rounded(ratio(|m| m.resident_mb), 3);
    let title = format!("inflight: {in_flight} calls at {LATENCY_MS} ms, one process, {runs} runs");
    table(&title, &["who", "runs/s", "peak RSS MB", "in flight"], &rows);
    if !floors.is_empty() {
        note(format_args!(
            "  ours to the floor's: {} of the runs/s, {} of the memory",
            figures["ratio_to_floor"], figures["resident_ratio_to_floor"]
        ));
    }
    report.add("inflight", figures)
}

async fn asked(
    stage: &Stage,
    process: &Process,
    workspaces: &[Workspace],
    slot: &str,
    prompts: usize,
) -> anyhow::Result<Measured> {
    stage.settle().await?;
    stage.vendors.prepare(LATENCY_MS).await?;
    let mut batches = Vec::new();
    for workspace in workspaces {
        batches.push((workspace, workspace.start(slot, prompts).await?));
    }
    // Both workspaces ask the same prompts.
    let pace = stage.vendors.wait_for(3 * prompts * workspaces.len()).await?;
    for (workspace, batch) in batches {
        workspace.finish(&batch).await?;
    }
    Ok(Measured {
        steady: pace.steady()?,
        resident_mb: resident(process.server.pid, true),
        in_flight: float(pace.in_flight),
    })
}

async fn floored(
    stage: &Stage,
    program: &Path,
    runs: usize,
    in_flight: usize,
) -> anyhow::Result<Measured> {
    Peer::clear(stage).await?;
    stage.settle().await?;
    stage.vendors.prepare(LATENCY_MS).await?;
    let (said, pace) = tokio::try_join!(
        floor::run(stage, program, runs, in_flight),
        stage.vendors.wait_for(runs)
    )?;
    Ok(Measured {
        steady: pace.steady()?,
        resident_mb: said["rss_mb"].as_f64().unwrap_or(f64::NAN),
        in_flight: float(pace.in_flight),
    })
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
