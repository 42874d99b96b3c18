use super::{Context, Job};
use crate::{
    App, Error, Result,
    ids::{DeletionRequestId, WorkspaceId},
    queue::Ended,
    store::{
        Conn,
        audit_logs::{self, Actor},
        deletion_requests::{self, DeletionRequest},
        jobs::{Claimed, JobEnd, NewJob, Priority},
    },
};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Removes a workspace and everything of it, and leaves a receipt.
///
/// **Invariant:** the request is completed only after every table was counted and found empty.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteWorkspace {
    pub workspace: WorkspaceId,
    pub request: DeletionRequestId,
}

/// How long a request can be taken back.
pub(crate) const GRACE: TimeDelta = TimeDelta::days(7);
/// Rows of one transaction.
const PAGE: i64 = 5000;

/// Writes the request and the job that carries it out when the grace is over.
pub async fn request_deletion(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    reason: &str,
    requested_by: &str,
) -> Result<DeletionRequest> {
    let now = app.clock.now();
    let due = now + GRACE;
    let request =
        deletion_requests::insert(conn, workspace, reason, requested_by, due, now).await?;
    let job = DeleteWorkspace { workspace, request: request.id };
    // The job belongs to no workspace: it must outlive this one.
    let job = NewJob {
        workspace: None,
        priority: Priority::Backfill.value(),
        unique_key: Some(request.id.to_string()),
        run_at: due,
        ..job.queued(app)?
    };
    app.queue.enqueue(conn, &[job], now).await?;
    Ok(request)
}

impl Job for DeleteWorkspace {
    const QUEUE: &'static str = "deleteWorkspace";
    /// It has to come to its end; an operator sees it when it does not.
    const MAX_ATTEMPTS: i64 = 20;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let store = &context.app.store;
        let mut tx = store.begin().await?;
        let begun = deletion_requests::begin(&mut tx, self.workspace, self.request).await?;
        tx.commit().await?;
        if !begun {
            // Taken back, or done.
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let mut conn = store.read().await?;
        let request = deletion_requests::find(&mut conn, self.workspace, self.request).await?;
        let tables = deletion_requests::tables(&mut conn).await?;
        drop(conn);

        // Once with the workspace, and once more for what came in while it went.
        empty(&context.app, &request, &tables).await?;
        let mut tx = store.begin().await?;
        let removed = deletion_requests::remove_workspace(&mut tx, self.workspace).await?;
        deletion_requests::note(&mut tx, &request, "workspaces", removed).await?;
        tx.commit().await?;
        empty(&context.app, &request, &tables).await?;

        let mut tx = store.begin().await?;
        for table in &tables {
            let left = deletion_requests::left(&mut tx, table, self.workspace).await?;
            if left > 0 {
                let error = anyhow::anyhow!("{left} rows of the workspace are left in {table}");
                return Err(Error::Internal(error));
            }
        }
        let now = context.app.clock.now();
        deletion_requests::complete(&mut tx, &request, now).await?;
        let actor = Actor {
            workspace: Some(self.workspace),
            name: "system:deletion".into(),
            request_id: None,
        };
        let what = json!({"request": self.request});
        audit_logs::note(&mut tx, &actor, "workspace.delete", self.workspace, what, now).await?;
        tx.commit().await?;
        Ok(Ended::As(JobEnd::Succeeded))
    }
}

/// Empties the tables of a workspace's rows, by pages. Tables that others refer to come later than
/// those that refer to them, whatever their order here.
async fn empty(app: &App, request: &DeletionRequest, tables: &[String]) -> Result<()> {
    let mut waiting: Vec<&String> = tables.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut referred = Vec::new();
        for table in waiting {
            if !empty_table(app, request, table).await? {
                referred.push(table);
            }
        }
        if referred.len() == before {
            let error = anyhow::anyhow!("tables refer to each other in a circle: {referred:?}");
            return Err(Error::Internal(error));
        }
        waiting = referred;
    }
    Ok(())
}

/// Whether the table is empty of the workspace's rows now.
async fn empty_table(app: &App, request: &DeletionRequest, table: &str) -> Result<bool> {
    loop {
        let mut tx = app.store.begin().await?;
        let removed = deletion_requests::purge(&mut tx, table, request.workspace_id, PAGE).await?;
        let Some(removed) = removed else { return Ok(false) };
        if removed == 0 {
            return Ok(true);
        }
        deletion_requests::note(&mut tx, request, table, removed).await?;
        tx.commit().await?;
    }
}
