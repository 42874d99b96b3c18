use super::{operator::Operator, queue::Clean};
use crate::{
    config::Config,
    ids::{JobId, WorkspaceId},
    jobs::operate,
    store::job_admin::{self, JobFilter, JobRow, JobState},
};
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum JobCommand {
    /// Show jobs, newest first.
    List(List),
    /// Show a job with what it is about and what went wrong.
    Show { id: JobId },
    /// Try a failed job anew, and its run with it.
    Retry { id: JobId },
    /// Try the failed jobs of a queue anew.
    RetryAll(RetryAll),
    /// Cancel a job that no worker has, with its run or batch.
    Cancel { id: JobId },
    /// Make a delayed job due at once.
    Promote { id: JobId },
    /// Forget failed or cancelled jobs of a queue.
    Purge(Clean),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[arg(long)]
    queue: Option<String>,
    #[arg(long, value_enum)]
    state: Option<JobState>,
    #[arg(long)]
    lane: Option<String>,
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    #[arg(long, default_value_t = 50)]
    limit: i64,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetryAll {
    queue: String,
    #[arg(long)]
    lane: Option<String>,
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// At most so many.
    #[arg(long, default_value_t = operate::AT_ONCE)]
    limit: i64,
}

impl JobCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        let operator = Operator::open(&config, json).await?;
        let (actor, now) = (&operator.actor, operator.now);
        match self {
            JobCommand::List(list) => list.run(&operator).await?,
            JobCommand::Show { id } => show(&operator, id).await?,
            JobCommand::Retry { id } => {
                let mut tx = operator.begin().await?;
                let row = operate::retry(&mut tx, id, actor, now).await?;
                tx.commit().await?;
                tell(&operator, &row)?;
            }
            JobCommand::RetryAll(RetryAll { queue, lane, workspace, limit }) => {
                let queue = operate::queue(&queue)?;
                let filter = JobFilter { lane, workspace, ..JobFilter::default() };
                let mut tx = operator.begin().await?;
                let jobs = operate::retry_all(&mut tx, queue, filter, limit, actor, now).await?;
                tx.commit().await?;
                operator.say(&format!("{jobs} jobs are tried anew"), &json!({"retried": jobs}))?;
            }
            JobCommand::Cancel { id } => {
                let mut tx = operator.begin().await?;
                let row = operate::cancel(&mut tx, id, actor, now).await?;
                tx.commit().await?;
                tell(&operator, &row)?;
            }
            JobCommand::Promote { id } => {
                let mut tx = operator.begin().await?;
                let row = operate::promote(&mut tx, id, actor, now).await?;
                tx.commit().await?;
                tell(&operator, &row)?;
            }
            JobCommand::Purge(clean) => clean.run(&operator).await?,
        }
        operator.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(operator: &Operator, row: &JobRow) -> anyhow::Result<()> {
    let state = row.state(operator.now).as_str();
    let facts = json!({"id": row.id, "queue": row.queue, "state": state, "epoch": row.epoch});
    operator.say(&format!("{} is {state}", row.id), &facts)
}

impl List {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let List { queue, state, lane, workspace, limit } = self;
        let queue = queue.as_deref().map(operate::queue).transpose()?.map(str::to_owned);
        let filter = JobFilter { queue, state, lane, workspace };
        let mut conn = operator.store.read().await?;
        let limit = limit.clamp(1, 1000);
        let rows = job_admin::list(&mut conn, &filter, None, limit, operator.now).await?;
        let rows = rows.into_iter().map(|row| {
            vec![
                json!(row.id),
                json!(row.queue),
                json!(row.lane),
                json!(row.state(operator.now).as_str()),
                json!(format!("{}/{}", row.attempt, row.max_attempts)),
                json!(row.run_at),
                json!(row.last_error),
            ]
        });
        let names = ["id", "queue", "lane", "state", "attempts", "due_at", "last_error"];
        operator.table(&names, rows.collect())
    }
}

async fn show(operator: &Operator, id: JobId) -> anyhow::Result<()> {
    let mut conn = operator.store.read().await?;
    let row = job_admin::find(&mut conn, id).await?;
    let errors = job_admin::errors(&mut conn, id).await?;
    let errors: Vec<_> = errors
        .into_iter()
        .map(|e| json!({"epoch": e.epoch, "attempt": e.attempt, "error": e.error, "at": e.created_at}))
        .collect();
    let facts = json!({
        "id": row.id,
        "queue": row.queue,
        "lane": row.lane,
        "state": row.state(operator.now).as_str(),
        "workspace_id": row.workspace_id,
        "payload": row.payload.0,
        "priority": row.priority,
        "epoch": row.epoch,
        "attempts": row.attempt,
        "max_attempts": row.max_attempts,
        "lost": row.lost,
        "due_at": row.run_at,
        "worker": row.owner,
        "lease_until": row.lease_until,
        "dispatched_at": row.dispatched_at,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "last_error": row.last_error,
        "errors": errors,
    });
    operator.say(&serde_json::to_string_pretty(&facts)?, &facts)
}
