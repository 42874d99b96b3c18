//! Forgets what has had its time: archives that have expired, and what became of slots of schedules
//! long ago.

use crate::{
    App, Result,
    ids::ProcessId,
    store::{exports, leaders, schedules},
};
use chrono::TimeDelta;
use std::time::Duration;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How often it is looked for.
const EVERY: Duration = Duration::from_mins(10);
/// One process does it for all; another takes over after this time.
const LEAD: TimeDelta = TimeDelta::minutes(25);
const ROLE: &str = "retention";

/// Sweeps until the guard is dropped; its task is waited for through `tasks`.
pub(super) fn start(app: App, tasks: &TaskTracker) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tasks.spawn(async move {
        let me = ProcessId::generate();
        while stopped.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            if let Err(err) = sweep(&app, me).await {
                tracing::warn!("cannot forget what has had its time: {err}");
            }
        }
    });
    stop.drop_guard()
}

/// Forgets what is over, if this process is the one that does.
pub async fn sweep(app: &App, me: ProcessId) -> Result<()> {
    let now = app.clock.now();
    let fires_kept = TimeDelta::days(app.config.workers.schedule_fires_days.get().into());
    let mut tx = app.store.begin().await?;
    if leaders::acquire(&mut tx, ROLE, me, now + LEAD, now).await? {
        exports::purge(&mut tx, now).await?;
        schedules::purge_fires(&mut tx, now - fires_kept).await?;
    }
    Ok(tx.commit().await?)
}
