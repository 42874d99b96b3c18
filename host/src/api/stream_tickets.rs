use super::{Caller, Problem, Tag, auth::Principal, types::Timestamp};
use crate::{
    App, Result,
    store::{
        api_keys::Role,
        stream_tickets::{self, StreamTicket},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use poem::{Request, http::Method};
use poem_openapi::{Object, OpenApi, payload::Json};
use rand::RngCore;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How long a ticket is good for.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(60);
/// The one operation that takes tickets.
const EVENTS: &str = "/v1/events";

pub(super) struct Api(pub(super) App);

/// Leave to open one stream of events.
#[derive(Object)]
struct IssuedStreamTicket {
    /// Pass it as `ticket` to `GET /v1/events`. It opens one stream.
    ticket: String,
    /// When it is good no longer.
    expires_at: Timestamp,
}

#[OpenApi(tag = "Tag::Events")]
impl Api {
    /// Create a stream ticket
    ///
    /// A browser's `EventSource` cannot send a key, and a key has no place in an address, which
    /// ends up in logs. A ticket may stand there: it opens one stream within a minute, and nothing
    /// else.
    #[oai(path = "/stream-tickets", method = "post", operation_id = "create_stream_ticket")]
    async fn create(&self, caller: Caller) -> Result<Json<IssuedStreamTicket>, Problem> {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        let ticket = URL_SAFE_NO_PAD.encode(bytes);
        let now = self.0.clock.now();
        let row = StreamTicket {
            digest: Sha256::digest(&ticket).to_vec(),
            workspace_id: caller.workspace,
            taken_by: caller.label(),
            expires_at: now + GOOD_FOR,
            created_at: now,
        };
        let mut tx = self.0.store.begin().await?;
        stream_tickets::insert(&mut tx, &row, now).await?;
        tx.commit().await?;
        Ok(Json(IssuedStreamTicket { ticket, expires_at: row.expires_at.into() }))
    }
}

/// The caller that the request's ticket stands for, which is used up by this; `None` when there is
/// no good one. A ticket reads events and does nothing else.
pub(super) async fn redeem(
    app: &App,
    request: &Request,
    request_id: &str,
) -> Result<Option<Caller>> {
    if request.method() != Method::GET || request.uri().path() != EVENTS {
        return Ok(None);
    }
    let query = request.uri().query().unwrap_or_default();
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let Some((_, ticket)) = parameters.find(|(name, _)| name == "ticket") else {
        return Ok(None);
    };
    let mut tx = app.store.begin().await?;
    let digest = Sha256::digest(ticket.as_bytes());
    let found = stream_tickets::redeem(&mut tx, &digest, app.clock.now()).await?;
    tx.commit().await?;
    Ok(found.and_then(|ticket| {
        Some(Caller {
            workspace: ticket.workspace_id,
            principal: Principal::of_label(&ticket.taken_by)?,
            name: Arc::from("stream ticket"),
            role: Role::Viewer,
            scopes: Arc::from(["read".to_owned()]),
            expires_at: Some(ticket.expires_at),
            request_id: request_id.into(),
        })
    }))
}
