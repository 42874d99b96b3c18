use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, access, addresses,
    auth::Caches, page, rules::Rules, types::Timestamp,
};
use crate::{
    App, Error, api_key,
    ids::{ApiKeyId, WorkspaceId},
    store::{api_keys, audit_logs},
};
use chrono::{DateTime, Utc};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// What a principal may do; each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum Role {
    /// Reads.
    Viewer,
    /// Works: brands, prompts, batches.
    Member,
    /// Configures: engines, settings, keys.
    Admin,
    /// All of it.
    Owner,
}

/// A credential for this API. Its text is known to whom it was given, and stored nowhere.
#[derive(Object, Clone)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ApiKey {
    id: Uuid,
    /// What it is for, in the words of whoever made it.
    name: String,
    /// The first characters, to recognise it by.
    prefix: String,
    role: Role,
    /// What it is limited to; without any, it may do all that its role may.
    scopes: Vec<String>,
    /// Addresses and networks that it may be used from; absent when it may be used everywhere.
    allowed_ips: Option<Vec<String>>,
    /// When it stops working; absent when it does not.
    expires_at: Option<Timestamp>,
    /// When it was last used, to within some minutes.
    last_used_at: Option<Timestamp>,
    /// When it was revoked; absent while it works.
    revoked_at: Option<Timestamp>,
    created_at: Timestamp,
}

/// A new key with its text.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct IssuedApiKey {
    /// The key itself. Keep it now: it is shown this once. It is absent when a repeated request
    /// is answered again.
    pub(super) key: Option<String>,
    pub(super) api_key: ApiKey,
}

/// A key to make.
#[derive(Object)]
struct NewApiKey {
    /// What it is for.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// At most your own.
    role: Role,
    /// Limits the key further: `read`, `write`, `run`, `keys`. None means no further limit.
    #[oai(default, validator(max_items = 16, unique_items))]
    scopes: Vec<String>,
    /// Addresses and networks (`203.0.113.7`, `2001:db8::/32`) that it may be used from; everywhere
    /// when absent.
    #[oai(validator(min_items = 1, max_items = 64, unique_items))]
    allowed_ips: Option<Vec<String>>,
    /// When it stops working; never when absent.
    expires_at: Option<Timestamp>,
}

page! {
    /// A page of API keys, oldest first.
    ApiKeyPage of ApiKey
}

pub(super) struct Api {
    pub(super) app: App,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::ApiKeys")]
impl Api {
    /// Create an API key
    ///
    /// The answer holds the key itself, this once. Nobody can make a key that may do more than
    /// their own.
    #[oai(path = "/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewApiKey>,
    ) -> Result<Created<IssuedApiKey>, Problem> {
        let new = new.0;
        let now = self.app.clock.now();
        new.check(&caller, now)?;
        let mut tx = self.app.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let (key, row) = issue(
            caller.workspace,
            new.name.trim(),
            new.role.into(),
            Limits {
                scopes: new.scopes,
                allowed_ips: new.allowed_ips,
                expires_at: new.expires_at.map(|at| at.0),
            },
            now,
        );
        api_keys::insert(&mut tx, &row).await?;
        let what = json!({"name": row.name, "role": row.role, "scopes": row.scopes,
            "allowed_ips": row.allowed_ips});
        audit_logs::note(&mut tx, &caller.actor(), "api_key.create", row.id, what, now).await?;
        let mut issued = IssuedApiKey { key: None, api_key: row.into() };
        let location = format!("/v1/api-keys/{}", issued.api_key.id);
        // What is kept for a repeated request must not hold the key.
        doing.finish(&mut tx, &Created::new(location.clone(), &issued)).await?;
        tx.commit().await?;
        issued.key = Some(key.reveal().to_owned());
        Ok(Created::new(location, &issued))
    }

    /// List the API keys
    ///
    /// Revoked and expired ones are listed too.
    #[oai(path = "/api-keys", method = "get", operation_id = "list_api_keys")]
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
    ) -> Result<Json<ApiKeyPage>, Problem> {
        let page = Paging::open(&self.app, &caller, "api_keys", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.app.store.read().await?;
        let rows = api_keys::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Revoke an API key
    ///
    /// It stops working at once here, and within five seconds in every other process. Revoking it
    /// again changes nothing.
    #[oai(path = "/api-keys/:api_key", method = "delete", operation_id = "revoke_api_key")]
    async fn revoke(
        &self,
        caller: Caller,
        /// Id of the key.
        api_key: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let id = ApiKeyId(api_key.0);
        let mut tx = self.app.store.begin().await?;
        let key = api_keys::find(&mut tx, caller.workspace, id).await?;
        if key.role > caller.role && !caller.is_platform() {
            let detail = "the key has a higher role than yours";
            return Err(Error::Forbidden(detail.into()).into());
        }
        let now = self.app.clock.now();
        api_keys::revoke(&mut tx, caller.workspace, id, now).await?;
        let what = json!({"name": key.name});
        audit_logs::note(&mut tx, &caller.actor(), "api_key.revoke", id, what, now).await?;
        tx.commit().await?;
        self.caches.keys.forget(id);
        Ok(Deleted::Gone)
    }
}

impl NewApiKey {
    fn check(&self, caller: &Caller, now: DateTime<Utc>) -> Result<(), Problem> {
        let mut rules = Rules::default();
        rules.name("/name", &self.name);
        for (index, scope) in self.scopes.iter().enumerate() {
            let known = access::GRANTABLE.contains(&scope.as_str())
                || (scope == access::PLATFORM && caller.is_platform());
            let detail = format!("must be one of {}", access::GRANTABLE.join(", "));
            rules.require(known, format!("/scopes/{index}"), &detail);
        }
        for (index, text) in self.allowed_ips.iter().flatten().enumerate() {
            let known = addresses::network(text).is_some();
            let detail = "must be an address or a network, such as 203.0.113.0/24";
            rules.require(known, format!("/allowed_ips/{index}"), detail);
        }
        let lasts = self.expires_at.is_none_or(|at| at.0 > now);
        rules.require(lasts, "/expires_at", "must lie in the future");
        rules.check()?;
        if caller.is_platform() {
            return Ok(());
        }
        let limited = caller.scopes.is_empty()
            || (!self.scopes.is_empty() && self.scopes.iter().all(|s| caller.scopes.contains(s)));
        if api_keys::Role::from(self.role) > caller.role || !limited {
            let detail = "a key cannot be given more than yours may do";
            return Err(Error::Forbidden(detail.into()).into());
        }
        Ok(())
    }
}

/// What a key is limited to beyond its role.
#[derive(Default)]
pub(super) struct Limits {
    scopes: Vec<String>,
    allowed_ips: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
}

/// A new key and the row that remembers it.
pub(super) fn issue(
    workspace_id: WorkspaceId,
    name: &str,
    role: api_keys::Role,
    limits: Limits,
    now: DateTime<Utc>,
) -> (api_key::ApiKey, api_keys::ApiKey) {
    let Limits { scopes, allowed_ips, expires_at } = limits;
    let key = api_key::ApiKey::generate(&mut rand::rng());
    let row = api_keys::ApiKey {
        id: ApiKeyId::generate(),
        workspace_id,
        name: name.into(),
        prefix: key.prefix().into(),
        secret_hash: key.hash().to_vec(),
        role,
        scopes: scopes.into(),
        allowed_ips: allowed_ips.map(Into::into),
        expires_at,
        last_used_at: None,
        revoked_at: None,
        created_at: now,
    };
    (key, row)
}

impl From<api_keys::ApiKey> for ApiKey {
    fn from(row: api_keys::ApiKey) -> Self {
        let api_keys::ApiKey {
            id,
            workspace_id: _,
            name,
            prefix,
            secret_hash: _,
            role,
            scopes,
            allowed_ips,
            expires_at,
            last_used_at,
            revoked_at,
            created_at,
        } = row;
        ApiKey {
            id: id.0,
            name,
            prefix,
            role: role.into(),
            scopes: scopes.0,
            allowed_ips: allowed_ips.map(|list| list.0),
            expires_at: expires_at.map(Into::into),
            last_used_at: last_used_at.map(Into::into),
            revoked_at: revoked_at.map(Into::into),
            created_at: created_at.into(),
        }
    }
}

impl From<api_keys::Role> for Role {
    fn from(role: api_keys::Role) -> Self {
        match role {
            api_keys::Role::Viewer => Role::Viewer,
            api_keys::Role::Member => Role::Member,
            api_keys::Role::Admin => Role::Admin,
            api_keys::Role::Owner => Role::Owner,
        }
    }
}

impl From<Role> for api_keys::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => api_keys::Role::Viewer,
            Role::Member => api_keys::Role::Member,
            Role::Admin => api_keys::Role::Admin,
            Role::Owner => api_keys::Role::Owner,
        }
    }
}
