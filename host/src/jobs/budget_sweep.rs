//! Looks after the money that lost calls had reserved.

use crate::{
    App, Result,
    ids::ProcessId,
    store::{budget_audit, budgets::Policy, leaders},
    telemetry::metrics,
};
use chrono::TimeDelta;
use std::time::Duration;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How often dead reservations are looked for.
const EVERY: Duration = Duration::from_mins(1);
/// One process does it for all; another takes over after this time.
const LEAD: TimeDelta = TimeDelta::seconds(150);
const ROLE: &str = "budget_sweep";

/// What the configuration says about money.
pub fn budget_policy(app: &App) -> Policy {
    let config = &app.config;
    Policy {
        throttle_at: config
            .workers
            .auto_throttle_enabled
            .then_some(config.budgets.throttle_threshold),
        platform_micros: config.budgets.platform_daily_micros,
    }
}

/// Sweeps until the guard is dropped; its task is waited for through `tasks`.
pub(super) fn start(app: App, tasks: &TaskTracker) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tasks.spawn(async move {
        let me = ProcessId::generate();
        while stopped.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            match sweep(&app, me).await {
                Ok(0) => {}
                Ok(count) => metrics::reservations_swept(count),
                Err(err) => tracing::warn!("cannot look for dead reservations: {err}"),
            }
        }
    });
    stop.drop_guard()
}

async fn sweep(app: &App, me: ProcessId) -> Result<usize> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let mut ended = 0;
    if leaders::acquire(&mut tx, ROLE, me, now + LEAD, now).await? {
        ended = budget_audit::sweep(&mut tx, &budget_policy(app), now).await?;
    }
    tx.commit().await?;
    Ok(ended)
}
