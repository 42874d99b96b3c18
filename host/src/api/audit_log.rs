use super::{Caller, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    App,
    store::audit_logs::{self, AuditFilter, AuditLog},
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Any};
use uuid::Uuid;

/// Something that somebody did.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct AuditEntry {
    /// Grows with time.
    id: i64,
    /// The workspace it concerns; absent for the whole platform.
    workspace_id: Option<Uuid>,
    /// Who did it: `api_key:<id>`, `cli:<user>` or `system:<part>`.
    actor: String,
    /// What was done, as `<resource type>.<verb>`.
    action: String,
    resource_type: String,
    resource_id: String,
    /// What is worth knowing of it; differs by action.
    payload: Any<serde_json::Value>,
    /// `X-Request-Id` of the request, when it was one.
    request_id: Option<String>,
    created_at: Timestamp,
}

page! {
    /// A page of the audit log, newest first.
    AuditPage of AuditEntry
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Audit")]
impl Api {
    /// List the audit log
    ///
    /// Every change of the workspace: who made it, when, and to what.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only what this actor did.
        actor: Query<Option<String>>,
        /// Only this action, such as `prompt.create`.
        action: Query<Option<String>>,
        /// No earlier than this.
        from: Query<Option<Timestamp>>,
        /// Before this.
        to: Query<Option<Timestamp>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AuditPage>, Problem> {
        let filter = filter(actor.0, action.0, from.0, to.0);
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "audit_log", &filter, limit.0, cursor)?;
        let mut conn = self.0.store.read().await?;
        let rows = audit_logs::list(&mut conn, caller.workspace, &filter, page.after, page.fetch())
            .await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// List the audit log of the platform
    ///
    /// What operators did, and every change of every workspace.
    #[oai(path = "/admin/audit-log", method = "get", operation_id = "list_platform_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_all(
        &self,
        caller: Caller,
        /// Only what this actor did.
        actor: Query<Option<String>>,
        /// Only this action, such as `queue.pause`.
        action: Query<Option<String>>,
        /// No earlier than this.
        from: Query<Option<Timestamp>>,
        /// Before this.
        to: Query<Option<Timestamp>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<AuditPage>, Problem> {
        let filter = filter(actor.0, action.0, from.0, to.0);
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "platform_audit_log", &filter, limit.0, cursor)?;
        let mut conn = self.0.store.read().await?;
        let rows = audit_logs::list_all(&mut conn, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }
}

fn filter(
    actor: Option<String>,
    action: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> AuditFilter {
    AuditFilter { actor, action, from: from.map(|at| at.0), to: to.map(|at| at.0) }
}

impl From<AuditLog> for AuditEntry {
    fn from(row: AuditLog) -> Self {
        let AuditLog {
            id,
            workspace_id,
            actor,
            action,
            resource_type,
            resource_id,
            payload,
            request_id,
            created_at,
        } = row;
        AuditEntry {
            id,
            workspace_id: workspace_id.map(|id| id.0),
            actor,
            action,
            resource_type,
            resource_id,
            payload: Any(payload.0),
            request_id,
            created_at: created_at.into(),
        }
    }
}
