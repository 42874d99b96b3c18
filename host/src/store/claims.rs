//! How workers come by jobs: what waits in which lane, and who takes it.
//!
//! **Invariant:** a job is claimed by whoever turns its row from `available` to `running`, in one
//! statement; a broker that says otherwise is wrong.

use super::{Conn, jobs::Claimed, on_db};
use crate::{
    Result,
    ids::{JobId, ProcessId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query_as, query_scalar};

/// Jobs of one workspace that wait in a lane with one priority.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Waiting {
    pub priority: i64,
    pub workspace_id: WorkspaceId,
    /// When the first of them is due.
    pub run_at: DateTime<Utc>,
    /// Its workspace's share, relative to the others'.
    pub weight: i64,
}

/// Leave to take jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub lane: String,
    pub priority: i64,
    pub workspace: WorkspaceId,
    pub jobs: i64,
}

/// Who claims, and until when the claim holds.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub owner: ProcessId,
    pub until: DateTime<Utc>,
}

/// The lanes of a queue that have work, due or not.
///
/// A loose index scan: its cost grows with the lanes, not with the jobs.
pub async fn lanes(conn: &mut Conn, queue: &str) -> Result<Vec<String>> {
    Ok(on_db!(conn, |c| query_scalar(
        "WITH RECURSIVE found (lane) AS (
             SELECT MIN(lane) FROM jobs
             WHERE queue = $1 AND state = 'available' AND dispatched_at IS NULL
             UNION ALL
             SELECT (SELECT MIN(lane) FROM jobs
                     WHERE queue = $1 AND state = 'available' AND dispatched_at IS NULL
                       AND lane > found.lane)
             FROM found WHERE found.lane IS NOT NULL
         )
         SELECT lane FROM found WHERE lane IS NOT NULL",
    )
    .bind(queue)
    .fetch_all(c)
    .await)?)
}

/// Up to `limit` groups that wait in a lane, after the group `after`, in order of priority and
/// workspace. Loose, like [`lanes`].
pub async fn waiting(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    after: (i64, WorkspaceId),
    limit: usize,
) -> Result<Vec<Waiting>> {
    // Both engines walk the index; only Postgres can do it in one statement with four columns.
    const POSTGRES: &str = "
        WITH RECURSIVE found (priority, workspace_id, run_at, steps) AS (
            SELECT $3::BIGINT, $4::UUID, NULL::TIMESTAMPTZ, 0
            UNION ALL
            SELECT next.priority, next.workspace_id, next.run_at, found.steps + 1
            FROM found CROSS JOIN LATERAL (
                SELECT priority, workspace_id, run_at FROM jobs
                WHERE queue = $1 AND lane = $2 AND state = 'available' AND dispatched_at IS NULL
                  AND (priority, workspace_id) > (found.priority, found.workspace_id)
                ORDER BY priority, workspace_id, run_at LIMIT 1
            ) AS next
            WHERE found.steps < $5
        )
        SELECT found.priority, found.workspace_id, found.run_at,
               COALESCE(workspaces.queue_weight, 1) AS weight
        FROM found LEFT JOIN workspaces ON workspaces.id = found.workspace_id
        WHERE found.steps > 0 ORDER BY found.steps";
    const SQLITE: &str = "
        SELECT jobs.priority, jobs.workspace_id, jobs.run_at,
               COALESCE(workspaces.queue_weight, 1) AS weight
        FROM jobs LEFT JOIN workspaces ON workspaces.id = jobs.workspace_id
        WHERE jobs.queue = $1 AND jobs.lane = $2 AND jobs.state = 'available'
          AND jobs.dispatched_at IS NULL AND (jobs.priority, jobs.workspace_id) > ($3, $4)
        ORDER BY jobs.priority, jobs.workspace_id, jobs.run_at LIMIT 1";
    on_db!(conn,
    postgres: |c| Ok(query_as(POSTGRES)
        .bind(queue).bind(lane).bind(after.0).bind(after.1)
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
        .fetch_all(c).await?),
    sqlite: |c| {
        let (mut after, mut found) = (after, Vec::new());
        while found.len() < limit {
            let next: Option<Waiting> = query_as(SQLITE)
                .bind(queue).bind(lane).bind(after.0).bind(after.1)
                .fetch_optional(&mut *c).await?;
            let Some(next) = next else { break };
            after = (next.priority, next.workspace_id);
            found.push(next);
        }
        Ok(found)
    })
}

/// Takes due jobs as far as the grants go.
pub async fn claim(
    conn: &mut Conn,
    queue: &str,
    grants: &[Grant],
    lease: Lease,
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>> {
    const POSTGRES: &str = "
        UPDATE jobs
        SET state = 'running', owner = $1, lease_until = $2, attempt = attempt + 1,
            started_at = $3
        WHERE id IN (
            SELECT due.id
            FROM UNNEST($5::TEXT[], $6::BIGINT[], $7::UUID[], $8::BIGINT[])
                 AS g (lane, priority, workspace_id, jobs)
            CROSS JOIN LATERAL (
                SELECT id FROM jobs
                WHERE queue = $4 AND lane = g.lane AND priority = g.priority
                  AND workspace_id = g.workspace_id AND state = 'available'
                  AND dispatched_at IS NULL AND run_at <= $3
                ORDER BY run_at LIMIT g.jobs
                FOR UPDATE SKIP LOCKED
            ) AS due)
        RETURNING id, queue, lane, workspace_id, payload, priority, run_at, epoch, attempt,
                  max_attempts, lost, owner";
    // SQLite has one writer: nobody can hold a row that this statement wants.
    const SQLITE: &str = "
        UPDATE jobs
        SET state = 'running', owner = $1, lease_until = $2, attempt = attempt + 1,
            started_at = $3
        WHERE id IN (
            SELECT id FROM jobs
            WHERE queue = $4 AND lane = $5 AND priority = $6 AND workspace_id = $7
              AND state = 'available' AND dispatched_at IS NULL AND run_at <= $3
            ORDER BY run_at LIMIT $8)
        RETURNING id, queue, lane, workspace_id, payload, priority, run_at, epoch, attempt,
                  max_attempts, lost, owner";
    on_db!(conn,
    postgres: |c| {
        let lanes: Vec<_> = grants.iter().map(|grant| grant.lane.as_str()).collect();
        let priorities: Vec<_> = grants.iter().map(|grant| grant.priority).collect();
        let workspaces: Vec<_> = grants.iter().map(|grant| grant.workspace).collect();
        let jobs: Vec<_> = grants.iter().map(|grant| grant.jobs).collect();
        Ok(query_as(POSTGRES)
            .bind(lease.owner).bind(lease.until).bind(now).bind(queue)
            .bind(lanes).bind(priorities).bind(workspaces).bind(jobs)
            .fetch_all(c).await?)
    },
    sqlite: |c| {
        let mut claimed = Vec::new();
        for Grant { lane, priority, workspace, jobs } in grants {
            let taken: Vec<Claimed> = query_as(SQLITE)
                .bind(lease.owner).bind(lease.until).bind(now).bind(queue)
                .bind(lane).bind(priority).bind(workspace).bind(jobs)
                .fetch_all(&mut *c).await?;
            claimed.extend(taken);
        }
        Ok(claimed)
    })
}

/// Takes the jobs that a broker delivered, as far as they are still to be had.
///
/// What is missing from the answer somebody else has or had, or it was taken back meanwhile.
pub async fn begin(
    conn: &mut Conn,
    delivered: &[(JobId, i64)],
    lease: Lease,
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>> {
    const POSTGRES: &str = "
        UPDATE jobs
        SET state = 'running', owner = $1, lease_until = $2, attempt = attempt + 1,
            started_at = $3
        FROM UNNEST($4::UUID[], $5::BIGINT[]) AS d (id, epoch)
        WHERE jobs.id = d.id AND jobs.epoch = d.epoch AND jobs.state = 'available'
        RETURNING jobs.id, queue, lane, workspace_id, payload, priority, run_at, jobs.epoch,
                  attempt, max_attempts, lost, owner";
    const SQLITE: &str = "
        UPDATE jobs
        SET state = 'running', owner = $1, lease_until = $2, attempt = attempt + 1,
            started_at = $3
        WHERE id = $4 AND epoch = $5 AND state = 'available'
        RETURNING id, queue, lane, workspace_id, payload, priority, run_at, epoch, attempt,
                  max_attempts, lost, owner";
    on_db!(conn,
    postgres: |c| {
        let (ids, epochs): (Vec<_>, Vec<_>) = delivered.iter().copied().unzip();
        Ok(query_as(POSTGRES)
            .bind(lease.owner).bind(lease.until).bind(now).bind(ids).bind(epochs)
            .fetch_all(c).await?)
    },
    sqlite: |c| {
        let mut claimed = Vec::new();
        for (id, epoch) in delivered {
            let taken: Option<Claimed> = query_as(SQLITE)
                .bind(lease.owner).bind(lease.until).bind(now).bind(id).bind(epoch)
                .fetch_optional(&mut *c).await?;
            claimed.extend(taken);
        }
        Ok(claimed)
    })
}
