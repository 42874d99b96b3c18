use super::{
    Body, Caller, Deleted, Paging, Problem, Tag, api_keys::Role, auth::Caches, page,
    types::Timestamp,
};
use crate::{
    App, Error,
    ids::UserId,
    store::{Tx, api_keys, audit_logs, members},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// A person in the workspace.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Member {
    user_id: Uuid,
    role: Role,
    /// As the issuer of their tokens says.
    email: Option<String>,
    /// As the issuer of their tokens says.
    name: Option<String>,
    /// Since when they are a member.
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What to change of a member.
#[derive(Object)]
struct MemberPatch {
    /// At most your own.
    role: Role,
}

page! {
    /// A page of members.
    MemberPage of Member
}

pub(super) struct Api {
    pub(super) app: App,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::Members")]
impl Api {
    /// List the members
    #[oai(path = "/members", method = "get", operation_id = "list_members")]
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
    ) -> Result<Json<MemberPage>, Problem> {
        let page = Paging::open(&self.app, &caller, "members", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.app.store.read().await?;
        let rows = members::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.user_id)?.into()))
    }

    /// Find a member
    #[oai(path = "/members/:member", method = "get", operation_id = "find_member")]
    async fn find(
        &self,
        caller: Caller,
        /// User id of the member.
        member: Path<Uuid>,
    ) -> Result<Json<Member>, Problem> {
        let mut conn = self.app.store.read().await?;
        let row = members::find(&mut conn, caller.workspace, UserId(member.0)).await?;
        Ok(Json(row.into()))
    }

    /// Change a member's role
    ///
    /// Nobody gives or takes a role above their own, and the last owner stays one.
    #[oai(path = "/members/:member", method = "patch", operation_id = "update_member")]
    async fn update(
        &self,
        caller: Caller,
        /// User id of the member.
        member: Path<Uuid>,
        patch: Body<MemberPatch>,
    ) -> Result<Json<Member>, Problem> {
        let (user, role) = (UserId(member.0), api_keys::Role::from(patch.0.role));
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let before = members::find(&mut tx, caller.workspace, user).await?;
        outranks(&caller, before.role.max(role))?;
        if role != api_keys::Role::Owner {
            keep_an_owner(&mut tx, &caller, &before).await?;
        }
        members::update(&mut tx, caller.workspace, user, role, now).await?;
        let row = members::find(&mut tx, caller.workspace, user).await?;
        let what = json!({"role": role, "before": before.role});
        audit_logs::note(&mut tx, &caller.actor(), "member.update", user, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Json(row.into()))
    }

    /// Remove a member
    ///
    /// Their tokens open this workspace no longer: at once here, and within five seconds in every
    /// other process. The last owner stays.
    #[oai(path = "/members/:member", method = "delete", operation_id = "delete_member")]
    async fn delete(
        &self,
        caller: Caller,
        /// User id of the member.
        member: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let user = UserId(member.0);
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let before = members::find(&mut tx, caller.workspace, user).await?;
        outranks(&caller, before.role)?;
        keep_an_owner(&mut tx, &caller, &before).await?;
        members::delete(&mut tx, caller.workspace, user).await?;
        let what = json!({"role": before.role});
        audit_logs::note(&mut tx, &caller.actor(), "member.delete", user, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Deleted::Gone)
    }
}

/// Nobody decides about a role above their own.
pub(super) fn outranks(caller: &Caller, role: api_keys::Role) -> Result<(), Problem> {
    if role > caller.role && !caller.is_platform() {
        let detail = "that role is higher than yours";
        return Err(Error::Forbidden(detail.into()).into());
    }
    Ok(())
}

/// A workspace that had an owner keeps one.
async fn keep_an_owner(
    tx: &mut Tx,
    caller: &Caller,
    before: &members::Member,
) -> Result<(), Problem> {
    if before.role == api_keys::Role::Owner
        && members::count_owners(tx, caller.workspace).await? == 1
    {
        let detail = "this is the last owner: make somebody else an owner first";
        return Err(Error::Conflict(detail.into()).into());
    }
    Ok(())
}

impl From<members::Member> for Member {
    fn from(row: members::Member) -> Self {
        let members::Member { user_id, role, email, name, created_at, updated_at } = row;
        Member {
            user_id: user_id.0,
            role: role.into(),
            email,
            name,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
