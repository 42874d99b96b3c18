use super::{
    Conn,
    bulk::Rows,
    events::{self, EventType, NewEvent},
    on_db,
};
use crate::{
    Error, Result,
    ids::{BatchId, PromptId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, query, query_as, types::Json};
use std::collections::BTreeSet;

/// One expansion of prompts × engines × samples.
#[derive(Debug, Clone, FromRow)]
pub struct Batch {
    pub id: BatchId,
    pub workspace_id: WorkspaceId,
    pub state: BatchState,
    /// The instant the runs stand for, part of each run's key.
    pub slot: String,
    pub samples: i64,
    pub selection: Json<Selection>,
    /// Runs that the selection asks for. Those that the slot had already are not made again.
    pub planned: i64,
    pub estimated_micros: i64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Its runs are being made.
    Expanding,
    Running,
    Completed,
    Cancelled,
}

/// What a batch asks whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Selection {
    pub prompts: Vec<PromptId>,
    /// Keys of engines.
    pub engines: Vec<String>,
}

/// How far the runs of a batch are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchProgress {
    pub queued: i64,
    pub running: i64,
    pub succeeded: i64,
    pub failed: i64,
    pub skipped: i64,
    pub cancelled: i64,
    pub cost_micros: i64,
}

impl BatchProgress {
    /// Runs that were made.
    pub fn total(&self) -> i64 {
        self.queued + self.running + self.finished()
    }

    pub fn finished(&self) -> i64 {
        self.succeeded + self.failed + self.skipped + self.cancelled
    }
}

pub async fn insert(conn: &mut Conn, batch: &Batch) -> Result<()> {
    let Batch {
        id,
        workspace_id,
        state,
        slot,
        samples,
        selection,
        planned,
        estimated_micros,
        created_by,
        created_at,
        finished_at,
    } = batch;
    on_db!(conn, |c| query(
        "INSERT INTO batches (id, workspace_id, state, slot, samples, selection, planned,
                              estimated_micros, created_by, created_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(workspace_id)
    .bind(state)
    .bind(slot)
    .bind(samples)
    .bind(selection)
    .bind(planned)
    .bind(estimated_micros)
    .bind(created_by)
    .bind(created_at)
    .bind(finished_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: BatchId) -> Result<Batch> {
    on_db!(conn, |c| query_as("SELECT * FROM batches WHERE workspace_id = $1 AND id = $2")
        .bind(workspace)
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("batch"))
}

/// The page before `before`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    before: Option<BatchId>,
    limit: i64,
) -> Result<Vec<Batch>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM batches WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Counted from the runs each time: a counter of its own could drift.
pub async fn progress(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: BatchId,
) -> Result<BatchProgress> {
    let rows: Vec<(String, i64, i64)> = on_db!(conn, |c| query_as(
        "SELECT state, COUNT(*), CAST(COALESCE(SUM(cost_micros), 0) AS BIGINT)
         FROM runs WHERE workspace_id = $1 AND batch_id = $2 GROUP BY state",
    )
    .bind(workspace)
    .bind(id)
    .fetch_all(c)
    .await)?;
    let mut progress = BatchProgress::default();
    for (state, runs, cost_micros) in rows {
        progress.cost_micros += cost_micros;
        match state.as_str() {
            "queued" => progress.queued += runs,
            "running" => progress.running += runs,
            "succeeded" => progress.succeeded += runs,
            "skipped" => progress.skipped += runs,
            "cancelled" => progress.cancelled += runs,
            _ => progress.failed += runs,
        }
    }
    Ok(progress)
}

/// Notes that all runs of the batch are made.
pub async fn expanded(conn: &mut Conn, workspace: WorkspaceId, id: BatchId) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE batches SET state = 'running'
         WHERE workspace_id = $1 AND id = $2 AND state = 'expanding'",
    )
    .bind(workspace)
    .bind(id)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Completes those of the batches whose runs have all ended.
///
/// **Invariant:** two that end the last runs of a batch at the same time do not both leave it to
/// the other: whoever comes second waits here, and then sees what the first one wrote.
pub async fn complete(
    conn: &mut Conn,
    batches: &BTreeSet<(WorkspaceId, BatchId)>,
    now: DateTime<Utc>,
) -> Result<()> {
    let batches: Vec<_> = batches.iter().copied().collect();
    let rows = |now| {
        Rows::new(&batches)
            .column("workspace_id", |(workspace, _)| *workspace)
            .column("id", |(_, id)| *id)
            .column("now", move |_| now)
    };
    if conn.is_postgres() {
        let locked = rows(now).fetch::<(BatchId,)>(
            conn,
            "SELECT batches.id FROM v JOIN batches
               ON batches.workspace_id = v.workspace_id AND batches.id = v.id
             ORDER BY batches.workspace_id, batches.id FOR UPDATE OF batches",
        );
        locked.await?;
    }
    let completed: Vec<(WorkspaceId, BatchId)> = rows(now)
        .fetch(
            conn,
            "UPDATE batches SET state = 'completed', finished_at = v.now
             FROM v WHERE batches.workspace_id = v.workspace_id AND batches.id = v.id
               AND batches.state = 'running'
               AND NOT EXISTS (SELECT 1 FROM runs
                               WHERE batch_id = v.id AND finished_at IS NULL)
             RETURNING batches.workspace_id, batches.id",
        )
        .await?;
    for (workspace, id) in completed {
        tell(conn, workspace, id, EventType::BatchCompleted, now).await?;
    }
    Ok(())
}

/// Says that a batch has ended, and how its runs did.
async fn tell(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: BatchId,
    kind: EventType,
    now: DateTime<Utc>,
) -> Result<()> {
    let progress = progress(conn, workspace, id).await?;
    let data = serde_json::json!({
        "batch_id": id,
        "total": progress.total(),
        "succeeded": progress.succeeded,
        "failed": progress.failed,
        "skipped": progress.skipped,
        "cancelled": progress.cancelled,
        "cost_micros": progress.cost_micros,
    });
    events::insert(conn, &[NewEvent::new(workspace, kind, id.to_string(), data)], now).await
}

/// Cancels a batch and its runs that have not started; returns how many runs those are.
///
/// Runs in flight end as usual: their money is spent already.
pub async fn cancel(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: BatchId,
    now: DateTime<Utc>,
) -> Result<u64> {
    let batch = find(conn, workspace, id).await?;
    if batch.finished_at.is_some() {
        return Err(Error::Conflict("the batch has ended: there is nothing to cancel".into()));
    }
    let cancelled = on_db!(conn, |c| query(
        "UPDATE runs SET state = 'cancelled', finished_at = $3
         WHERE workspace_id = $1 AND batch_id = $2 AND state = 'queued'",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    on_db!(conn, |c| query(
        "UPDATE batches SET state = 'cancelled', finished_at = $3
         WHERE workspace_id = $1 AND id = $2",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    tell(conn, workspace, id, EventType::BatchCancelled, now).await?;
    Ok(cancelled)
}
