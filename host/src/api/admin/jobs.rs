use super::{Accepted, Caller, Operator, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    Result,
    ids::{JobId, WorkspaceId},
    jobs::operate,
    store::job_admin::{self, JobError, JobFilter, JobRow},
};
use chrono::{DateTime, Utc};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use uuid::Uuid;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum JobState {
    /// Due, and nobody has it.
    Waiting,
    /// Due later.
    Delayed,
    /// In the hands of a worker.
    Active,
    Completed,
    /// Given up: a dead letter.
    Failed,
    Cancelled,
}

/// A piece of background work.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Job {
    id: Uuid,
    queue: String,
    /// Key of the provider, for a run.
    lane: String,
    /// Whose it is; absent for the platform's own.
    workspace_id: Option<Uuid>,
    state: JobState,
    /// Lower goes first.
    priority: i64,
    /// Tries that were made, the present one included.
    attempts: i64,
    /// Tries after which it is given up.
    max_attempts: i64,
    /// How often its worker died.
    lost: i64,
    /// Which life this is: it grows each time the job becomes available again.
    epoch: i64,
    /// When it becomes or became due.
    due_at: Timestamp,
    last_error: Option<String>,
    /// The process that has it.
    worker: Option<Uuid>,
    lease_until: Option<Timestamp>,
    /// When it was handed to the broker; absent without one.
    dispatched_at: Option<Timestamp>,
    created_at: Timestamp,
    /// When its last try began.
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

/// A try that failed.
#[derive(Object)]
struct FailedTry {
    /// 1 for the first one of its life.
    attempt: i64,
    /// The life it was part of.
    epoch: i64,
    error: String,
    at: Timestamp,
}

/// A job with what it is about and what went wrong.
#[derive(Object)]
struct JobDetail {
    job: Job,
    /// Ids of what it works on; it holds nothing else.
    payload: Any<serde_json::Value>,
    /// Oldest first.
    errors: Vec<FailedTry>,
}

page! {
    /// A page of jobs, newest first.
    JobPage of Job
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// List the jobs of a queue
    #[oai(path = "/admin/queues/:queue/jobs", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Only those in this state.
        state: Query<Option<JobState>>,
        /// Only those of this lane.
        lane: Query<Option<String>>,
        /// Only those of this workspace.
        workspace: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<JobPage>, Problem> {
        let app = &self.0.app;
        let filter = JobFilter {
            queue: Some(operate::queue(&queue.0)?.into()),
            state: state.0.map(Into::into),
            lane: lane.0,
            workspace: workspace.0.map(WorkspaceId),
        };
        let page = Paging::open(app, &caller, "jobs", &filter, limit.0, cursor.0.as_deref())?;
        let now = app.clock.now();
        let mut conn = app.store.read().await?;
        let rows = job_admin::list(&mut conn, &filter, page.after, page.fetch(), now).await?;
        let rows = rows.into_iter().map(|row| Seen(row, now)).collect();
        Ok(Json(page.close(rows, |Seen(row, _)| row.id)?.into()))
    }

    /// Find a job
    ///
    /// With what it is about and everything that went wrong with it.
    #[oai(path = "/admin/jobs/:job", method = "get", operation_id = "find_job")]
    async fn find(
        &self,
        _caller: Caller,
        /// Id of the job.
        job: Path<Uuid>,
    ) -> Result<Json<JobDetail>, Problem> {
        let id = JobId(job.0);
        let mut conn = self.0.app.store.read().await?;
        let row = job_admin::find(&mut conn, id).await?;
        let errors = job_admin::errors(&mut conn, id).await?;
        let payload = Any(row.payload.0.clone());
        let errors = errors.into_iter().map(Into::into).collect();
        let job = Seen(row, self.0.app.clock.now()).into();
        Ok(Json(JobDetail { job, payload, errors }))
    }

    /// Retry a failed job
    ///
    /// It starts anew with all its attempts, and so does its run; what the run cost before stays
    /// counted.
    #[oai(path = "/admin/jobs/:job/retry", method = "post", operation_id = "retry_job")]
    async fn retry(
        &self,
        caller: Caller,
        /// Id of the job.
        job: Path<Uuid>,
    ) -> Result<Accepted<Job>, Problem> {
        let (id, now) = (JobId(job.0), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        let row = operate::retry(&mut tx, id, &caller.operator(), now).await?;
        tx.commit().await?;
        self.0.done().await;
        Ok(Accepted::new(format!("/v1/admin/jobs/{id}"), &Seen(row, now).into()))
    }

    /// Cancel a job
    ///
    /// With its run or batch. One that a worker has cannot be cancelled: its money is spent
    /// already.
    #[oai(path = "/admin/jobs/:job/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel(
        &self,
        caller: Caller,
        /// Id of the job.
        job: Path<Uuid>,
    ) -> Result<Json<Job>, Problem> {
        let now = self.0.app.clock.now();
        let mut tx = self.0.app.store.begin().await?;
        let row = operate::cancel(&mut tx, JobId(job.0), &caller.operator(), now).await?;
        tx.commit().await?;
        self.0.done().await;
        Ok(Json(Seen(row, now).into()))
    }

    /// Promote a delayed job
    ///
    /// It becomes due at once; limits of its lane still hold.
    #[oai(path = "/admin/jobs/:job/promote", method = "post", operation_id = "promote_job")]
    async fn promote(
        &self,
        caller: Caller,
        /// Id of the job.
        job: Path<Uuid>,
    ) -> Result<Json<Job>, Problem> {
        let now = self.0.app.clock.now();
        let mut tx = self.0.app.store.begin().await?;
        let row = operate::promote(&mut tx, JobId(job.0), &caller.operator(), now).await?;
        tx.commit().await?;
        self.0.done().await;
        Ok(Json(Seen(row, now).into()))
    }
}

/// A job as it is at a moment.
struct Seen(JobRow, DateTime<Utc>);

impl From<Seen> for Job {
    fn from(Seen(row, now): Seen) -> Self {
        let state = row.state(now).into();
        let JobRow {
            id,
            queue,
            lane,
            workspace_id,
            priority,
            unique_key: _,
            payload: _,
            state: _,
            run_at,
            epoch,
            attempt,
            max_attempts,
            owner,
            lease_until,
            lost,
            last_error,
            dispatched_at,
            created_at,
            started_at,
            finished_at,
        } = row;
        Job {
            id: id.0,
            queue,
            lane,
            workspace_id: (!workspace_id.0.is_nil()).then_some(workspace_id.0),
            state,
            priority,
            attempts: attempt,
            max_attempts,
            lost,
            epoch,
            due_at: run_at.into(),
            last_error,
            worker: owner.map(|owner| owner.0),
            lease_until: lease_until.map(Into::into),
            dispatched_at: dispatched_at.map(Into::into),
            created_at: created_at.into(),
            started_at: started_at.map(Into::into),
            finished_at: finished_at.map(Into::into),
        }
    }
}

impl From<JobError> for FailedTry {
    fn from(JobError { epoch, attempt, error, created_at }: JobError) -> Self {
        FailedTry { attempt, epoch, error, at: created_at.into() }
    }
}

impl From<job_admin::JobState> for JobState {
    fn from(state: job_admin::JobState) -> Self {
        match state {
            job_admin::JobState::Waiting => JobState::Waiting,
            job_admin::JobState::Delayed => JobState::Delayed,
            job_admin::JobState::Active => JobState::Active,
            job_admin::JobState::Completed => JobState::Completed,
            job_admin::JobState::Failed => JobState::Failed,
            job_admin::JobState::Cancelled => JobState::Cancelled,
        }
    }
}

impl From<JobState> for job_admin::JobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => job_admin::JobState::Waiting,
            JobState::Delayed => job_admin::JobState::Delayed,
            JobState::Active => job_admin::JobState::Active,
            JobState::Completed => job_admin::JobState::Completed,
            JobState::Failed => job_admin::JobState::Failed,
            JobState::Cancelled => job_admin::JobState::Cancelled,
        }
    }
}
