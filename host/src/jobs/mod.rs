//! What happens later: one file per job.
//!
//! **Invariant:** a job may run twice; the second time changes nothing.

use crate::{
    App, Error, Result,
    queue::{Ended, Handlers, QueueSpec, Rate},
    store::{
        Conn,
        jobs::{Claimed, NewJob, Priority},
    },
};
use anyhow::Context as _;
use futures_util::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use std::future::Future;
use tokio_util::{sync::DropGuard, task::TaskTracker};

pub mod schedules;

mod alert_rules;
mod analysis;
mod archive;
mod budget_sweep;
pub mod build_report;
mod call_log;
mod daily_aggregations;
mod delete_workspace;
pub mod deliver_webhook;
mod export_workspace;
mod gather;
pub mod operate;
mod permits;
mod publisher;
mod reanalyse;
pub mod retention;
mod run_batch;
mod run_case;
mod run_prompt;
mod run_reader;
mod run_writer;
mod test_engine;

use self::{
    analysis::Analyzers, call_log::CallLog, permits::Permits, run_reader::RunReader,
    run_writer::RunWriter,
};
pub use self::{
    budget_sweep::budget_policy,
    build_report::BuildReport,
    daily_aggregations::DailyAggregations,
    delete_workspace::{DeleteWorkspace, request_deletion},
    deliver_webhook::DeliverWebhook,
    export_workspace::{ExportWorkspace, start_export},
    publisher::{KEPT, Publisher},
    reanalyse::{ReanalyseAnswers, start_analysis},
    run_batch::{BatchRequest, BudgetFit, RunBatch, budget_fit, plan_batch, start_batch},
    run_case::run_case,
    run_prompt::RunPrompt,
    test_engine::{TestStatus, Tested, test_engine},
};

/// A piece of work that survives a restart.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of its queue, in the metrics and in the logs too.
    const QUEUE: &'static str;
    const MAX_ATTEMPTS: i64;

    fn run(
        self,
        context: &Context,
        claimed: &Claimed,
    ) -> impl Future<Output = Result<Ended>> + Send;

    /// The job as a row of its queue, due at once.
    fn queued(&self, app: &App) -> Result<NewJob> {
        Ok(NewJob {
            queue: Self::QUEUE,
            lane: String::new(),
            workspace: None,
            priority: Priority::default().value(),
            unique_key: None,
            payload: serde_json::to_value(self).context("write a job's payload")?,
            run_at: app.clock.now(),
            max_attempts: Self::MAX_ATTEMPTS,
        })
    }
}

/// What jobs work with, beside the app: things that a worker process has once.
pub struct Context {
    pub app: App,
    run_reader: RunReader,
    run_writer: RunWriter,
    call_log: CallLog,
    analyzers: Analyzers,
    permits: Permits,
    _sweepers: [DropGuard; 2],
    _publisher: DropGuard,
    _call_log: DropGuard,
}

impl Context {
    /// Its tasks end when it is dropped, and are waited for through `tasks`.
    pub fn new(app: App, tasks: &TaskTracker) -> Self {
        let run_reader = RunReader::start(app.store.clone(), tasks);
        let run_writer = RunWriter::start(&app.store, &app.clock, &budget_policy(&app), tasks);
        let sweepers =
            [budget_sweep::start(app.clone(), tasks), retention::start(app.clone(), tasks)];
        let publisher = Publisher::start(app.clone(), tasks);
        let (call_log, kept) = CallLog::start(app.clone(), tasks);
        Context {
            app,
            run_reader,
            run_writer,
            call_log,
            analyzers: Analyzers::default(),
            permits: Permits::default(),
            _sweepers: sweepers,
            _publisher: publisher,
            _call_log: kept,
        }
    }
}

impl Handlers for Context {
    fn queues(&self) -> Vec<QueueSpec> {
        let workers = &self.app.config.workers;
        vec![
            QueueSpec { name: RunPrompt::QUEUE, concurrency: workers.runs_at_once() },
            QueueSpec { name: RunBatch::QUEUE, concurrency: workers.run_batch.max(1) },
            QueueSpec {
                name: DailyAggregations::QUEUE,
                concurrency: workers.daily_aggregations.max(1),
            },
            QueueSpec { name: ReanalyseAnswers::QUEUE, concurrency: workers.reanalyse.max(1) },
            QueueSpec { name: ExportWorkspace::QUEUE, concurrency: 1 },
            QueueSpec { name: DeleteWorkspace::QUEUE, concurrency: 1 },
            QueueSpec { name: BuildReport::QUEUE, concurrency: workers.build_report.max(1) },
            QueueSpec { name: DeliverWebhook::QUEUE, concurrency: workers.deliver_webhook.max(1) },
        ]
    }

    fn rate(&self, queue: &str, lane: &str) -> Option<Rate> {
        stated_rate(&self.app, queue, lane)
    }

    fn bury<'a>(
        &'a self,
        conn: &'a mut Conn,
        queue: &'a str,
        payload: serde_json::Value,
        error: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // A payload that says nothing has nothing to clean up.
            match queue {
                RunPrompt::QUEUE => match serde_json::from_value::<RunPrompt>(payload) {
                    Ok(job) => job.bury(self, conn, error).await,
                    Err(_) => Ok(()),
                },
                ReanalyseAnswers::QUEUE => match serde_json::from_value(payload) {
                    Ok(job) => ReanalyseAnswers::bury(&job, self, conn, error).await,
                    Err(_) => Ok(()),
                },
                ExportWorkspace::QUEUE => match serde_json::from_value(payload) {
                    Ok(job) => ExportWorkspace::bury(&job, self, conn, error).await,
                    Err(_) => Ok(()),
                },
                BuildReport::QUEUE => match serde_json::from_value::<BuildReport>(payload) {
                    Ok(job) => job.bury(&self.app, conn).await,
                    Err(_) => Ok(()),
                },
                _ => Ok(()),
            }
        })
    }

    fn run(&self, claimed: Claimed) -> BoxFuture<'_, Result<Ended>> {
        match claimed.queue.as_str() {
            RunPrompt::QUEUE => Box::pin(perform::<RunPrompt>(self, claimed)),
            RunBatch::QUEUE => Box::pin(perform::<RunBatch>(self, claimed)),
            DailyAggregations::QUEUE => Box::pin(perform::<DailyAggregations>(self, claimed)),
            ReanalyseAnswers::QUEUE => Box::pin(perform::<ReanalyseAnswers>(self, claimed)),
            ExportWorkspace::QUEUE => Box::pin(perform::<ExportWorkspace>(self, claimed)),
            DeleteWorkspace::QUEUE => Box::pin(perform::<DeleteWorkspace>(self, claimed)),
            BuildReport::QUEUE => Box::pin(perform::<BuildReport>(self, claimed)),
            DeliverWebhook::QUEUE => Box::pin(perform::<DeliverWebhook>(self, claimed)),
            other => {
                let error = Error::Internal(anyhow::anyhow!("no job is called {other}"));
                Box::pin(async move { Err(error) })
            }
        }
    }
}

/// How often the component of a lane says that it may be asked. All workspaces share a vendor's
/// patience, whatever surface they ask: the slowest one counts.
pub fn stated_rate(app: &App, queue: &str, lane: &str) -> Option<Rate> {
    if queue != RunPrompt::QUEUE || app.providers.is_synthetic() {
        return None;
    }
    let route = app.providers.find(lane)?;
    let stated = route.manifest.surfaces.iter().filter(|s| s.requests_per_second > 0.0);
    let slowest = stated.min_by(|a, b| a.requests_per_second.total_cmp(&b.requests_per_second));
    slowest.map(|surface| Rate {
        per_minute: surface.requests_per_second * 60.0,
        burst: surface.burst.max(1),
    })
}

async fn perform<J: Job>(context: &Context, claimed: Claimed) -> Result<Ended> {
    let job = J::deserialize(&claimed.payload.0).context("read a job's payload")?;
    job.run(context, &claimed).await
}
