//! For which workspace the present work is done.
//!
//! The edge wraps a handler in [`as_tenant`]. Every connection that the handler takes is then, on
//! Postgres, in a transaction of the role `aiv_tenant`, which row-level security confines to the
//! workspace: a statement that forgot its `WHERE` finds no more than the workspace has. Workers,
//! sweeps and operators are not confined, and pay nothing for it.
//!
//! **Invariant:** the role is set in the message that begins the transaction, and ends with it: no
//! pooled connection keeps it.

use crate::ids::WorkspaceId;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

tokio::task_local! {
    static TENANT: Option<WorkspaceId>;
}

/// Does `work` for one workspace. Work that it hands to other tasks is not covered.
pub async fn as_tenant<T>(workspace: WorkspaceId, work: impl Future<Output = T>) -> T {
    TENANT.scope(Some(workspace), work).await
}

/// Does `work` for the platform, inside of [`as_tenant`] too: for what is shared by all.
pub async fn as_system<T>(work: impl Future<Output = T>) -> T {
    TENANT.scope(None, work).await
}

/// The workspace that the present work is done for; `None` for the system's own.
pub(super) fn tenant() -> Option<WorkspaceId> {
    TENANT.try_with(|workspace| *workspace).ok().flatten()
}

/// Begins a transaction that is confined to a workspace, in one round trip.
pub(super) fn begin_confined(workspace: WorkspaceId) -> SqlStr {
    // A UUID writes itself in hexadecimal digits and hyphens.
    AssertSqlSafe(format!(
        "BEGIN; SET LOCAL ROLE aiv_tenant; SET LOCAL app.workspace_id = '{workspace}'"
    ))
    .into_sql_str()
}
