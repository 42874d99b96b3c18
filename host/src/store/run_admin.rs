//! Runs that operators or their owners look up, bring back or call off.
//!
//! **Invariant:** a run that comes back is counted as if it had never failed: its day loses the
//! failure in the same transaction.

use super::{
    Conn, batches,
    daily_counts::{self, Additions, Cell},
    on_db,
};
use crate::{
    Error, Result,
    ids::{BatchId, PromptId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder, query, query_scalar};
use std::collections::{BTreeSet, HashMap};

/// A run that failed.
#[derive(Debug, Clone, FromRow)]
pub struct Failed {
    pub number: i64,
    pub id: RunId,
    pub workspace_id: WorkspaceId,
    pub batch_id: Option<BatchId>,
    pub prompt_id: PromptId,
    pub engine: String,
    /// The day it is counted in.
    pub day: Option<NaiveDate>,
    /// Whether it is counted at all: a recording counts only where everything is one.
    pub counted: bool,
}

/// Whose run it is.
pub async fn workspace_of(conn: &mut Conn, run: RunId) -> Result<WorkspaceId> {
    // By way of the workspaces: the index of runs begins with theirs.
    on_db!(conn, |c| query_scalar(
        "SELECT r.workspace_id
         FROM workspaces w JOIN runs r ON r.workspace_id = w.id AND r.id = $1",
    )
    .bind(run)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("run"))
}

/// Those of the runs that failed and may be tried again: the others ended well, or their batch was
/// cancelled.
pub async fn failed(conn: &mut Conn, runs: &[(WorkspaceId, RunId)]) -> Result<Vec<Failed>> {
    if runs.is_empty() {
        return Ok(vec![]);
    }
    Ok(on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "SELECT r.number, r.id, r.workspace_id, r.batch_id, r.prompt_id, r.engine, r.day,
                    r.synthetic = w.synthetic AS counted
             FROM (",
        );
        sql.push_values(runs, |mut row, (workspace, run)| {
            row.push_bind(*workspace).push_bind(*run);
        });
        sql.push(
            ") AS v
             JOIN runs r ON r.workspace_id = v.column1 AND r.id = v.column2
             JOIN workspaces w ON w.id = r.workspace_id
             LEFT JOIN batches b ON b.workspace_id = r.workspace_id AND b.id = r.batch_id
             WHERE r.state = 'failed' AND (b.state IS NULL OR b.state <> 'cancelled')",
        );
        sql.build_query_as().fetch_all(c).await
    })?)
}

/// Queues failed runs anew: uncounted, their batches open. What they cost and tried stays.
pub async fn requeue(conn: &mut Conn, runs: &[Failed]) -> Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "UPDATE runs SET state = 'queued', outcome = NULL, reason = NULL, error_kind = NULL,
                             error_detail = NULL, day = NULL, checkpoint = NULL,
                             started_at = NULL, finished_at = NULL
             WHERE state = 'failed' AND number IN (",
        );
        let mut list = sql.separated(", ");
        for run in runs {
            list.push_bind(run.number);
        }
        sql.push(")");
        sql.build().execute(c).await.map(drop)
    })?;

    let mut less = Additions::default();
    let mut days = BTreeSet::new();
    for run in runs.iter().filter(|run| run.counted) {
        let Some(day) = run.day else { continue };
        let cell = Cell { workspace: run.workspace_id, day, engine: run.engine.clone() };
        less.prompts.entry((cell, run.prompt_id)).or_default().failed -= 1;
        days.insert((run.workspace_id, day));
    }
    daily_counts::add(conn, &less, &HashMap::new()).await?;
    for (workspace, day) in days {
        daily_counts::drop_empty(conn, workspace, day).await?;
    }
    let opened: BTreeSet<BatchId> = runs.iter().filter_map(|run| run.batch_id).collect();
    for batch in opened {
        on_db!(conn, |c| query(
            "UPDATE batches SET state = 'running', finished_at = NULL
             WHERE id = $1 AND state = 'completed'",
        )
        .bind(batch)
        .execute(c)
        .await
        .map(drop))?;
    }
    Ok(())
}

/// Calls off a run that waits: one that was not asked yet, or, with its job in nobody's hands, one
/// that waits for its vendor.
pub async fn cancel(
    conn: &mut Conn,
    workspace: WorkspaceId,
    run: &super::runs::Run,
    job_is_free: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let changed = on_db!(conn, |c| query(
        "UPDATE runs SET state = 'cancelled', checkpoint = NULL, finished_at = $3
         WHERE workspace_id = $1 AND id = $2
           AND (state = 'queued' OR (state = 'running' AND $4))",
    )
    .bind(workspace)
    .bind(run.id)
    .bind(now)
    .bind(job_is_free)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if changed == 0 {
        let detail = if run.finished_at.is_some() {
            "the run has ended: there is nothing to cancel"
        } else {
            "the run is being asked: it ends by itself, and its money is spent already"
        };
        return Err(Error::Conflict(detail.into()));
    }
    let batch = run.batch_id.map(|batch| (run.workspace_id, batch));
    batches::complete(conn, &batch.into_iter().collect(), now).await
}
