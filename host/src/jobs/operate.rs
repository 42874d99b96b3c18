//! What operators do to queues, lanes, jobs and workers, from the API and from the command line.
//!
//! **Invariant:** every deed that changes something leaves a line in the audit log, in the same
//! transaction; one that finds everything as it should be leaves none.
//! **Invariant:** the database is all that is spoken to. A broker is told by whoever reads it.

use super::{
    BuildReport, DailyAggregations, DeleteWorkspace, DeliverWebhook, ExportWorkspace, Job,
    ReanalyseAnswers, RunBatch, RunPrompt,
};
use crate::{
    Error, Result,
    ids::{JobId, ProcessId, RunId, WorkspaceId},
    store::{
        Conn,
        audit_logs::{self, Actor},
        batches, hints,
        job_admin::{self, JobFilter, JobRow, JobState},
        queue_control::{self, LaneLimits, Said},
        run_admin, runs,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::collections::HashSet;

/// Every queue by its name. Nothing is put into `copilotPlanner` yet.
pub const QUEUES: [&str; 9] = [
    RunPrompt::QUEUE,
    RunBatch::QUEUE,
    DailyAggregations::QUEUE,
    ReanalyseAnswers::QUEUE,
    ExportWorkspace::QUEUE,
    DeleteWorkspace::QUEUE,
    DeliverWebhook::QUEUE,
    BuildReport::QUEUE,
    "copilotPlanner",
];

/// Jobs that one deed may touch: more are done by repeating it.
pub const AT_ONCE: i64 = 1000;

/// The queue of this name.
///
/// # Errors
/// When there is none; the error names those there are.
pub fn queue(name: &str) -> Result<&'static str> {
    QUEUES.into_iter().find(|queue| *queue == name).ok_or(Error::NotFound(
        "queue (runPrompt, runBatch, dailyAggregations, reanalyseAnswers, exportWorkspace, \
         deleteWorkspace, deliverWebhook, buildReport and copilotPlanner are there)",
    ))
}

/// Pauses a queue or lets it go on. Jobs in flight end as usual.
pub async fn pause_queue(
    conn: &mut Conn,
    queue: &str,
    paused: bool,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    let said = Said { by: &actor.name, at: now };
    if queue_control::pause_queue(conn, queue, paused, said).await? {
        let action = if paused { "queue.pause" } else { "queue.resume" };
        audit_logs::note(conn, actor, action, queue, json!({}), now).await?;
        hints::work(conn).await?;
    }
    Ok(())
}

/// Pauses a lane or lets it go on, like [`pause_queue`].
pub async fn pause_lane(
    conn: &mut Conn,
    (queue, lane): (&str, &str),
    paused: bool,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    let said = Said { by: &actor.name, at: now };
    if queue_control::pause_lane(conn, queue, lane, paused, said).await? {
        let action = if paused { "lane.pause" } else { "lane.resume" };
        let id = format!("{queue}/{lane}");
        audit_logs::note(conn, actor, action, id, json!({}), now).await?;
        hints::work(conn).await?;
    }
    Ok(())
}

/// Sets how much a lane may do.
pub async fn limit_lane(
    conn: &mut Conn,
    (queue, lane): (&str, &str),
    limits: LaneLimits,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    let said = Said { by: &actor.name, at: now };
    queue_control::limit_lane(conn, queue, lane, limits, said).await?;
    let id = format!("{queue}/{lane}");
    audit_logs::note(conn, actor, "lane.limit", id, json!(limits), now).await?;
    hints::work(conn).await
}

/// Forgets what a vendor's refusals did to a lane: it goes on at once, at its whole rate.
pub async fn unblock_lane(
    conn: &mut Conn,
    (queue, lane): (&str, &str),
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    let said = Said { by: &actor.name, at: now };
    if queue_control::unblock_lane(conn, queue, lane, said).await? {
        let id = format!("{queue}/{lane}");
        audit_logs::note(conn, actor, "lane.unblock", id, json!({}), now).await?;
        hints::work(conn).await?;
    }
    Ok(())
}

/// Tries a dead letter anew, and its run with it.
pub async fn retry(
    conn: &mut Conn,
    id: JobId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<JobRow> {
    let job = job_admin::find(conn, id).await?;
    if job.state(now) != JobState::Failed {
        let state = job.state(now).as_str();
        let detail = format!("the job is {state}: only a failed one can be tried again");
        return Err(Error::Conflict(detail));
    }
    if revive(conn, &[job], now).await?.is_empty() {
        let detail = "the job's run ended otherwise, or its batch was cancelled: start a new batch";
        return Err(Error::Conflict(detail.into()));
    }
    audit_logs::note(conn, actor, "job.retry", id, json!({}), now).await?;
    hints::work(conn).await?;
    job_admin::find(conn, id).await
}

/// Tries dead letters of a queue anew, at most [`AT_ONCE`]; returns how many.
pub async fn retry_all(
    conn: &mut Conn,
    queue: &str,
    filter: JobFilter,
    limit: i64,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<usize> {
    let state = Some(JobState::Failed);
    let filter = JobFilter { queue: Some(queue.to_owned()), state, ..filter };
    let limit = limit.clamp(1, AT_ONCE);
    let (mut before, mut revived) = (None, 0);
    // Letters that cannot come back must not hide those behind them.
    loop {
        let wanted = limit - i64::try_from(revived).unwrap_or(limit);
        let jobs = job_admin::list(conn, &filter, before, wanted, now).await?;
        before = jobs.last().map(|job| job.id);
        revived += revive(conn, &jobs, now).await?.len();
        if before.is_none() || i64::try_from(revived).unwrap_or(limit) >= limit {
            break;
        }
    }
    if revived > 0 {
        let what = json!({"lane": filter.lane, "workspace": filter.workspace, "jobs": revived});
        audit_logs::note(conn, actor, "queue.retry_failed", queue, what, now).await?;
        hints::work(conn).await?;
    }
    Ok(revived)
}

/// Brings dead jobs back with their runs; one whose run cannot come back stays dead.
async fn revive(conn: &mut Conn, jobs: &[JobRow], now: DateTime<Utc>) -> Result<Vec<JobId>> {
    let of_run = |job: &JobRow| {
        let payload = (job.queue == RunPrompt::QUEUE).then(|| job.payload.0.clone())?;
        let RunPrompt { workspace, run } = serde_json::from_value(payload).ok()?;
        Some((workspace, run))
    };
    let asked: Vec<_> = jobs.iter().filter_map(of_run).collect();
    let failed = run_admin::failed(conn, &asked).await?;
    let known: HashSet<_> = failed.iter().map(|run| (run.workspace_id, run.id)).collect();
    let able: Vec<_> = jobs
        .iter()
        .filter(|job| {
            job.queue != RunPrompt::QUEUE || of_run(job).is_some_and(|run| known.contains(&run))
        })
        .map(|job| job.id)
        .collect();
    // The jobs first: whoever turns their rows is the one to turn their runs.
    let revived = job_admin::revive(conn, &able, now).await?;
    let back: HashSet<_> =
        jobs.iter().filter(|job| revived.contains(&job.id)).filter_map(of_run).collect();
    let runs: Vec<_> =
        failed.into_iter().filter(|run| back.contains(&(run.workspace_id, run.id))).collect();
    run_admin::requeue(conn, &runs).await?;
    Ok(revived)
}

/// Cancels a job that nobody holds, with its run or batch.
pub async fn cancel(
    conn: &mut Conn,
    id: JobId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<JobRow> {
    let job = job_admin::find(conn, id).await?;
    if !job_admin::cancel(conn, id, now).await? {
        return Err(Error::Conflict(match job.state(now) {
            JobState::Active => "a worker has the job: it ends by itself, and its money is spent \
                                 already; pause the lane to keep others from starting"
                .into(),
            state => format!("the job is {}: there is nothing to cancel", state.as_str()),
        }));
    }
    let payload = job.payload.0.clone();
    match job.queue.as_str() {
        RunPrompt::QUEUE => {
            if let Ok(RunPrompt { workspace, run }) = serde_json::from_value(payload) {
                let run = runs::find(conn, workspace, run).await?;
                if run.finished_at.is_none() {
                    run_admin::cancel(conn, workspace, &run, true, now).await?;
                }
            }
        }
        RunBatch::QUEUE => {
            if let Ok(RunBatch { workspace, batch, .. }) = serde_json::from_value(payload) {
                let batch = batches::find(conn, workspace, batch).await?;
                if batch.finished_at.is_none() {
                    batches::cancel(conn, workspace, batch.id, now).await?;
                }
            }
        }
        _ => {}
    }
    audit_logs::note(conn, actor, "job.cancel", id, json!({"queue": job.queue}), now).await?;
    job_admin::find(conn, id).await
}

/// Makes a delayed job due at once.
pub async fn promote(
    conn: &mut Conn,
    id: JobId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<JobRow> {
    let job = job_admin::find(conn, id).await?;
    if !job_admin::promote(conn, id, now).await? {
        let state = job.state(now).as_str();
        let detail = format!("the job is {state}: only a delayed one can be brought forward");
        return Err(Error::Conflict(detail));
    }
    audit_logs::note(conn, actor, "job.promote", id, json!({"was_due": job.run_at}), now).await?;
    hints::work(conn).await?;
    job_admin::find(conn, id).await
}

/// Which ended jobs to forget.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Failed or cancelled.
    pub state: JobState,
    pub older_than: TimeDelta,
    /// At most [`AT_ONCE`] × 10.
    pub limit: i64,
}

/// Forgets failed or cancelled jobs of a queue; returns how many.
pub async fn purge(
    conn: &mut Conn,
    queue: &str,
    purge: Purge,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<u64> {
    let limit = purge.limit.clamp(1, AT_ONCE * 10);
    let before = now.checked_sub_signed(purge.older_than).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let removed = job_admin::purge(conn, queue, purge.state, before, limit).await?;
    if removed > 0 {
        let what = json!({"state": purge.state, "ended_before": before, "removed": removed});
        audit_logs::note(conn, actor, "queue.purge", queue, what, now).await?;
    }
    Ok(removed)
}

/// Asks a worker process to take no more jobs.
pub async fn drain(
    conn: &mut Conn,
    process: ProcessId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    job_admin::drain(conn, process).await?;
    audit_logs::note(conn, actor, "worker.drain", process, json!({}), now).await
}

/// Calls off a run of a workspace that was not asked yet. Its job finds it so and ends.
pub async fn cancel_run(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: RunId,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    let run = runs::find(conn, workspace, id).await?;
    run_admin::cancel(conn, workspace, &run, false, now).await?;
    audit_logs::note(conn, actor, "run.cancel", id, json!({"engine": run.engine}), now).await
}
