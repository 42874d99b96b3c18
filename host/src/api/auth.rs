//! Who is calling.
//!
//! **Invariant:** the edge decides before any handler runs; a handler reads the decision.
//! **Invariant:** fails closed: a request that the edge did not decide about has no [`Caller`],
//! and a handler without one answers 401.

use super::{Problem, access};
use crate::{
    App, Error,
    api_key::ApiKey,
    ids::{ApiKeyId, WorkspaceId},
    store::{
        api_keys::{self, Role},
        audit_logs::Actor,
        workspaces,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use poem::{
    Request, RequestBody, Result,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a key is believed without asking the database: so long it outlives its revocation by
/// another process.
const BELIEVED: Duration = Duration::from_secs(5);
/// Keys remembered at once.
const REMEMBERED: usize = 10_000;
/// The last use of a key is noted when the note is older than this.
const NOTED: TimeDelta = TimeDelta::minutes(5);

const KEY_HEADER: &str = "x-api-key";
const WORKSPACE_HEADER: &str = "x-workspace-id";

/// An authenticated principal, in the workspace it works in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
    pub(crate) key: ApiKeyId,
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) scopes: Arc<[String]>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Of the request it makes.
    pub(crate) request_id: Arc<str>,
}

impl Caller {
    /// May act for the installation, in any workspace.
    pub(crate) fn is_platform(&self) -> bool {
        self.scopes.iter().any(|scope| scope == access::PLATFORM)
    }

    /// How records name it.
    pub(crate) fn label(&self) -> String {
        format!("api_key:{}", self.key)
    }

    /// As the author of a change in its workspace.
    pub(crate) fn actor(&self) -> Actor {
        Actor { workspace: Some(self.workspace), ..self.operator() }
    }

    /// As the author of a change of the platform.
    pub(crate) fn operator(&self) -> Actor {
        let request_id = Some(self.request_id.to_string());
        Actor { workspace: None, name: self.label(), request_id }
    }
}

/// What is known of the keys that were presented lately, unknown ones included.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<[u8; 32], Known>>);

#[derive(Clone)]
struct Known {
    since: Instant,
    /// `None` for a key that nobody was given.
    key: Option<Caller>,
}

impl KeyCache {
    fn find(&self, hash: &[u8; 32]) -> Option<Known> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(hash).filter(|known| known.since.elapsed() < BELIEVED).cloned()
    }

    fn insert(&self, hash: [u8; 32], key: Option<Caller>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= REMEMBERED {
            keys.retain(|_, known| known.since.elapsed() < BELIEVED);
            if keys.len() >= REMEMBERED {
                keys.clear();
            }
        }
        keys.insert(hash, Known { since: Instant::now(), key });
    }

    /// Forgets a key at once: it was revoked here.
    pub(crate) fn forget(&self, id: ApiKeyId) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, known| known.key.as_ref().is_none_or(|key| key.key != id));
    }
}

/// The caller that the request's headers prove; `None` when they do not try.
pub(super) async fn authenticate(
    app: &App,
    cache: &KeyCache,
    headers: &HeaderMap,
    request_id: &str,
) -> Result<Option<Caller>, Problem> {
    let mut found: Option<Caller> = None;
    // Each credential that is presented has to be good, and both have to name the same key.
    for text in presented(headers)? {
        let Some(key) = ApiKey::parse(text) else { return Err(refused()) };
        let caller = look_up(app, cache, key.hash()).await?.ok_or_else(refused)?;
        if found.as_ref().is_some_and(|other| other.key != caller.key) {
            return Err(Problem::unauthenticated("the request presents two different keys"));
        }
        found = Some(caller);
    }
    let Some(caller) = found else { return Ok(None) };
    let caller = Caller { request_id: request_id.into(), ..caller };
    select_workspace(app, caller, headers).await.map(Some)
}

fn presented(headers: &HeaderMap) -> Result<Vec<&str>, Problem> {
    let unreadable = || Problem::unauthenticated("the credential is not plain text");
    let mut found = Vec::with_capacity(1);
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| unreadable())?;
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::unauthenticated("use `Authorization: Bearer <API key>`"));
        }
        found.push(token.trim());
    }
    for value in headers.get_all(KEY_HEADER) {
        found.push(value.to_str().map_err(|_| unreadable())?.trim());
    }
    Ok(found)
}

/// One text for unknown, mistyped, expired and revoked: which of them it is helps a thief only.
fn refused() -> Problem {
    Problem::unauthenticated("the API key is not valid")
}

async fn look_up(app: &App, cache: &KeyCache, hash: [u8; 32]) -> crate::Result<Option<Caller>> {
    let key = match cache.find(&hash) {
        Some(known) => known.key,
        None => read_key(app, cache, hash).await?,
    };
    let now = app.clock.now();
    Ok(key.filter(|key| key.expires_at.is_none_or(|end| now < end)))
}

async fn read_key(app: &App, cache: &KeyCache, hash: [u8; 32]) -> crate::Result<Option<Caller>> {
    let mut conn = app.store.read().await?;
    let row = api_keys::find_by_hash(&mut conn, &hash).await?;
    drop(conn);
    let row = row.filter(|row| row.revoked_at.is_none());
    let now = app.clock.now();
    if let Some(row) = &row
        && row.last_used_at.is_none_or(|last| now - last > NOTED)
    {
        note_use(app, row, now).await;
    }
    let key = row.map(|row| Caller {
        workspace: row.workspace_id,
        key: row.id,
        name: row.name.into(),
        role: row.role,
        scopes: row.scopes.0.into(),
        expires_at: row.expires_at,
        request_id: Arc::default(),
    });
    cache.insert(hash, key.clone());
    Ok(key)
}

/// Notes when a key was last used. A busy database is no reason to refuse the caller.
async fn note_use(app: &App, row: &api_keys::ApiKey, now: DateTime<Utc>) {
    let note = async {
        let mut tx = app.store.begin().await?;
        api_keys::touch(&mut tx, row.workspace_id, row.id, now).await?;
        tx.commit().await?;
        Ok::<(), Error>(())
    };
    match tokio::time::timeout(Duration::from_millis(250), note).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("the use of a key was not noted: {error}"),
        Err(_) => tracing::debug!("the use of a key was not noted in time"),
    }
}

/// `X-Workspace-Id` names the workspace to work in: for platform operators, which one; for all
/// others it may only repeat their own.
async fn select_workspace(
    app: &App,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let Some(named) = headers.get(WORKSPACE_HEADER) else { return Ok(caller) };
    let named = named.to_str().ok().and_then(|text| text.parse::<WorkspaceId>().ok());
    let Some(named) = named else {
        return Err(Error::Malformed("`X-Workspace-Id` is not a UUID".into()).into());
    };
    if named == caller.workspace {
        return Ok(caller);
    }
    if !caller.is_platform() {
        let detail = "the key belongs to another workspace than `X-Workspace-Id` names";
        return Err(Error::Forbidden(detail.into()).into());
    }
    let mut conn = app.store.read().await?;
    workspaces::find(&mut conn, named).await?;
    Ok(Caller { workspace: named, ..caller })
}

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: None,
            name: None,
            key_in: None,
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(
            BEARER,
            MetaSecurityScheme {
                description: Some("An API key as a bearer token."),
                scheme: Some("bearer"),
                bearer_format: Some("avk_live_…"),
                ..scheme
            },
        );
        registry.create_security_scheme(
            API_KEY,
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some("An API key in a header of its own."),
                name: Some("X-API-Key"),
                key_in: Some("header"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER, API_KEY]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let caller = request.data::<Caller>().cloned();
        Ok(caller.ok_or_else(|| Problem::unauthenticated("send an API key"))?)
    }
}
