use super::operator::Operator;
use crate::{
    config::Config,
    jobs::operate,
    store::{
        lanes::FULL,
        queue_control::{self, LaneLimits},
    },
};
use serde_json::json;
use std::{collections::BTreeSet, process::ExitCode};

#[derive(Debug, clap::Subcommand)]
pub(super) enum LaneCommand {
    /// Show what the lanes of a queue hold and what is said about them.
    List {
        #[arg(default_value = "runPrompt")]
        queue: String,
    },
    /// Set the limits of a lane; what is left out is left to the component.
    Set(SetLimits),
    /// Keep workers from taking jobs of a lane; those in flight end as usual.
    Pause { queue: String, lane: String },
    /// Let workers take jobs of a lane again.
    Resume { queue: String, lane: String },
    /// Forget what a vendor's refusals did to a lane.
    Unblock { queue: String, lane: String },
}

#[derive(Debug, clap::Args)]
pub(super) struct SetLimits {
    queue: String,
    /// Key of the provider.
    lane: String,
    /// Starts per minute in the long run.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    per_minute: Option<i64>,
    /// Starts at once before the rate applies.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    burst: Option<i64>,
    /// Jobs in flight at once over all processes.
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    max_in_flight: Option<i64>,
}

impl LaneCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        let operator = Operator::open(&config, json).await?;
        let (actor, now) = (&operator.actor, operator.now);
        match self {
            LaneCommand::List { queue } => list(&operator, operate::queue(&queue)?).await?,
            LaneCommand::Set(SetLimits { queue, lane, per_minute, burst, max_in_flight }) => {
                let queue = operate::queue(&queue)?;
                let limits = LaneLimits { per_minute, burst, max_in_flight };
                let mut tx = operator.begin().await?;
                operate::limit_lane(&mut tx, (queue, &lane), limits, actor, now).await?;
                tx.commit().await?;
                operator.say(&format!("limits of {queue}/{lane} are set"), &json!(limits))?;
            }
            LaneCommand::Pause { queue, lane } => pause(&operator, &queue, &lane, true).await?,
            LaneCommand::Resume { queue, lane } => pause(&operator, &queue, &lane, false).await?,
            LaneCommand::Unblock { queue, lane } => {
                let queue = operate::queue(&queue)?;
                let mut tx = operator.begin().await?;
                operate::unblock_lane(&mut tx, (queue, &lane), actor, now).await?;
                tx.commit().await?;
                let facts = json!({"queue": queue, "lane": lane, "blocked_until": null});
                operator.say(&format!("{queue}/{lane} goes on"), &facts)?;
            }
        }
        operator.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) async fn list(operator: &Operator, queue: &str) -> anyhow::Result<()> {
    let mut conn = operator.store.read().await?;
    let counts = queue_control::count(&mut conn, operator.now).await?;
    let words = queue_control::lanes(&mut conn, Some(queue)).await?;
    drop(conn);
    let held = counts.iter().filter(|count| count.queue == queue).map(|count| &count.lane);
    let lanes: BTreeSet<_> = held.chain(words.iter().map(|word| &word.control.lane)).collect();
    let rows = lanes.into_iter().map(|lane| {
        let count = counts.iter().find(|count| count.queue == queue && count.lane == *lane);
        let control = words.iter().map(|word| &word.control).find(|word| word.lane == *lane);
        let share = control.map_or(FULL, |control| control.throttle);
        let blocked = control.and_then(|control| control.blocked_until);
        vec![
            json!(if lane.is_empty() { "default" } else { lane }),
            json!(count.map_or(0, |count| count.waiting)),
            json!(count.map_or(0, |count| count.running)),
            json!(count.map_or(0, |count| count.delayed)),
            json!(control.and_then(|control| control.per_minute)),
            json!(control.and_then(|control| control.burst)),
            json!(control.and_then(|control| control.max_in_flight)),
            json!(f64::from(i32::try_from(share).unwrap_or(0)) / 1000.0),
            json!(blocked.filter(|until| *until > operator.now)),
            json!(control.is_some_and(|control| control.paused)),
        ]
    });
    let names = [
        "lane",
        "waiting",
        "active",
        "delayed",
        "per_minute",
        "burst",
        "max_in_flight",
        "throttle",
        "blocked_until",
        "paused",
    ];
    operator.table(&names, rows.collect())
}

async fn pause(operator: &Operator, queue: &str, lane: &str, paused: bool) -> anyhow::Result<()> {
    let queue = operate::queue(queue)?;
    let name = if lane == "default" { "" } else { lane };
    let mut tx = operator.begin().await?;
    let at = (queue, name);
    operate::pause_lane(&mut tx, at, paused, &operator.actor, operator.now).await?;
    tx.commit().await?;
    let word = if paused { "paused" } else { "not paused" };
    let facts = json!({"queue": queue, "lane": lane, "paused": paused});
    operator.say(&format!("{queue}/{lane} is {word}"), &facts)
}
