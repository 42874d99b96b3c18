//! What a host takes that has nothing to do.

use super::{
    machine::{Usage, resident},
    ours::Installation,
    report::{Report, figure, rounded, table},
    stage::Stage,
};
use serde_json::json;
use std::time::Duration;

/// Longer than most periodic work.
const WATCHED: Duration = Duration::from_secs(30);

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let plain = Installation::new(stage, "idle", None).await?;
    let plain = plain.serve(stage.arguments.concurrency).await?;
    let redis = Installation::new(stage, "idle_redis", Some(3)).await?;
    let redis = redis.serve(stage.arguments.concurrency).await?;
    let [postgres_pid, redis_pid] = stage.pids();
    let pids = [plain.server.pid, redis.server.pid, postgres_pid, redis_pid];
    // The first seconds belong to the start.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = Usage::now(&pids);
    tokio::time::sleep(WATCHED).await;
    let used = before.until(&Usage::now(&pids));
    let names = ["ours, PostgreSQL", "ours, PostgreSQL + Redis", "PostgreSQL", "Redis"];
    let mut figures = json!({ "seconds": WATCHED.as_secs() });
    let mut rows = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let percent = 100.0 * used.processes[at] / used.seconds;
        let memory = resident(pids[at], false);
        rows.push(vec![(*name).to_owned(), figure(percent, 2), figure(memory, 1)]);
        figures[*name] =
            json!({ "cpu_percent": rounded(percent, 2), "resident_mb": rounded(memory, 1) });
    }
    let title = format!("idle: {WATCHED:?}, share of one processor; PostgreSQL serves both");
    table(&title, &["who", "CPU %", "RSS MB"], &rows);
    report.add("idle", figures)
}
