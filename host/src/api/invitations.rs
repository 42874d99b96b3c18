use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag,
    api_keys::Role,
    auth::{Caches, Person},
    members::outranks,
    page,
    rules::Rules,
    types::Timestamp,
};
use crate::{
    App, Error,
    api_key::InvitationToken,
    ids::InvitationId,
    store::{audit_logs, invitations, members, users, workspaces},
};
use chrono::TimeDelta;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// An offer to become a member, good for one person and one time.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Invitation {
    id: Uuid,
    /// For whom it is meant. The platform sends no mail to it.
    email: String,
    /// What they will be.
    role: Role,
    /// Who made the offer.
    invited_by: String,
    /// Until when it can be accepted.
    expires_at: Timestamp,
    /// When it was accepted.
    accepted_at: Option<Timestamp>,
    /// User id of whoever accepted it.
    accepted_by: Option<Uuid>,
    /// When it was taken back.
    revoked_at: Option<Timestamp>,
    created_at: Timestamp,
}

/// A new invitation with its token.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct IssuedInvitation {
    /// Give it to whom you invite: whoever has it can accept, once. It is shown this once, and
    /// absent when a repeated request is answered again.
    token: Option<String>,
    invitation: Invitation,
}

/// An invitation to make.
#[derive(Object)]
struct NewInvitation {
    /// For whom it is meant.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// At most your own.
    role: Role,
    /// Days until it ends.
    #[oai(default = "week", validator(minimum(value = "1"), maximum(value = "30")))]
    expires_in_days: u32,
}

fn week() -> u32 {
    7
}

/// The token of an invitation.
#[derive(Object)]
struct Acceptance {
    /// As it was given to you: `avi_…`.
    #[oai(validator(min_length = 1, max_length = 100))]
    token: String,
}

/// Where somebody is a member now.
#[derive(Object)]
struct Accepted {
    workspace_id: Uuid,
    workspace_name: String,
    user_id: Uuid,
    role: Role,
}

page! {
    /// A page of invitations, oldest first.
    InvitationPage of Invitation
}

pub(super) struct Api {
    pub(super) app: App,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::Members")]
impl Api {
    /// Invite somebody
    ///
    /// The answer holds the token to accept with, this once. Nobody invites to a role above their
    /// own.
    #[oai(path = "/invitations", method = "post", operation_id = "create_invitation")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewInvitation>,
    ) -> Result<Created<IssuedInvitation>, Problem> {
        let NewInvitation { email, role, expires_in_days } = new.0;
        let email = email.trim();
        let mut rules = Rules::default();
        let parts = email.split_once('@');
        let holds = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
            && !email.contains(|c: char| c.is_whitespace() || c.is_control());
        rules.require(holds, "/email", "must be a mail address");
        rules.check()?;
        outranks(&caller, role.into())?;
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let token = InvitationToken::generate(&mut rand::rng());
        let row = invitations::Invitation {
            id: InvitationId::generate(),
            workspace_id: caller.workspace,
            email: email.to_owned(),
            role: role.into(),
            secret_hash: token.hash().to_vec(),
            invited_by: caller.label(),
            expires_at: now + TimeDelta::days(expires_in_days.into()),
            accepted_at: None,
            accepted_by: None,
            revoked_at: None,
            created_at: now,
        };
        invitations::insert(&mut tx, &row).await?;
        let what = json!({"role": row.role});
        audit_logs::note(&mut tx, &caller.actor(), "invitation.create", row.id, what, now).await?;
        let location = format!("/v1/invitations/{}", row.id);
        let mut issued = IssuedInvitation { token: None, invitation: row.into() };
        // What is kept for a repeated request must not hold the token.
        doing.finish(&mut tx, &Created::new(location.clone(), &issued)).await?;
        tx.commit().await?;
        issued.token = Some(token.reveal().to_owned());
        Ok(Created::new(location, &issued))
    }

    /// List the invitations
    ///
    /// Those that were accepted, taken back or ran out are listed too.
    #[oai(path = "/invitations", method = "get", operation_id = "list_invitations")]
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
    ) -> Result<Json<InvitationPage>, Problem> {
        let page =
            Paging::open(&self.app, &caller, "invitations", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.app.store.read().await?;
        let rows = invitations::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Take an invitation back
    ///
    /// It can no longer be accepted. Taking it back again changes nothing.
    #[oai(path = "/invitations/:invitation", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke(
        &self,
        caller: Caller,
        /// Id of the invitation.
        invitation: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let (id, now) = (InvitationId(invitation.0), self.app.clock.now());
        let mut tx = self.app.store.begin().await?;
        let row = invitations::revoke(&mut tx, caller.workspace, id, now).await?;
        if row.accepted_at.is_some() {
            let detail = "it was accepted already: remove the member instead";
            return Err(Error::Conflict(detail.into()).into());
        }
        outranks(&caller, row.role)?;
        audit_logs::note(&mut tx, &caller.actor(), "invitation.revoke", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }

    /// Accept an invitation
    ///
    /// Makes the person behind the token that the request is sent with a member. The invitation
    /// is used up.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept(
        &self,
        person: Person,
        acceptance: Body<Acceptance>,
    ) -> Result<Json<Accepted>, Problem> {
        // One text for unknown, used, taken back and run out.
        let refused = || Error::NotFound("invitation");
        let token = InvitationToken::parse(acceptance.0.token.trim()).ok_or_else(refused)?;
        let now = self.app.clock.now();
        let (email, name) = (person.email.as_deref(), person.name.as_deref());
        let mut tx = self.app.store.begin().await?;
        let user = users::save(&mut tx, &person.issuer, &person.subject, email, name, now).await?;
        let invitation = invitations::accept(&mut tx, &token.hash(), user.id, now).await?;
        let invitation = invitation.ok_or_else(refused)?;
        let (workspace, role) = (invitation.workspace_id, invitation.role);
        members::insert(&mut tx, workspace, user.id, role, now).await?;
        let workspace = workspaces::find(&mut tx, workspace).await?;
        let actor = person.actor(Some(user.id), Some(workspace.id));
        let what = json!({"role": role});
        audit_logs::note(&mut tx, &actor, "invitation.accept", invitation.id, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Json(Accepted {
            workspace_id: workspace.id.0,
            workspace_name: workspace.name,
            user_id: user.id.0,
            role: role.into(),
        }))
    }
}

impl From<invitations::Invitation> for Invitation {
    fn from(row: invitations::Invitation) -> Self {
        let invitations::Invitation {
            id,
            workspace_id: _,
            email,
            role,
            secret_hash: _,
            invited_by,
            expires_at,
            accepted_at,
            accepted_by,
            revoked_at,
            created_at,
        } = row;
        Invitation {
            id: id.0,
            email,
            role: role.into(),
            invited_by,
            expires_at: expires_at.into(),
            accepted_at: accepted_at.map(Into::into),
            accepted_by: accepted_by.map(|user| user.0),
            revoked_at: revoked_at.map(Into::into),
            created_at: created_at.into(),
        }
    }
}
