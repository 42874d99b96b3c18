//! People, by their tokens.

use super::{BELIEVED, Caller, Person, Principal, REMEMBERED, exists, refused};
use crate::{
    App, Error,
    api::{Problem, access},
    identity::{Claims, Rejection},
    ids::{UserId, WorkspaceId},
    store::{api_keys::Role, audit_logs::Actor, members, revocations, users},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The good tokens that were presented lately, by digest.
#[derive(Default)]
pub(crate) struct PersonCache(Mutex<HashMap<[u8; 32], (Instant, Claims, Person)>>);

impl PersonCache {
    fn find(&self, token: &[u8; 32]) -> Option<(Claims, Person)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, claims, person) = known.get(token)?;
        (since.elapsed() < BELIEVED).then(|| (claims.clone(), person.clone()))
    }

    fn insert(&self, token: [u8; 32], claims: Claims, person: Person) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(token, (Instant::now(), claims, person));
    }

    /// Forgets everybody at once: somebody's memberships or tokens changed here.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The person whom a token proves.
pub(super) async fn look_up(
    app: &App,
    cache: &PersonCache,
    token: &str,
) -> Result<Person, Problem> {
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    if let Some((claims, person)) = cache.find(&digest) {
        return if claims.holds(app.clock.now()) { Ok(person) } else { Err(refused()) };
    }
    let claims = app.tokens.verify(token).await.map_err(|rejection| match rejection {
        Rejection::Invalid(why) => {
            tracing::debug!("a token was refused: {why}");
            refused()
        }
        Rejection::Unavailable => {
            let detail = "the keys of the identity provider cannot be had: try again";
            Problem::unavailable(detail, Duration::from_secs(30))
        }
    })?;
    let person = read(app, &claims).await?.ok_or_else(refused)?;
    cache.insert(digest, claims, person.clone());
    Ok(person)
}

/// What the database knows of a verified token; `None` when it was revoked.
async fn read(app: &App, claims: &Claims) -> crate::Result<Option<Person>> {
    let Claims { issuer, subject, token_id, issued_at, .. } = claims;
    let mut conn = app.store.read().await?;
    let token_id = token_id.as_deref();
    if revocations::is_revoked(&mut conn, issuer, subject, token_id, *issued_at).await? {
        return Ok(None);
    }
    let user = users::find_by_subject(&mut conn, issuer, subject).await?.map(|user| user.id);
    let memberships = match user {
        Some(user) => members::of_user(&mut conn, user).await?,
        None => Vec::new(),
    };
    // An identity provider's scopes can take away and not give: who operates the platform is for
    // the installation to say.
    let counts = |scope: &&String| {
        access::GRANTABLE.contains(&scope.as_str()) || (claims.is_own && *scope == access::PLATFORM)
    };
    Ok(Some(Person {
        issuer: issuer.as_str().into(),
        subject: subject.as_str().into(),
        email: claims.email.as_deref().map(Into::into),
        name: claims.name.as_deref().map(Into::into),
        user,
        memberships: memberships.into(),
        expires_at: claims.expires_at,
        request_id: Arc::default(),
        scopes: claims.scopes.iter().filter(counts).cloned().collect(),
        workspace: claims.workspace,
    }))
}

impl Person {
    /// How they are called where a name is wanted.
    pub(crate) fn display_name(&self) -> Arc<str> {
        self.name.as_ref().or(self.email.as_ref()).unwrap_or(&self.subject).clone()
    }

    /// As the author of a change that concerns them, and a workspace perhaps.
    pub(crate) fn actor(&self, user: Option<UserId>, workspace: Option<WorkspaceId>) -> Actor {
        let name = match user {
            Some(user) => format!("user:{user}"),
            None => format!("subject:{}", self.subject),
        };
        Actor { workspace, name, request_id: Some(self.request_id.to_string()) }
    }

    /// The person at work in the workspace that the token or the request names, or in their only
    /// one.
    pub(super) async fn act_in(
        &self,
        app: &App,
        wanted: Option<WorkspaceId>,
    ) -> Result<Caller, Problem> {
        let forbidden = |detail: &str| Err(Error::Forbidden(detail.into()).into());
        let workspace = match (self.workspace, wanted, &*self.memberships) {
            (Some(limit), Some(wanted), _) if limit != wanted => {
                return forbidden("the token is for another workspace than `X-Workspace-Id` names");
            }
            (Some(named), _, _) | (None, Some(named), _) => named,
            (None, None, [only]) => only.workspace_id,
            (None, None, []) => {
                return forbidden("you are no member of a workspace: accept an invitation first");
            }
            (None, None, _) => {
                let detail = "you are a member of several workspaces: name one in `X-Workspace-Id`";
                return Err(Error::Malformed(detail.into()).into());
            }
        };
        let Some(user) = self.user else {
            return forbidden("you are no member of this workspace");
        };
        let member = self.memberships.iter().find(|member| member.workspace_id == workspace);
        let role = match member {
            Some(member) => member.role,
            None if self.scopes.iter().any(|scope| scope == access::PLATFORM) => {
                exists(app, workspace).await?;
                Role::Owner
            }
            None => return forbidden("you are no member of this workspace"),
        };
        Ok(Caller {
            workspace,
            principal: Principal::User(user),
            name: self.display_name(),
            role,
            scopes: Arc::clone(&self.scopes),
            expires_at: Some(self.expires_at),
            request_id: Arc::default(),
        })
    }
}
