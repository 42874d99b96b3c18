use super::operator::Operator;
use crate::{config::Config, ids::ProcessId, jobs::operate, store::processes};
use chrono::TimeDelta;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum WorkerCommand {
    /// Show the processes of the last day.
    List,
    /// Ask a process to take no more jobs; a restart ends that.
    Drain { id: ProcessId },
}

impl WorkerCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        let operator = Operator::open(&config, json).await?;
        let now = operator.now;
        match self {
            WorkerCommand::List => {
                let mut conn = operator.store.read().await?;
                let rows = processes::list(&mut conn, now - TimeDelta::hours(24)).await?;
                let rows = rows.into_iter().map(|row| {
                    vec![
                        json!(row.id),
                        json!(row.role),
                        json!(row.host),
                        json!(row.pid),
                        json!(row.in_flight),
                        json!(row.concurrency),
                        json!(row.draining),
                        json!(now - row.seen_at < TimeDelta::seconds(30)),
                    ]
                });
                let names =
                    ["id", "role", "host", "pid", "in_flight", "concurrency", "draining", "alive"];
                operator.table(&names, rows.collect())?;
            }
            WorkerCommand::Drain { id } => {
                let mut tx = operator.begin().await?;
                operate::drain(&mut tx, id, &operator.actor, now).await?;
                tx.commit().await?;
                operator.say(
                    &format!("{id} takes no more jobs"),
                    &json!({"id": id, "draining": true}),
                )?;
            }
        }
        operator.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
