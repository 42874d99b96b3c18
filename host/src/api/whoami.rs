use super::{Caller, Problem, Tag, access, api_keys::Role, types::Timestamp};
use poem_openapi::{Object, OpenApi, payload::Json};
use uuid::Uuid;

/// The principal behind a request.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Principal {
    /// Stable name of the principal, such as `api_key:0198…`.
    subject: String,
    /// How it proved itself: `api_key` or `user`.
    kind: String,
    /// Name of the key or person.
    name: String,
    /// The workspace that requests work in.
    workspace_id: Uuid,
    role: Role,
    /// Scopes of the key or token; without any, it may do all that its role may.
    scopes: Vec<String>,
    /// Ids of the operations that it may call.
    permissions: Vec<String>,
    /// When the key or token stops working; absent when it does not.
    expires_at: Option<Timestamp>,
}

pub(super) struct Api;

#[OpenApi(tag = "Tag::Identity")]
impl Api {
    /// Find out who is calling
    ///
    /// Proves a credential and tells what it may do.
    #[oai(path = "/auth/whoami", method = "get", operation_id = "whoami")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn whoami(&self, caller: Caller) -> Result<Json<Principal>, Problem> {
        let permitted = |rule: &&access::Rule| rule.check(&caller).is_ok();
        Ok(Json(Principal {
            subject: caller.label(),
            kind: if caller.is_user() { "user" } else { "api_key" }.into(),
            name: caller.name.to_string(),
            workspace_id: caller.workspace.0,
            role: caller.role.into(),
            scopes: caller.scopes.to_vec(),
            permissions: access::RULES
                .iter()
                .filter(permitted)
                .map(|rule| rule.operation.to_owned())
                .collect(),
            expires_at: caller.expires_at.map(Into::into),
        }))
    }
}
