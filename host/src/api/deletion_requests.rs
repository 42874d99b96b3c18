use super::{Accepted, Body, Caller, Deleted, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    App, Error,
    jobs::request_deletion,
    store::{
        as_system, audit_logs,
        deletion_requests::{self, DeletionRequest, DeletionState},
        workspaces,
    },
};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};
use serde_json::json;
use uuid::Uuid;

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "DeletionState", rename_all = "snake_case")]
enum State {
    /// It begins at `due_at`; until then it can be taken back.
    Pending,
    /// Rows are being removed.
    Running,
    /// Every table was counted, and nothing is left.
    Completed,
    Cancelled,
}

/// The wish to remove a workspace and everything of it.
#[derive(Object)]
#[oai(rename = "DeletionRequest", skip_serializing_if_is_none)]
struct View {
    id: Uuid,
    workspace_id: Uuid,
    state: State,
    reason: String,
    requested_by: String,
    /// When it begins.
    due_at: Timestamp,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// What was removed. The audit log and this request stay.
    receipt: Option<Vec<Removed>>,
}

/// Rows removed from a table.
#[derive(Object)]
struct Removed {
    table: String,
    rows: i64,
}

/// Why a workspace shall go.
#[derive(Object)]
struct NewDeletionRequest {
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
    /// Name of the workspace, so that nobody removes another one than they mean.
    #[oai(validator(min_length = 1, max_length = 200))]
    workspace_name: String,
}

page! {
    /// A page of deletion requests, newest first.
    DeletionRequestPage of View
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Workspaces")]
impl Api {
    /// Create a deletion request
    ///
    /// In seven days, everything of the workspace is removed: brands, prompts, runs, answers,
    /// costs, keys and the workspace itself. Until then the request can be taken back. What stays
    /// is the audit log, which holds nothing of an answer, and this request with its receipt.
    #[oai(path = "/deletion-request", method = "post", operation_id = "create_deletion_request")]
    async fn create(
        &self,
        caller: Caller,
        new: Body<NewDeletionRequest>,
    ) -> Result<Accepted<View>, Problem> {
        let NewDeletionRequest { reason, workspace_name } = new.0;
        let now = self.0.clock.now();
        // The job that carries it out is the platform's.
        let mut tx = as_system(self.0.store.begin()).await?;
        let workspace = workspaces::find(&mut tx, caller.workspace).await?;
        if workspace.name != workspace_name {
            let detail = "is not the name of the workspace that the key belongs to";
            return Err(Error::invalid("/workspace_name", detail).into());
        }
        let by = caller.label();
        let row = request_deletion(&self.0, &mut tx, caller.workspace, &reason, &by).await?;
        let (id, what) = (row.id, json!({"due_at": row.due_at}));
        audit_logs::note(&mut tx, &caller.actor(), "deletion_request.create", id, what, now)
            .await?;
        tx.commit().await?;
        Ok(Accepted::new("/v1/deletion-request".into(), &View::from(row)))
    }

    /// Find the deletion request
    ///
    /// The newest one of the workspace.
    #[oai(path = "/deletion-request", method = "get", operation_id = "find_deletion_request")]
    async fn find(&self, caller: Caller) -> Result<Json<View>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(deletion_requests::newest(&mut conn, caller.workspace).await?.into()))
    }

    /// Cancel the deletion request
    ///
    /// As long as it is pending.
    #[oai(path = "/deletion-request", method = "delete", operation_id = "cancel_deletion_request")]
    async fn cancel(&self, caller: Caller) -> Result<Deleted, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let row = deletion_requests::newest(&mut tx, caller.workspace).await?;
        let id = row.id;
        deletion_requests::cancel(&mut tx, caller.workspace, id, now).await?;
        let action = "deletion_request.cancel";
        audit_logs::note(&mut tx, &caller.actor(), action, id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }

    /// List the deletion requests of the platform
    ///
    /// With the receipts of workspaces that are gone.
    #[oai(
        path = "/admin/deletion-requests",
        method = "get",
        operation_id = "list_deletion_requests"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<DeletionRequestPage>, Problem> {
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "deletion_requests", &(), limit.0, cursor)?;
        let mut conn = self.0.store.read().await?;
        let rows = deletion_requests::list(&mut conn, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }
}

impl From<DeletionRequest> for View {
    fn from(row: DeletionRequest) -> Self {
        let DeletionRequest {
            id,
            workspace_id,
            state,
            reason,
            requested_by,
            due_at,
            created_at,
            finished_at,
            receipt,
        } = row;
        View {
            id: id.0,
            workspace_id: workspace_id.0,
            state: match state {
                DeletionState::Pending => State::Pending,
                DeletionState::Running => State::Running,
                DeletionState::Completed => State::Completed,
                DeletionState::Cancelled => State::Cancelled,
            },
            reason,
            requested_by,
            due_at: due_at.into(),
            created_at: created_at.into(),
            finished_at: finished_at.map(Into::into),
            receipt: receipt.map(|receipt| {
                let rows = receipt.0.into_iter();
                rows.map(|(table, rows)| Removed { table, rows }).collect()
            }),
        }
    }
}
