//! Whether a second worker process takes throughput or gives it.

use super::{
    machine::median,
    ours::Installation,
    report::{Report, figure, note, rounded, table},
    stage::{PATIENCE, Stage},
};
use serde_json::json;
use std::time::Instant;

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let prompts = (stage.arguments.runs / 3).max(200);
    let runs = f64::from(u32::try_from(3 * prompts)?);
    let (mut figures, mut rows) = (json!({}), Vec::new());
    for (name, database, redis) in
        [("PostgreSQL", "workers", None), ("PostgreSQL + Redis", "workers_redis", Some(4))]
    {
        let installation = Installation::new(stage, database, redis).await?;
        let first = installation.serve(stage.arguments.concurrency).await?;
        let workspace = installation.workspace(&first, prompts, 1024).await?;
        let mut by_count = [vec![], vec![]];
        // Round 0 warms up. One and two take turns: the tables grow alike for both.
        for round in 0..=stage.arguments.rounds {
            for (second, measured) in by_count.iter_mut().enumerate() {
                let more = match second {
                    0 => None,
                    _ => Some(installation.serve(stage.arguments.concurrency).await?),
                };
                stage.settle().await?;
                stage.vendors.prepare(0).await?;
                let before = installation.rows().await?;
                let start = Instant::now();
                let slot = format!("round-{round}-{second}");
                let batch = workspace.start(&slot, prompts).await?;
                stage.vendors.wait_for(3 * prompts).await?;
                workspace.finish(&batch).await?;
                let runs_s = runs / start.elapsed().as_secs_f64();
                installation.rows().await?.since(before).check(3 * prompts)?;
                stage.vendors.check(3 * prompts).await?;
                if round > 0 {
                    note(format_args!("round {round}: {name}: {} × {runs_s:.0}", second + 1));
                    measured.push(runs_s);
                }
                if let Some(more) = more {
                    more.server.stop(PATIENCE).await;
                }
            }
        }
        let [one, two] = by_count.map(median);
        let gain = two / one;
        rows.push(vec![name.to_owned(), figure(one, 0), figure(two, 0), figure(gain, 2)]);
        figures[name] = json!({
            "one": rounded(one, 0), "two": rounded(two, 0), "ratio": rounded(gain, 2),
        });
        first.server.stop(PATIENCE).await;
    }
    let title = "workers: runs/s of one process and of two on the same machine";
    table(title, &["queue", "one", "two", "two to one"], &rows);
    report.add("workers", figures)
}
