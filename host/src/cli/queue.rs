use super::{
    doctor,
    operator::{Operator, age},
};
use crate::{
    config::Config,
    jobs::operate::{self, Purge},
    store::{job_admin::JobState, queue_control, queue_minutes},
};
use chrono::TimeDelta;
use clap::ValueEnum;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum QueueCommand {
    /// Show what every queue holds and does.
    #[command(alias = "counts")]
    List,
    /// Show the lanes of a queue.
    Show { queue: String },
    /// Keep workers from taking jobs of a queue; those in flight end as usual.
    Pause { queue: String },
    /// Let workers take jobs of a queue again.
    Resume { queue: String },
    /// Forget failed or cancelled jobs of a queue.
    Clean(Clean),
    /// Check what the queues need.
    Doctor,
}

#[derive(Debug, clap::Args)]
pub(super) struct Clean {
    queue: String,
    #[arg(long, value_enum, default_value = "failed")]
    state: Ended,
    /// Only those that ended so long ago, such as 24h.
    #[arg(long, value_parser = age, default_value = "0s")]
    older_than: TimeDelta,
    /// At most so many, oldest first.
    #[arg(long, default_value_t = 1000)]
    limit: i64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ended {
    #[value(alias = "dead")]
    Failed,
    Cancelled,
}

impl QueueCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        if let QueueCommand::Doctor = self {
            return doctor::queues(&config, json).await;
        }
        let operator = Operator::open(&config, json).await?;
        match self {
            QueueCommand::List | QueueCommand::Doctor => list(&operator).await?,
            QueueCommand::Show { queue } => {
                super::lane::list(&operator, operate::queue(&queue)?).await?;
            }
            QueueCommand::Pause { queue } => pause(&operator, &queue, true).await?,
            QueueCommand::Resume { queue } => pause(&operator, &queue, false).await?,
            QueueCommand::Clean(clean) => clean.run(&operator).await?,
        }
        operator.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(operator: &Operator) -> anyhow::Result<()> {
    let now = operator.now;
    let mut conn = operator.store.read().await?;
    let lanes = queue_control::count(&mut conn, now).await?;
    let dead = queue_control::count_dead(&mut conn).await?;
    let words = queue_control::queues(&mut conn).await?;
    let hour = queue_minutes::since(&mut conn, now - TimeDelta::hours(1)).await?;
    drop(conn);
    let rows = operate::QUEUES.into_iter().map(|queue| {
        let of = || lanes.iter().filter(move |lane| lane.queue == queue);
        let oldest = of().filter_map(|lane| lane.oldest_due_at).min();
        let done = hour.iter().find(|sum| sum.queue == queue);
        vec![
            json!(queue),
            json!(of().map(|lane| lane.waiting).sum::<i64>()),
            json!(of().map(|lane| lane.running).sum::<i64>()),
            json!(of().map(|lane| lane.delayed).sum::<i64>()),
            json!(done.map_or(0, |sum| sum.succeeded)),
            json!(dead.iter().find(|(name, _)| name == queue).map_or(0, |(_, jobs)| *jobs)),
            json!(oldest.map_or(0, |due| (now - due).num_seconds().max(0))),
            json!(words.iter().any(|word| word.queue == queue && word.paused)),
        ]
    });
    let names = [
        "queue",
        "waiting",
        "active",
        "delayed",
        "completed_1h",
        "failed",
        "oldest_waiting_s",
        "paused",
    ];
    operator.table(&names, rows.collect())
}

async fn pause(operator: &Operator, queue: &str, paused: bool) -> anyhow::Result<()> {
    let queue = operate::queue(queue)?;
    let mut tx = operator.begin().await?;
    operate::pause_queue(&mut tx, queue, paused, &operator.actor, operator.now).await?;
    tx.commit().await?;
    let word = if paused { "paused" } else { "not paused" };
    operator.say(&format!("{queue} is {word}"), &json!({"queue": queue, "paused": paused}))
}

impl Clean {
    pub(super) async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let queue = operate::queue(&self.queue)?;
        let state = match self.state {
            Ended::Failed => JobState::Failed,
            Ended::Cancelled => JobState::Cancelled,
        };
        let purge = Purge { state, older_than: self.older_than, limit: self.limit };
        let mut tx = operator.begin().await?;
        let removed = operate::purge(&mut tx, queue, purge, &operator.actor, operator.now).await?;
        tx.commit().await?;
        operator.say(&format!("removed {removed} jobs of {queue}"), &json!({"removed": removed}))
    }
}
