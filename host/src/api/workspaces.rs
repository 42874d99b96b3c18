use super::{
    Begun, Body, Caller, Created, Once, Paging, Problem, Tag, Tagged,
    api_keys::{self, IssuedApiKey, Limits},
    etag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Error, Result,
    ids::WorkspaceId,
    store::{self, api_keys::Role, audit_logs, workspaces},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// A tenant: it owns brands, prompts, engines, budgets and data.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Workspace {
    id: Uuid,
    name: String,
    /// IANA name; days begin and end there.
    timezone: String,
    /// Its answers are recordings as a whole: its numbers say nothing about a market.
    synthetic: bool,
    /// Most it may spend per day, in millionths of a US dollar; absent when unlimited.
    daily_budget_micros: Option<i64>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A workspace to make.
#[derive(Object)]
struct NewWorkspace {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// IANA name, such as `Europe/Copenhagen`; `UTC` when absent.
    #[oai(validator(max_length = 64))]
    timezone: Option<String>,
    /// Most it may spend per day, in millionths of a US dollar; unlimited when absent.
    #[oai(validator(minimum(value = "0")))]
    daily_budget_micros: Option<i64>,
}

/// Settings to change; those that are absent stay.
#[derive(Object)]
struct WorkspacePatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// IANA name, such as `Europe/Copenhagen`. Days counted before keep the zone they had.
    #[oai(validator(max_length = 64))]
    timezone: Option<String>,
    /// Most it may spend per day, in millionths of a US dollar; `null` removes the limit.
    #[oai(validator(minimum(value = "0")))]
    daily_budget_micros: Clearable<i64>,
}

/// A new workspace and the key of its owner.
#[derive(Object)]
struct CreatedWorkspace {
    workspace: Workspace,
    /// The first key of the workspace, with the role `owner`.
    owner: IssuedApiKey,
}

page! {
    /// A page of workspaces, oldest first.
    WorkspacePage of Workspace
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Workspaces")]
impl Api {
    /// Create a workspace
    ///
    /// The answer holds the key of its owner, this once.
    #[oai(path = "/workspaces", method = "post", operation_id = "create_workspace")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewWorkspace>,
    ) -> Result<Created<CreatedWorkspace>, Problem> {
        let NewWorkspace { name, timezone, daily_budget_micros } = new.0;
        check(Some(&name), timezone.as_deref())?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let workspace = workspaces::Workspace {
            timezone: timezone.unwrap_or_else(|| "UTC".into()),
            daily_budget_micros,
            ..workspaces::Workspace::new(name.trim(), self.0.providers.is_synthetic(), now)
        };
        workspaces::insert(&mut tx, &workspace).await?;
        let (key, row) =
            api_keys::issue(workspace.id, "owner", Role::Owner, Limits::default(), now);
        store::api_keys::insert(&mut tx, &row).await?;
        let what = json!({"name": workspace.name});
        let actor = audit_logs::Actor { workspace: Some(workspace.id), ..caller.operator() };
        audit_logs::note(&mut tx, &actor, "workspace.create", workspace.id, what, now).await?;
        let location = format!("/v1/workspaces/{}", workspace.id);
        let mut created = CreatedWorkspace {
            workspace: workspace.into(),
            owner: IssuedApiKey { key: None, api_key: row.into() },
        };
        // What is kept for a repeated request must not hold the key.
        doing.finish(&mut tx, &Created::new(location.clone(), &created)).await?;
        tx.commit().await?;
        created.owner.key = Some(key.reveal().to_owned());
        Ok(Created::new(location, &created))
    }

    /// List the workspaces
    ///
    /// Your own one; platform operators see all.
    #[oai(path = "/workspaces", method = "get", operation_id = "list_workspaces")]
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
    ) -> Result<Json<WorkspacePage>, Problem> {
        let page = Paging::open(&self.0, &caller, "workspaces", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = if caller.is_platform() {
            workspaces::list(&mut conn, page.after, page.fetch()).await?
        } else {
            vec![workspaces::find(&mut conn, caller.workspace).await?]
        };
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a workspace
    #[oai(path = "/workspaces/:workspace", method = "get", operation_id = "find_workspace")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the workspace.
        workspace: Path<Uuid>,
        /// `ETag` of the version you have: answered with 304 while it is current.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<Workspace>, Problem> {
        let id = reach(&caller, workspace.0)?;
        let mut conn = self.0.store.read().await?;
        let row = workspaces::find(&mut conn, id).await?;
        Ok(Tagged::unless(row.version, row.into(), if_none_match.0.as_deref()))
    }

    /// Update a workspace
    #[oai(path = "/workspaces/:workspace", method = "patch", operation_id = "update_workspace")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the workspace.
        workspace: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<WorkspacePatch>,
    ) -> Result<Tagged<Workspace>, Problem> {
        let WorkspacePatch { name, timezone, daily_budget_micros } = patch.0;
        check(name.as_deref(), timezone.as_deref())?;
        let id = reach(&caller, workspace.0)?;
        let expected = etag::expected(if_match.0.as_deref(), "workspace")?;
        let patch = workspaces::WorkspacePatch {
            name: name.map(|name| name.trim().to_owned()),
            timezone,
            daily_budget_micros: daily_budget_micros.change(),
        };
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let row = workspaces::update(&mut tx, id, expected, patch, now).await?;
        let what = json!({
            "name": row.name,
            "timezone": row.timezone,
            "daily_budget_micros": row.daily_budget_micros,
        });
        let actor = audit_logs::Actor { workspace: Some(id), ..caller.operator() };
        audit_logs::note(&mut tx, &actor, "workspace.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }
}

/// The workspace with this id, when the caller may know of it.
fn reach(caller: &Caller, id: Uuid) -> Result<WorkspaceId> {
    let id = WorkspaceId(id);
    let may = id == caller.workspace || caller.is_platform();
    if may { Ok(id) } else { Err(Error::NotFound("workspace")) }
}

fn check(name: Option<&str>, timezone: Option<&str>) -> Result<()> {
    let mut rules = Rules::default();
    if let Some(name) = name {
        rules.name("/name", name);
    }
    if let Some(zone) = timezone {
        rules.timezone("/timezone", zone);
    }
    rules.check()
}

impl From<workspaces::Workspace> for Workspace {
    fn from(row: workspaces::Workspace) -> Self {
        let workspaces::Workspace {
            id,
            name,
            timezone,
            synthetic,
            daily_budget_micros,
            brands_version: _,
            version: _,
            created_at,
            updated_at,
        } = row;
        Workspace {
            id: id.0,
            name,
            timezone,
            synthetic,
            daily_budget_micros,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
