use super::{
    Deleted, Problem, Tag,
    api_keys::Role,
    auth::{Caches, Person},
    types::Timestamp,
};
use crate::{
    App,
    store::{
        audit_logs,
        members::Membership,
        revocations::{self, RevocationKind},
    },
};
use poem_openapi::{Object, OpenApi, payload::Json};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// The person behind a token.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Me {
    /// Absent until they are a member of something for the first time.
    user_id: Option<Uuid>,
    /// Who says who they are.
    issuer: String,
    /// Who they are, in the issuer's words.
    subject: String,
    email: Option<String>,
    name: Option<String>,
    /// Where they are a member, oldest membership first. Name one in `X-Workspace-Id` to work in
    /// it.
    workspaces: Vec<MyWorkspace>,
    /// When the token stops working.
    expires_at: Timestamp,
}

/// A workspace, seen from one of its members.
#[derive(Object)]
struct MyWorkspace {
    id: Uuid,
    name: String,
    role: Role,
}

pub(super) struct Api {
    pub(super) app: App,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::Identity")]
impl Api {
    /// Find out about yourself
    ///
    /// The person behind the token and the workspaces they are a member of. API keys are no people.
    #[oai(path = "/me", method = "get", operation_id = "find_me")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn find(&self, person: Person) -> Result<Json<Me>, Problem> {
        let workspaces = person.memberships.iter().cloned().map(Into::into).collect();
        Ok(Json(Me {
            user_id: person.user.map(|user| user.0),
            issuer: person.issuer.to_string(),
            subject: person.subject.to_string(),
            email: person.email.map(|email| email.to_string()),
            name: person.name.map(|name| name.to_string()),
            workspaces,
            expires_at: person.expires_at.into(),
        }))
    }

    /// Revoke your own sessions
    ///
    /// Every token of yours that was issued until now stops working, this one included: at once
    /// here, and within five seconds in every other process.
    #[oai(path = "/me/sessions", method = "delete", operation_id = "revoke_own_sessions")]
    async fn revoke_sessions(&self, person: Person) -> Result<Deleted, Problem> {
        let now = self.app.clock.now();
        let (issuer, subject) = (&*person.issuer, &*person.subject);
        let mut tx = self.app.store.begin().await?;
        let row = revocations::save(&mut tx, issuer, RevocationKind::Subject, subject, now).await?;
        let actor = person.actor(person.user, None);
        let what = json!({"issuer": issuer, "kind": row.kind});
        audit_logs::note(&mut tx, &actor, "session.revoke", row.id, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Deleted::Gone)
    }
}

impl From<Membership> for MyWorkspace {
    fn from(row: Membership) -> Self {
        let Membership { workspace_id, workspace_name, role } = row;
        MyWorkspace { id: workspace_id.0, name: workspace_name, role: role.into() }
    }
}
