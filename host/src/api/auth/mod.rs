//! Who is calling.
//!
//! **Invariant:** the edge decides before any handler runs; a handler reads the decision.
//! **Invariant:** fails closed: a request that the edge did not decide about has no [`Caller`],
//! and a handler without one answers 401.

mod keys;
mod people;

pub(crate) use self::{keys::KeyCache, people::PersonCache};

use super::{Problem, access};
use crate::{
    App, Error,
    api_key::ApiKey,
    ids::{ApiKeyId, UserId, WorkspaceId},
    store::{api_keys::Role, audit_logs::Actor, members::Membership, workspaces},
};
use chrono::{DateTime, Utc};
use poem::{
    Request, RequestBody, Result,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// How long what the database said of a credential is believed: so long it outlives its revocation
/// by another process.
const BELIEVED: Duration = Duration::from_secs(5);
/// Credentials of a kind remembered at once.
const REMEMBERED: usize = 10_000;

const KEY_HEADER: &str = "x-api-key";
const WORKSPACE_HEADER: &str = "x-workspace-id";

/// Who proved to be calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    Key(ApiKeyId),
    User(UserId),
}

impl Principal {
    /// The one that [`Caller::label`] names.
    pub(super) fn of_label(label: &str) -> Option<Self> {
        match label.split_once(':')? {
            ("api_key", id) => id.parse().ok().map(Self::Key),
            ("user", id) => id.parse().ok().map(Self::User),
            _ => None,
        }
    }
}

/// An authenticated principal, in the workspace it works in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
    pub(crate) principal: Principal,
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

    /// A person, and not a key.
    pub(crate) fn is_user(&self) -> bool {
        matches!(self.principal, Principal::User(_))
    }

    /// How records name it.
    pub(crate) fn label(&self) -> String {
        match self.principal {
            Principal::Key(id) => format!("api_key:{id}"),
            Principal::User(id) => format!("user:{id}"),
        }
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

/// Somebody whom a token proves, in whichever workspaces they are, none included.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) issuer: Arc<str>,
    pub(crate) subject: Arc<str>,
    pub(crate) email: Option<Arc<str>>,
    pub(crate) name: Option<Arc<str>>,
    /// `None` for somebody who never was a member of anything.
    pub(crate) user: Option<UserId>,
    pub(crate) memberships: Arc<[Membership]>,
    pub(crate) expires_at: DateTime<Utc>,
    /// Of the request they make.
    request_id: Arc<str>,
    scopes: Arc<[String]>,
    /// The workspace that the token is limited to.
    workspace: Option<WorkspaceId>,
}

/// What a request's credentials prove.
pub(super) struct Proof {
    pub(super) person: Option<Person>,
    /// The caller, or why a person is none before they say more.
    pub(super) caller: Result<Caller, Problem>,
}

/// What is remembered of credentials.
#[derive(Default)]
pub(crate) struct Caches {
    pub(crate) keys: KeyCache,
    pub(crate) people: PersonCache,
}

/// What the request's headers prove; `None` when they do not try.
pub(super) async fn authenticate(
    app: &App,
    caches: &Caches,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    request_id: &str,
) -> Result<Option<Proof>, Problem> {
    let mut key: Option<Caller> = None;
    let mut person: Option<Person> = None;
    // Each credential that is presented has to be good, and all have to name the same principal.
    for text in presented(headers)? {
        if let Some(parsed) = ApiKey::parse(text) {
            let found = keys::look_up(app, &caches.keys, parsed.hash(), address).await?;
            if key.as_ref().is_some_and(|other| other.principal != found.principal) {
                return Err(contradiction());
            }
            key = Some(found);
        } else {
            let found = people::look_up(app, &caches.people, text).await?;
            let other = person.as_ref().map(|other| (&other.issuer, &other.subject));
            if other.is_some_and(|other| other != (&found.issuer, &found.subject)) {
                return Err(contradiction());
            }
            person = Some(found);
        }
    }
    let wanted = wanted_workspace(headers)?;
    let caller = match (key, &person) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(contradiction()),
        (Some(key), None) => choose_workspace(app, key, wanted).await,
        (None, Some(person)) => person.act_in(app, wanted).await,
    };
    let request_id: Arc<str> = request_id.into();
    let person = person.map(|person| Person { request_id: Arc::clone(&request_id), ..person });
    let caller = caller.map(|caller| Caller { request_id, ..caller });
    Ok(Some(Proof { person, caller }))
}

fn presented(headers: &HeaderMap) -> Result<Vec<&str>, Problem> {
    let unreadable = || Problem::unauthenticated("the credential is not plain text");
    let mut found = Vec::with_capacity(1);
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| unreadable())?;
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            let detail = "use `Authorization: Bearer` with an API key or a token";
            return Err(Problem::unauthenticated(detail));
        }
        found.push(token.trim());
    }
    for value in headers.get_all(KEY_HEADER) {
        let value = value.to_str().map_err(|_| unreadable())?.trim();
        if ApiKey::parse(value).is_none() {
            return Err(refused());
        }
        found.push(value);
    }
    Ok(found)
}

/// One text for unknown, mistyped, expired and revoked: which of them it is helps a thief only.
fn refused() -> Problem {
    Problem::unauthenticated("the credential is not valid")
}

fn contradiction() -> Problem {
    Problem::unauthenticated("the request presents credentials of different principals")
}

/// The workspace that `X-Workspace-Id` names.
fn wanted_workspace(headers: &HeaderMap) -> Result<Option<WorkspaceId>, Problem> {
    let Some(named) = headers.get(WORKSPACE_HEADER) else { return Ok(None) };
    let named = named.to_str().ok().and_then(|text| text.parse::<WorkspaceId>().ok());
    let unreadable = || Error::Malformed("`X-Workspace-Id` is not a UUID".into());
    Ok(Some(named.ok_or_else(unreadable)?))
}

/// A key belongs to one workspace and can only repeat it; platform operators may name any.
async fn choose_workspace(
    app: &App,
    caller: Caller,
    wanted: Option<WorkspaceId>,
) -> Result<Caller, Problem> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != caller.workspace) else {
        return Ok(caller);
    };
    if !caller.is_platform() {
        let detail = "the key belongs to another workspace than `X-Workspace-Id` names";
        return Err(Error::Forbidden(detail.into()).into());
    }
    exists(app, wanted).await?;
    Ok(Caller { workspace: wanted, ..caller })
}

async fn exists(app: &App, workspace: WorkspaceId) -> Result<(), Problem> {
    let mut conn = app.store.read().await?;
    workspaces::find(&mut conn, workspace).await?;
    Ok(())
}

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// Of both extractors.
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
            description: Some(
                "An API key (`avk_live_…`), or a JSON Web Token of an issuer that this \
                 installation believes.",
            ),
            scheme: Some("bearer"),
            bearer_format: Some("avk_live_… or JWT"),
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

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register(registry);
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
        Ok(caller.ok_or_else(|| Problem::unauthenticated("send an API key or a token"))?)
    }
}

impl<'a> ApiExtractor<'a> for Person {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let person = request.data::<Person>().cloned();
        Ok(person.ok_or_else(|| Problem::unauthenticated("send a person's token"))?)
    }
}
