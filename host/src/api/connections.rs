use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, Tagged, etag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Error, Result,
    ids::{ConnectionId, EventId},
    jobs::deliver_webhook::{Message, Tried},
    store::{Conn, audit_logs, connections},
    vault::Place,
};
use anyhow::Context as _;
use chrono::SecondsFormat;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use url::Url;
use uuid::Uuid;

/// Connections of one workspace.
const MOST: i64 = 100;

/// What kind of system it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ConnectionKind {
    /// Takes messages at an address, signed by the rules of Standard Webhooks when there is a
    /// secret.
    Webhook,
}

/// A system of somebody else's that the workspace works with.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Connection {
    id: Uuid,
    name: String,
    kind: ConnectionKind,
    url: String,
    /// Whether there is a secret. It is never shown.
    signs: bool,
    enabled: bool,
    /// When it was tested last.
    tested_at: Option<Timestamp>,
    /// What it answered then; absent when it did not.
    test_status: Option<i64>,
    /// Why the test failed; absent when it did not.
    test_error: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A connection to make.
#[derive(Object)]
struct NewConnection {
    /// Unique in the workspace.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    kind: ConnectionKind,
    /// An address of the public internet, with `https`.
    #[oai(validator(min_length = 1, max_length = 2000))]
    url: String,
    /// What messages are signed with. It is kept encrypted and never shown.
    #[oai(validator(min_length = 16, max_length = 500))]
    secret: Option<String>,
    #[oai(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What to change of a connection; fields that are absent stay.
#[derive(Object)]
struct ConnectionPatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// Another address. The secret goes with the old one unless it is given again: it is never sent
    /// to an address that it was not meant for.
    #[oai(validator(min_length = 1, max_length = 2000))]
    url: Option<String>,
    /// `null` removes it.
    #[oai(validator(min_length = 16, max_length = 500))]
    secret: Clearable<String>,
    enabled: Option<bool>,
}

/// What came of a test.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct ConnectionTest {
    /// Whether it answered with a 2xx.
    works: bool,
    /// HTTP status; absent when there was no answer.
    status: Option<i64>,
    /// Why it failed.
    error: Option<String>,
    /// The beginning of what was answered.
    answer: Option<String>,
    took_ms: i64,
}

page! {
    /// A page of connections, oldest first.
    ConnectionPage of Connection
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Connections")]
impl Api {
    /// Create a connection
    #[oai(path = "/connections", method = "post", operation_id = "create_connection")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewConnection>,
    ) -> Result<Created<Connection>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let NewConnection { name, kind: ConnectionKind::Webhook, url, secret, enabled } = new.0;
        check(app, Some(&name), Some(&url))?;
        let mut tx = app.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let others = connections::list(&mut tx, caller.workspace, None, MOST).await?;
        if i64::try_from(others.len()).unwrap_or(MOST) >= MOST {
            let detail = format!("a workspace has {MOST} connections at most: delete one first");
            return Err(Error::Conflict(detail).into());
        }
        let id = ConnectionId::generate();
        let row = connections::Connection {
            id,
            workspace_id: caller.workspace,
            name: name.trim().into(),
            kind: "webhook".into(),
            url,
            secret: self.sealed(&caller, id, secret)?,
            enabled,
            tested_at: None,
            test_status: None,
            test_error: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        connections::insert(&mut tx, &row).await?;
        audit_logs::note(&mut tx, &caller.actor(), "connection.create", id, told(&row), now)
            .await?;
        let created = Created::new(format!("/v1/connections/{id}"), &Connection::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the connections
    #[oai(path = "/connections", method = "get", operation_id = "list_connections")]
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
    ) -> Result<Json<ConnectionPage>, Problem> {
        let page =
            Paging::open(&self.0, &caller, "connections", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = connections::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a connection
    #[oai(path = "/connections/:connection", method = "get", operation_id = "find_connection")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the connection.
        connection: Path<Uuid>,
    ) -> Result<Tagged<Connection>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row =
            connections::find(&mut conn, caller.workspace, ConnectionId(connection.0)).await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Update a connection
    #[oai(path = "/connections/:connection", method = "patch", operation_id = "update_connection")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the connection.
        connection: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<ConnectionPatch>,
    ) -> Result<Tagged<Connection>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let ConnectionPatch { name, url, secret, enabled } = patch.0;
        check(app, name.as_deref(), url.as_deref())?;
        let mut tx = app.store.begin().await?;
        let mut row = own(&mut tx, &caller, connection.0, if_match.0.as_deref()).await?;
        row.name = name.map_or(row.name, |name| name.trim().into());
        if let Some(url) = url.filter(|url| *url != row.url) {
            row.url = url;
            row.secret = None;
        }
        if let Some(secret) = secret.change() {
            row.secret = self.sealed(&caller, row.id, secret)?;
        }
        row.enabled = enabled.unwrap_or(row.enabled);
        let row = connections::update(&mut tx, &row, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "connection.update", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Delete a connection
    #[oai(path = "/connections/:connection", method = "delete", operation_id = "delete_connection")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the connection.
        connection: Path<Uuid>,
        /// `ETag` of the version you mean to delete: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let row = own(&mut tx, &caller, connection.0, if_match.0.as_deref()).await?;
        connections::delete(&mut tx, caller.workspace, row.id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "connection.delete", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }

    /// Test a connection
    ///
    /// Sends it a `connection.test` message and tells what it answered.
    #[oai(
        path = "/connections/:connection/test",
        method = "post",
        operation_id = "test_connection"
    )]
    async fn test(
        &self,
        caller: Caller,
        /// Id of the connection.
        connection: Path<Uuid>,
    ) -> Result<Json<ConnectionTest>, Problem> {
        let app = &self.0;
        let (now, id) = (app.clock.now(), ConnectionId(connection.0));
        let mut conn = app.store.read().await?;
        let row = connections::find(&mut conn, caller.workspace, id).await?;
        drop(conn);
        let place = Place::of_connection(caller.workspace, row.id);
        let keys = row.secret.iter().map(|sealed| app.vault.unseal(place, sealed));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let message = EventId::generate().to_string();
        let body = json!({
            "id": message,
            "type": "connection.test",
            "timestamp": now.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "workspace_id": caller.workspace,
            "data": {"connection_id": id},
        });
        let body = body.to_string();
        let url = Url::parse(&row.url).context("read a connection's address")?;
        let tried = Message { id: &message, body: &body }.post(app, url, &keys).await?;
        let Tried { status, error, answer, took } = tried;
        let status = status.map(i64::from);
        let mut tx = app.store.begin().await?;
        connections::tested(&mut tx, caller.workspace, id, status, error.as_deref(), now).await?;
        let what = json!({"status": status, "error": error});
        audit_logs::note(&mut tx, &caller.actor(), "connection.test", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(ConnectionTest {
            works: error.is_none(),
            status,
            error,
            answer,
            took_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        }))
    }
}

impl Api {
    fn sealed(
        &self,
        caller: &Caller,
        id: ConnectionId,
        secret: Option<String>,
    ) -> Result<Option<Vec<u8>>> {
        let place = Place::of_connection(caller.workspace, id);
        secret.map(|secret| self.0.vault.seal(place, secret.as_bytes())).transpose()
    }
}

fn check(app: &App, name: Option<&str>, url: Option<&str>) -> Result<()> {
    let mut rules = Rules::default();
    if let Some(name) = name {
        rules.name("/name", name);
    }
    if let Some(url) = url {
        rules.target(app, "/url", url);
    }
    rules.check()
}

async fn own(
    conn: &mut Conn,
    caller: &Caller,
    id: Uuid,
    if_match: Option<&str>,
) -> Result<connections::Connection> {
    let row = connections::find(conn, caller.workspace, ConnectionId(id)).await?;
    match etag::expected(if_match, "connection")? {
        Some(version) if version != row.version => Err(Error::Changed("connection")),
        _ => Ok(row),
    }
}

/// What the audit log keeps of a connection.
fn told(row: &connections::Connection) -> serde_json::Value {
    json!({
        "name": row.name,
        "kind": row.kind,
        "url": row.url,
        "signs": row.secret.is_some(),
        "enabled": row.enabled,
    })
}

impl From<connections::Connection> for Connection {
    fn from(row: connections::Connection) -> Self {
        let connections::Connection {
            id,
            workspace_id: _,
            name,
            kind: _,
            url,
            secret,
            enabled,
            tested_at,
            test_status,
            test_error,
            version: _,
            created_at,
            updated_at,
        } = row;
        Connection {
            id: id.0,
            name,
            kind: ConnectionKind::Webhook,
            url,
            signs: secret.is_some(),
            enabled,
            tested_at: tested_at.map(Into::into),
            test_status,
            test_error,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
