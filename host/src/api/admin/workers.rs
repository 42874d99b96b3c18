use super::{Caller, Operator, Problem, Tag, types::Timestamp};
use crate::{
    Error, Result,
    ids::ProcessId,
    jobs::operate,
    store::processes::{self, Process},
};
use chrono::{DateTime, TimeDelta, Utc};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

/// A process of the platform, as it last said.
#[derive(Object)]
struct Worker {
    id: Uuid,
    /// `api`, `worker`, `scheduler` or `all`.
    role: String,
    host: String,
    pid: i64,
    version: String,
    /// Runs that it does at once; 0 when it does none.
    concurrency: i64,
    in_flight: i64,
    /// It takes no more jobs.
    draining: bool,
    /// It said so within the last half minute.
    alive: bool,
    /// The generation of components that it has in service.
    provider_generation: i64,
    started_at: Timestamp,
    seen_at: Timestamp,
}

/// The processes of the last day.
#[derive(Object)]
struct WorkerList {
    data: Vec<Worker>,
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// List the workers
    ///
    /// The processes of the last day, those that ended without a word included.
    #[oai(path = "/admin/workers", method = "get", operation_id = "list_workers")]
    async fn list(&self, _caller: Caller) -> Result<Json<WorkerList>, Problem> {
        let now = self.0.app.clock.now();
        let mut conn = self.0.app.store.read().await?;
        let rows = processes::list(&mut conn, now - TimeDelta::hours(24)).await?;
        Ok(Json(WorkerList { data: rows.into_iter().map(|row| Worker::of(row, now)).collect() }))
    }

    /// Drain a worker
    ///
    /// It takes no more jobs and ends those it has; within ten seconds, when it next says that it
    /// lives. Only a restart makes it take jobs again.
    #[oai(path = "/admin/workers/:worker/drain", method = "post", operation_id = "drain_worker")]
    async fn drain(
        &self,
        caller: Caller,
        /// Id of the process.
        worker: Path<Uuid>,
    ) -> Result<Json<Worker>, Problem> {
        let (id, now) = (ProcessId(worker.0), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        operate::drain(&mut tx, id, &caller.operator(), now).await?;
        let rows = processes::list(&mut tx, DateTime::<Utc>::UNIX_EPOCH).await?;
        tx.commit().await?;
        self.0.done().await;
        let row = rows.into_iter().find(|row| row.id == id).ok_or(Error::NotFound("worker"))?;
        Ok(Json(Worker::of(row, now)))
    }
}

impl Worker {
    fn of(row: Process, now: DateTime<Utc>) -> Self {
        let Process {
            id,
            role,
            host,
            pid,
            version,
            concurrency,
            in_flight,
            draining,
            started_at,
            seen_at,
            provider_generation,
        } = row;
        Worker {
            id: id.0,
            role,
            host,
            pid,
            version,
            concurrency,
            in_flight,
            draining,
            alive: now - seen_at < TimeDelta::seconds(30),
            provider_generation,
            started_at: started_at.into(),
            seen_at: seen_at.into(),
        }
    }
}
