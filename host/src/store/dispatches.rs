//! What goes to a broker and what comes back of it.
//!
//! **Invariant:** a broker holds names of jobs, never jobs: it may forget everything at any moment.

use super::{Conn, claims::Grant, on_db};
use crate::{
    Result,
    ids::{JobId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, query, query_as};
use std::collections::HashMap;

/// A job as a broker knows it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Dispatch {
    pub id: JobId,
    pub epoch: i64,
    pub lane: String,
    pub workspace_id: WorkspaceId,
    pub priority: i64,
}

/// Due jobs that no broker has, as far as the grants go: the higher classes first, and in a class
/// one of each lane and workspace after the other, since a broker keeps the order it is given.
pub async fn due(
    conn: &mut Conn,
    queue: &str,
    grants: &[Grant],
    now: DateTime<Utc>,
) -> Result<Vec<Dispatch>> {
    let mut counts: HashMap<(String, WorkspaceId), usize> = HashMap::new();
    let mut ranked: Vec<_> = find_due(conn, queue, grants, now)
        .await?
        .into_iter()
        .map(|job| {
            let count = counts.entry((job.lane.clone(), job.workspace_id)).or_default();
            *count += 1;
            (*count, job)
        })
        .collect();
    ranked.sort_by_key(|(rank, job)| (job.priority, *rank));
    Ok(ranked.into_iter().map(|(_, job)| job).collect())
}

async fn find_due(
    conn: &mut Conn,
    queue: &str,
    grants: &[Grant],
    now: DateTime<Utc>,
) -> Result<Vec<Dispatch>> {
    const POSTGRES: &str = "
        SELECT due.id, due.epoch, g.lane, g.workspace_id, g.priority
        FROM UNNEST($3::TEXT[], $4::BIGINT[], $5::UUID[], $6::BIGINT[])
             AS g (lane, priority, workspace_id, jobs)
        CROSS JOIN LATERAL (
            SELECT id, epoch, run_at FROM jobs
            WHERE queue = $1 AND lane = g.lane AND priority = g.priority
              AND workspace_id = g.workspace_id AND state = 'available'
              AND dispatched_at IS NULL AND run_at <= $2
            ORDER BY run_at LIMIT g.jobs
        ) AS due
        ORDER BY due.run_at";
    const SQLITE: &str = "
        SELECT id, epoch, lane, workspace_id, priority FROM jobs
        WHERE queue = $1 AND lane = $3 AND priority = $4 AND workspace_id = $5
          AND state = 'available' AND dispatched_at IS NULL AND run_at <= $2
        ORDER BY run_at LIMIT $6";
    on_db!(conn,
    postgres: |c| {
        let lanes: Vec<_> = grants.iter().map(|grant| grant.lane.as_str()).collect();
        let priorities: Vec<_> = grants.iter().map(|grant| grant.priority).collect();
        let workspaces: Vec<_> = grants.iter().map(|grant| grant.workspace).collect();
        let jobs: Vec<_> = grants.iter().map(|grant| grant.jobs).collect();
        Ok(query_as(POSTGRES)
            .bind(queue).bind(now)
            .bind(lanes).bind(priorities).bind(workspaces).bind(jobs)
            .fetch_all(c).await?)
    },
    sqlite: |c| {
        let mut found = Vec::new();
        for Grant { lane, priority, workspace, jobs } in grants {
            let due: Vec<Dispatch> = query_as(SQLITE)
                .bind(queue).bind(now).bind(lane).bind(priority).bind(workspace).bind(jobs)
                .fetch_all(&mut *c).await?;
            found.extend(due);
        }
        Ok(found)
    })
}

/// Notes that a broker has these jobs, unless they were taken or taken back meanwhile.
pub async fn mark(conn: &mut Conn, sent: &[(JobId, i64)], now: DateTime<Utc>) -> Result<()> {
    on_db!(conn,
    postgres: |c| {
        let (ids, epochs): (Vec<_>, Vec<_>) = sent.iter().copied().unzip();
        query("UPDATE jobs SET dispatched_at = $3
                   FROM UNNEST($1::UUID[], $2::BIGINT[]) AS s (id, epoch)
                   WHERE jobs.id = s.id AND jobs.epoch = s.epoch AND jobs.state = 'available'")
            .bind(ids).bind(epochs).bind(now).execute(c).await?;
    },
    sqlite: |c| {
        for (id, epoch) in sent {
            query("UPDATE jobs SET dispatched_at = $3
                   WHERE id = $1 AND epoch = $2 AND state = 'available'")
                .bind(id).bind(epoch).bind(now).execute(&mut *c).await?;
        }
    });
    Ok(())
}

/// Jobs that a broker has had since before `before` and nobody took, after `after`, by id.
pub async fn stale(
    conn: &mut Conn,
    queue: &str,
    before: DateTime<Utc>,
    after: Option<JobId>,
    limit: i64,
) -> Result<Vec<Dispatch>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT id, epoch, lane, workspace_id, priority FROM jobs
         WHERE queue = $1 AND state = 'available' AND dispatched_at < $2
           AND ($3 IS NULL OR id > $3)
         ORDER BY id LIMIT $4",
    )
    .bind(queue)
    .bind(before)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Takes jobs back from a broker, under a new name: what it still says about the old one does not
/// count.
pub async fn take_back(conn: &mut Conn, jobs: &[(JobId, i64)]) -> Result<u64> {
    on_db!(conn,
    postgres: |c| {
        let (ids, epochs): (Vec<_>, Vec<_>) = jobs.iter().copied().unzip();
        Ok(query("UPDATE jobs SET dispatched_at = NULL, epoch = jobs.epoch + 1
                      FROM UNNEST($1::UUID[], $2::BIGINT[]) AS s (id, epoch)
                      WHERE jobs.id = s.id AND jobs.epoch = s.epoch AND jobs.state = 'available'")
            .bind(ids).bind(epochs).execute(c).await?.rows_affected())
    },
    sqlite: |c| {
        let mut taken = 0;
        for (id, epoch) in jobs {
            taken += query("UPDATE jobs SET dispatched_at = NULL, epoch = epoch + 1
                            WHERE id = $1 AND epoch = $2 AND state = 'available'")
                .bind(id).bind(epoch).execute(&mut *c).await?.rows_affected();
        }
        Ok(taken)
    })
}

/// Notes that the broker does not have these jobs; their names stay good.
pub async fn forget(conn: &mut Conn, jobs: &[(JobId, i64)]) -> Result<u64> {
    on_db!(conn,
    postgres: |c| {
        let (ids, epochs): (Vec<_>, Vec<_>) = jobs.iter().copied().unzip();
        Ok(query("UPDATE jobs SET dispatched_at = NULL
                      FROM UNNEST($1::UUID[], $2::BIGINT[]) AS s (id, epoch)
                      WHERE jobs.id = s.id AND jobs.epoch = s.epoch AND jobs.state = 'available'")
            .bind(ids).bind(epochs).execute(c).await?.rows_affected())
    },
    sqlite: |c| {
        let mut forgotten = 0;
        for (id, epoch) in jobs {
            forgotten += query("UPDATE jobs SET dispatched_at = NULL
                                WHERE id = $1 AND epoch = $2 AND state = 'available'")
                .bind(id).bind(epoch).execute(&mut *c).await?.rows_affected();
        }
        Ok(forgotten)
    })
}

/// Notes that no broker has any job of the queue: it lost its memory, or there is none any more.
/// The names stay, so that a broker that does remember one knows it again.
pub async fn forget_all(conn: &mut Conn, queue: &str) -> Result<u64> {
    Ok(on_db!(conn, |c| query(
        "UPDATE jobs SET dispatched_at = NULL
         WHERE queue = $1 AND state = 'available' AND dispatched_at IS NOT NULL",
    )
    .bind(queue)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?)
}
