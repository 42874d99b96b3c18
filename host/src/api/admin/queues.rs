use super::{
    Body, Caller, Operator, Problem, Tag,
    figures::{Sample, Totals},
    lanes::{Lane, lanes_of},
    types::{Nullable, Timestamp},
};
use crate::{
    Result,
    ids::WorkspaceId,
    jobs::operate::{self, Purge},
    store::{
        job_admin::{JobFilter, JobState},
        queue_control,
    },
};
use chrono::TimeDelta;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

/// What a queue holds and does.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[expect(clippy::struct_field_names, reason = "`queue` is what every answer calls it")]
struct Queue {
    queue: String,
    /// An operator holds it back.
    paused: bool,
    /// Jobs in flight at once over all processes; absent when unlimited.
    max_in_flight: Option<i64>,
    /// Due, and nobody has them.
    waiting: i64,
    /// Due later: backoff, or a vendor that asked for time.
    delayed: i64,
    /// In the hands of workers.
    active: i64,
    /// Given up: dead letters.
    failed: i64,
    /// Seconds that the oldest due job has waited.
    oldest_waiting_s: i64,
    /// Tries that ended per minute, over the last five minutes.
    throughput_per_minute: f64,
    completed_1h: i64,
    retried_1h: i64,
    failed_1h: i64,
    cancelled_1h: i64,
    /// Processes that take jobs.
    workers: i64,
    /// When this was counted: at most some seconds ago.
    counted_at: Timestamp,
}

/// Every queue.
#[derive(Object)]
struct QueueList {
    data: Vec<Queue>,
}

/// A queue with its lanes.
#[derive(Object)]
struct QueueDetail {
    queue: Queue,
    lanes: Vec<Lane>,
}

/// Whether a queue or lane is held back.
#[derive(Object)]
pub(super) struct Pause {
    queue: String,
    /// Of the queue; `null` when the whole queue is meant.
    lane: Nullable<String>,
    paused: bool,
    /// Since when it is paused; `null` when it is not.
    paused_at: Nullable<Timestamp>,
    /// Who said so last; `null` when nobody did.
    by: Nullable<String>,
}

/// Which dead letters to try anew.
#[derive(Object)]
struct RetryFailed {
    /// Only those of this lane.
    lane: Option<String>,
    /// Only those of this workspace.
    workspace_id: Option<Uuid>,
    /// At most so many; repeat the request for the rest.
    #[oai(default = "at_once", validator(minimum(value = "1"), maximum(value = "1000")))]
    limit: i64,
}

fn at_once() -> i64 {
    operate::AT_ONCE
}

/// What can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Purgeable {
    /// Dead letters.
    Failed,
    Cancelled,
}

/// Which ended jobs to forget.
#[derive(Object)]
struct PurgeFailed {
    /// Only those that ended so many seconds ago.
    #[oai(validator(minimum(value = "0")))]
    older_than_s: i64,
    /// `failed` when absent.
    #[oai(default = "failed")]
    state: Purgeable,
    /// At most so many, oldest first; repeat the request for the rest.
    #[oai(default = "at_once", validator(minimum(value = "1"), maximum(value = "10000")))]
    limit: i64,
}

fn failed() -> Purgeable {
    Purgeable::Failed
}

/// Jobs that were brought back.
#[derive(Object)]
struct Retried {
    retried: u64,
}

/// Jobs that were forgotten.
#[derive(Object)]
struct Purged {
    removed: u64,
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// List the queues
    #[oai(path = "/admin/queues", method = "get", operation_id = "list_queues")]
    async fn list(&self, _caller: Caller) -> Result<Json<QueueList>, Problem> {
        let sample = self.0.figures.read(&self.0.app).await?;
        let data = operate::QUEUES.into_iter().map(|name| Queue::of(&sample, name)).collect();
        Ok(Json(QueueList { data }))
    }

    /// Find a queue
    ///
    /// With its lanes.
    #[oai(path = "/admin/queues/:queue", method = "get", operation_id = "find_queue")]
    async fn find(
        &self,
        _caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
    ) -> Result<Json<QueueDetail>, Problem> {
        let name = operate::queue(&queue.0)?;
        let sample = self.0.figures.read(&self.0.app).await?;
        let lanes = lanes_of(&self.0.app, &sample, name);
        Ok(Json(QueueDetail { queue: Queue::of(&sample, name), lanes }))
    }

    /// Pause a queue
    ///
    /// Nobody takes jobs of it any more; those in flight end as usual. Pausing it again changes
    /// nothing.
    #[oai(path = "/admin/queues/:queue/pause", method = "post", operation_id = "pause_queue")]
    async fn pause(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
    ) -> Result<Json<Pause>, Problem> {
        self.set_paused(&caller, &queue.0, true).await
    }

    /// Resume a queue
    ///
    /// Its jobs are taken again, in their order. Resuming one that is not paused changes nothing.
    #[oai(path = "/admin/queues/:queue/resume", method = "post", operation_id = "resume_queue")]
    async fn resume(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
    ) -> Result<Json<Pause>, Problem> {
        self.set_paused(&caller, &queue.0, false).await
    }

    /// Retry the failed jobs of a queue
    ///
    /// Each starts anew with all its attempts, and so does its run; what the run cost before stays
    /// counted. A job whose run ended otherwise stays where it is.
    #[oai(
        path = "/admin/queues/:queue/failed/retry",
        method = "post",
        operation_id = "retry_failed_jobs"
    )]
    async fn retry(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        which: Body<RetryFailed>,
    ) -> Result<Json<Retried>, Problem> {
        let name = operate::queue(&queue.0)?;
        let RetryFailed { lane, workspace_id, limit } = which.0;
        let workspace = workspace_id.map(WorkspaceId);
        let filter = JobFilter { lane, workspace, ..JobFilter::default() };
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        let jobs = operate::retry_all(&mut tx, name, filter, limit, &actor, now).await?;
        tx.commit().await?;
        self.0.done().await;
        Ok(Json(Retried { retried: u64::try_from(jobs).unwrap_or(u64::MAX) }))
    }

    /// Purge the failed jobs of a queue
    ///
    /// They are forgotten with their errors; their runs stay failed.
    #[oai(
        path = "/admin/queues/:queue/failed/purge",
        method = "post",
        operation_id = "purge_failed_jobs"
    )]
    async fn purge(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        which: Body<PurgeFailed>,
    ) -> Result<Json<Purged>, Problem> {
        let name = operate::queue(&queue.0)?;
        let PurgeFailed { older_than_s, state, limit } = which.0;
        let older_than = TimeDelta::try_seconds(older_than_s).unwrap_or(TimeDelta::MAX);
        let purge = Purge { state: state.into(), older_than, limit };
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        let removed = operate::purge(&mut tx, name, purge, &actor, now).await?;
        tx.commit().await?;
        self.0.done().await;
        Ok(Json(Purged { removed }))
    }
}

impl Api {
    async fn set_paused(
        &self,
        caller: &Caller,
        queue: &str,
        paused: bool,
    ) -> Result<Json<Pause>, Problem> {
        let name = operate::queue(queue)?;
        let mut tx = self.0.app.store.begin().await?;
        let now = self.0.app.clock.now();
        operate::pause_queue(&mut tx, name, paused, &caller.operator(), now).await?;
        let words = queue_control::queues(&mut tx).await?;
        tx.commit().await?;
        self.0.done().await;
        let word = words.into_iter().find(|word| word.queue == name);
        let said = word.map(|word| (word.updated_by, word.updated_at));
        Ok(Json(Pause::new(name, None, paused, said)))
    }
}

impl Pause {
    pub(super) fn new(
        queue: &str,
        lane: Option<&str>,
        paused: bool,
        said: Option<(String, chrono::DateTime<chrono::Utc>)>,
    ) -> Self {
        let (by, at) = said.unzip();
        Pause {
            queue: queue.into(),
            lane: Nullable(lane.map(str::to_owned)),
            paused,
            paused_at: Nullable(at.filter(|_| paused).map(Into::into)),
            by: Nullable(by),
        }
    }
}

impl Queue {
    fn of(sample: &Sample, name: &str) -> Self {
        let word = sample.queue_words.iter().find(|word| word.queue == name);
        let Totals { waiting, delayed, active, failed, oldest_waiting_s, per_minute, hour, day: _ } =
            sample.totals(name);
        Queue {
            queue: name.into(),
            paused: word.is_some_and(|word| word.paused),
            max_in_flight: word.and_then(|word| word.max_in_flight),
            waiting,
            delayed,
            active,
            failed,
            oldest_waiting_s,
            throughput_per_minute: per_minute,
            completed_1h: hour.succeeded,
            retried_1h: hour.retried,
            failed_1h: hour.dead,
            cancelled_1h: hour.cancelled,
            workers: i64::try_from(sample.workers().count()).unwrap_or(i64::MAX),
            counted_at: sample.at.into(),
        }
    }
}

impl From<Purgeable> for JobState {
    fn from(state: Purgeable) -> Self {
        match state {
            Purgeable::Failed => JobState::Failed,
            Purgeable::Cancelled => JobState::Cancelled,
        }
    }
}
