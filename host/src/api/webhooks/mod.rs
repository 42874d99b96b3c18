use super::{
    Accepted, Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, Tagged, etag,
    page, rules::Rules,
};
use crate::{
    App, Error, Result,
    ids::{DeliveryId, EventId, WebhookId, WorkspaceId},
    jobs::deliver_webhook::{new_delivery, new_key, start_deliveries},
    store::{
        Conn, audit_logs,
        events::EventType,
        webhook_deliveries::{self, Delivery},
        webhooks,
    },
    vault::Place,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{SecondsFormat, TimeDelta};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

mod types;

use self::types::{
    IssuedWebhook, NewWebhook, Webhook, WebhookDelivery, WebhookDeliveryDetail, WebhookPatch,
    WebhookRotation,
};

/// Webhooks of one workspace.
const MOST: i64 = 50;

page! {
    /// A page of webhooks, oldest first.
    WebhookPage of Webhook
}

page! {
    /// A page of deliveries, newest first.
    WebhookDeliveryPage of WebhookDelivery
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Webhooks")]
impl Api {
    /// Create a webhook
    ///
    /// Events are posted to it as JSON, signed by the rules of Standard Webhooks
    /// (`webhook-id`, `webhook-timestamp`, `webhook-signature`). Any 2xx answer within 20 s takes a
    /// delivery; else it is tried nine more times, over three days. Redirects are not followed. An
    /// event may come twice and late: its id tells. The answer holds the secret, this once.
    #[oai(path = "/webhooks", method = "post", operation_id = "create_webhook")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewWebhook>,
    ) -> Result<Created<IssuedWebhook>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let NewWebhook { url, description, event_types, enabled } = new.0;
        let mut rules = Rules::default();
        rules.target(app, "/url", &url);
        rules.check()?;
        let mut tx = app.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let others = webhooks::list(&mut tx, caller.workspace, None, MOST).await?;
        if i64::try_from(others.len()).unwrap_or(MOST) >= MOST {
            let detail = format!("a workspace has {MOST} webhooks at most: delete one first");
            return Err(Error::Conflict(detail).into());
        }
        let (id, key) = (WebhookId::generate(), new_key());
        let row = webhooks::Webhook {
            id,
            workspace_id: caller.workspace,
            url,
            description: description.trim().into(),
            event_types: event_types
                .iter()
                .map(|name| name.0.as_str().to_owned())
                .collect::<Vec<_>>()
                .into(),
            enabled,
            disabled_reason: None,
            signing_key: app.vault.seal(Place::of_webhook(caller.workspace, id), &key)?,
            previous_key: None,
            previous_until: None,
            failing_since: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        webhooks::insert(&mut tx, &row).await?;
        audit_logs::note(&mut tx, &caller.actor(), "webhook.create", id, told(&row), now).await?;
        let location = format!("/v1/webhooks/{id}");
        let mut issued = IssuedWebhook { secret: None, webhook: types::webhook(row, now) };
        // What is kept for a repeated request must not hold the secret.
        doing.finish(&mut tx, &Created::new(location.clone(), &issued)).await?;
        tx.commit().await?;
        issued.secret = Some(written(&key));
        Ok(Created::new(location, &issued))
    }

    /// List the webhooks
    #[oai(path = "/webhooks", method = "get", operation_id = "list_webhooks")]
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
    ) -> Result<Json<WebhookPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "webhooks", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = webhooks::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        let now = self.0.clock.now();
        Ok(Json(page.close_with(rows, |row| row.id, |row| types::webhook(row, now))?.into()))
    }

    /// Find a webhook
    #[oai(path = "/webhooks/:webhook", method = "get", operation_id = "find_webhook")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
    ) -> Result<Tagged<Webhook>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = webhooks::find(&mut conn, caller.workspace, WebhookId(webhook.0)).await?;
        Ok(Tagged::new(row.version, types::webhook(row, self.0.clock.now())))
    }

    /// Update a webhook
    #[oai(path = "/webhooks/:webhook", method = "patch", operation_id = "update_webhook")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<WebhookPatch>,
    ) -> Result<Tagged<Webhook>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let WebhookPatch { url, description, event_types, enabled } = patch.0;
        let mut rules = Rules::default();
        if let Some(url) = &url {
            rules.target(app, "/url", url);
        }
        rules.check()?;
        let mut tx = app.store.begin().await?;
        let mut row = lock(&mut tx, &caller, webhook.0, if_match.0.as_deref()).await?;
        row.url = url.unwrap_or(row.url);
        row.description = description.map_or(row.description, |text| text.trim().into());
        if let Some(names) = event_types {
            let names: Vec<_> = names.iter().map(|name| name.0.as_str().to_owned()).collect();
            row.event_types = names.into();
        }
        if let Some(enabled) = enabled {
            row.enabled = enabled;
            row.disabled_reason = None;
            row.failing_since = None;
        }
        let row = webhooks::update(&mut tx, &row, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "webhook.update", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, types::webhook(row, now)))
    }

    /// Delete a webhook
    ///
    /// Its deliveries go with it; those on their way are not made.
    #[oai(path = "/webhooks/:webhook", method = "delete", operation_id = "delete_webhook")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
        /// `ETag` of the version you mean to delete: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let row = lock(&mut tx, &caller, webhook.0, if_match.0.as_deref()).await?;
        webhooks::delete(&mut tx, caller.workspace, row.id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "webhook.delete", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }

    /// Rotate the secret of a webhook
    ///
    /// Makes a new secret, shown this once. For a while deliveries are signed with both, so that
    /// nothing is lost while the receiver changes over.
    #[oai(path = "/webhooks/:webhook/rotate", method = "post", operation_id = "rotate_webhook")]
    async fn rotate(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
        rotation: Body<WebhookRotation>,
    ) -> Result<Json<IssuedWebhook>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let mut row = lock(&mut tx, &caller, webhook.0, None).await?;
        let key = new_key();
        let sealed = app.vault.seal(Place::of_webhook(caller.workspace, row.id), &key)?;
        let before = std::mem::replace(&mut row.signing_key, sealed);
        let hours = rotation.0.overlap_hours;
        row.previous_key = (hours > 0).then_some(before);
        row.previous_until = (hours > 0).then(|| now + TimeDelta::hours(hours));
        let row = webhooks::update(&mut tx, &row, now).await?;
        let what = json!({"overlap_hours": hours});
        audit_logs::note(&mut tx, &caller.actor(), "webhook.rotate", row.id, what, now).await?;
        tx.commit().await?;
        let secret = Some(written(&key));
        Ok(Json(IssuedWebhook { secret, webhook: types::webhook(row, now) }))
    }

    /// Test a webhook
    ///
    /// Sends it a `webhook.test` event, once, even when it is switched off. The delivery tells what
    /// came of it.
    #[oai(path = "/webhooks/:webhook/test", method = "post", operation_id = "test_webhook")]
    async fn test(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
    ) -> Result<Accepted<WebhookDelivery>, Problem> {
        let app = &self.0;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let row = webhooks::find(&mut tx, caller.workspace, WebhookId(webhook.0)).await?;
        let (event, kind) = (EventId::generate(), EventType::WebhookTest.as_str());
        let body = json!({
            "id": event,
            "type": kind,
            "timestamp": now.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "workspace_id": caller.workspace,
            "data": {"webhook_id": row.id},
        });
        let delivery = new_delivery(caller.workspace, row.id, event, kind, body.to_string(), now);
        self.start(&caller, tx, delivery, "webhook.test").await
    }

    /// List the deliveries of a webhook
    ///
    /// They are kept for 30 days.
    #[oai(
        path = "/webhooks/:webhook/deliveries",
        method = "get",
        operation_id = "list_webhook_deliveries"
    )]
    async fn deliveries(
        &self,
        caller: Caller,
        /// Id of the webhook.
        webhook: Path<Uuid>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<WebhookDeliveryPage>, Problem> {
        let id = WebhookId(webhook.0);
        let (limit, cursor) = (limit.0, cursor.0);
        let page = Paging::open(&self.0, &caller, "deliveries", &id, limit, cursor.as_deref())?;
        let mut conn = self.0.store.read().await?;
        webhooks::find(&mut conn, caller.workspace, id).await?;
        let rows =
            webhook_deliveries::list(&mut conn, caller.workspace, id, page.after, page.fetch())
                .await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a delivery
    ///
    /// With what was sent, and what each try came to.
    #[oai(
        path = "/webhook-deliveries/:delivery",
        method = "get",
        operation_id = "find_webhook_delivery"
    )]
    async fn delivery(
        &self,
        caller: Caller,
        /// Id of the delivery.
        delivery: Path<Uuid>,
    ) -> Result<Json<WebhookDeliveryDetail>, Problem> {
        let mut conn = self.0.store.read().await?;
        let (workspace, id) = (caller.workspace, DeliveryId(delivery.0));
        let row = webhook_deliveries::find(&mut conn, workspace, id).await?;
        let tries = webhook_deliveries::attempts(&mut conn, workspace, id).await?;
        Ok(Json(WebhookDeliveryDetail {
            body: row.body.clone(),
            delivery: row.into(),
            tries: tries.into_iter().map(Into::into).collect(),
        }))
    }

    /// Redeliver an event
    ///
    /// Makes a new delivery of the same event, whatever became of the first one.
    #[oai(
        path = "/webhook-deliveries/:delivery/redeliver",
        method = "post",
        operation_id = "redeliver_webhook_delivery"
    )]
    async fn redeliver(
        &self,
        caller: Caller,
        /// Id of the delivery.
        delivery: Path<Uuid>,
    ) -> Result<Accepted<WebhookDelivery>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let (workspace, id) = (caller.workspace, DeliveryId(delivery.0));
        let row = webhook_deliveries::find(&mut tx, workspace, id).await?;
        let webhook = webhooks::find(&mut tx, workspace, row.webhook_id).await?;
        if !webhook.enabled && row.event_type != EventType::WebhookTest.as_str() {
            let detail = "the webhook is switched off: switch it on first";
            return Err(Error::Conflict(detail.into()).into());
        }
        let Delivery { webhook_id, event_id, event_type, body, .. } = row;
        let again = new_delivery(workspace, webhook_id, event_id, &event_type, body, now);
        self.start(&caller, tx, again, "webhook.redeliver").await
    }
}

impl Api {
    async fn start(
        &self,
        caller: &Caller,
        mut tx: crate::store::Tx,
        delivery: Delivery,
        action: &'static str,
    ) -> Result<Accepted<WebhookDelivery>, Problem> {
        let now = self.0.clock.now();
        start_deliveries(&self.0, &mut tx, std::slice::from_ref(&delivery)).await?;
        let what = json!({"delivery_id": delivery.id, "event_id": delivery.event_id});
        audit_logs::note(&mut tx, &caller.actor(), action, delivery.webhook_id, what, now).await?;
        tx.commit().await?;
        self.0.queue.wake();
        let location = format!("/v1/webhook-deliveries/{}", delivery.id);
        Ok(Accepted::new(location, &WebhookDelivery::from(delivery)))
    }
}

async fn lock(
    conn: &mut Conn,
    caller: &Caller,
    id: Uuid,
    if_match: Option<&str>,
) -> Result<webhooks::Webhook> {
    let expected = etag::expected(if_match, "webhook")?;
    let workspace: WorkspaceId = caller.workspace;
    webhooks::lock(conn, workspace, WebhookId(id), expected).await
}

/// A secret as Standard Webhooks writes it.
fn written(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// What the audit log keeps of a webhook.
fn told(row: &webhooks::Webhook) -> serde_json::Value {
    json!({"url": row.url, "event_types": row.event_types.0, "enabled": row.enabled})
}
