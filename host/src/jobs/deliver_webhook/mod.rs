use super::{Context, Job};
use crate::{
    App, Error, Result, events,
    ids::{DeliveryId, EventId, WebhookId, WorkspaceId},
    queue::Ended,
    store::{
        Conn,
        events::{Event, EventType, NewEvent},
        jobs::{Claimed, JobEnd, NewJob},
        webhook_deliveries::{self, Attempt, Delivery, DeliveryState},
        webhooks::{self, PATIENCE, Webhook},
    },
    telemetry::metrics,
    vault::Place,
};
use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

mod message;

pub use self::message::{Message, Tried};

/// Takes an event to a webhook.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeliverWebhook {
    pub workspace: WorkspaceId,
    pub delivery: DeliveryId,
}

/// How long after each failed try the next one comes: three days in all.
const RETRIES: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];

/// The receiver says that it will never take anything again.
const GONE: u16 = 410;

/// A new signing key.
pub fn new_key() -> Vec<u8> {
    let mut key = vec![0; 32];
    rand::rng().fill_bytes(&mut key);
    key
}

impl Job for DeliverWebhook {
    const QUEUE: &'static str = "deliverWebhook";
    const MAX_ATTEMPTS: i64 = 9;

    async fn run(self, context: &Context, _claimed: &Claimed) -> Result<Ended> {
        let app = &context.app;
        let mut conn = app.store.read().await?;
        let found = find(&mut conn, self.workspace, self.delivery).await;
        drop(conn);
        let (delivery, webhook) = match found {
            // Deleted meanwhile, or old.
            Err(Error::NotFound(_)) => return Ok(Ended::As(JobEnd::Cancelled)),
            found => found?,
        };
        if delivery.state != DeliveryState::Pending {
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let is_test = delivery.event_type == EventType::WebhookTest.as_str();
        if !webhook.enabled && !is_test {
            let mut tx = app.store.begin().await?;
            let now = app.clock.now();
            webhook_deliveries::cancel(&mut tx, self.workspace, delivery.id, now).await?;
            tx.commit().await?;
            return Ok(Ended::As(JobEnd::Cancelled));
        }

        let started_at = app.clock.now();
        let keys = signing_keys(app, &webhook, started_at)?;
        let url = Url::parse(&webhook.url).context("read a webhook's address")?;
        let id = delivery.event_id.to_string();
        let tried = Message { id: &id, body: &delivery.body }.post(app, url, &keys).await?;
        let attempt = Attempt {
            workspace_id: self.workspace,
            delivery_id: delivery.id,
            attempt: delivery.attempts + 1,
            status: tried.status.map(i64::from),
            error: tried.error.clone(),
            answer: tried.answer,
            took_ms: i64::try_from(tried.took.as_millis()).unwrap_or(i64::MAX),
            started_at,
        };
        // A test is for somebody who looks: there is one try.
        let retry = if is_test { None } else { delay_after(attempt.attempt) };
        self.write(app, &webhook, attempt, retry).await
    }
}

impl DeliverWebhook {
    /// Writes down what became of a try.
    async fn write(
        &self,
        app: &App,
        webhook: &Webhook,
        attempt: Attempt,
        retry: Option<TimeDelta>,
    ) -> Result<Ended> {
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let taken = attempt.error.is_none();
        webhooks::note(&mut tx, self.workspace, webhook.id, taken, now).await?;
        let Some(error) = attempt.error.clone() else {
            webhook_deliveries::tried(&mut tx, &attempt, DeliveryState::Delivered, None, now)
                .await?;
            tx.commit().await?;
            metrics::webhook_delivery("delivered");
            return Ok(Ended::As(JobEnd::Succeeded));
        };
        let gone = attempt.status == Some(i64::from(GONE));
        let failing_for = webhook.failing_since.map_or(TimeDelta::zero(), |since| now - since);
        let reason = if gone {
            Some("it answered 410: it wants nothing any more".to_owned())
        } else if failing_for >= PATIENCE {
            let days = PATIENCE.num_days();
            Some(format!("it took nothing for {days} days; last: {error}"))
        } else {
            None
        };
        if let Some(reason) = &reason
            && webhooks::disable(&mut tx, self.workspace, webhook.id, reason, now).await?
        {
            let data = json!({"webhook_id": webhook.id, "url": webhook.url, "reason": reason});
            let kind = EventType::WebhookDisabled;
            let event = NewEvent::new(self.workspace, kind, webhook.id.to_string(), data);
            crate::store::events::insert(&mut tx, &[event], now).await?;
        }
        let next_at = retry.filter(|_| reason.is_none()).map(|delay| now + delay);
        let state = if next_at.is_some() { DeliveryState::Pending } else { DeliveryState::Failed };
        webhook_deliveries::tried(&mut tx, &attempt, state, next_at, now).await?;
        tx.commit().await?;
        metrics::webhook_delivery(if next_at.is_some() { "retried" } else { "failed" });
        Ok(Ended::As(match next_at {
            Some(run_at) => JobEnd::Retry { run_at, counts: true, error: Some(error) },
            None => JobEnd::Dead { error },
        }))
    }
}

async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<(Delivery, Webhook)> {
    let delivery = webhook_deliveries::find(conn, workspace, id).await?;
    let webhook = webhooks::find(conn, workspace, delivery.webhook_id).await?;
    Ok((delivery, webhook))
}

/// The keys that sign at this time: after a rotation both, for a while.
fn signing_keys(app: &App, webhook: &Webhook, now: DateTime<Utc>) -> Result<Vec<Vec<u8>>> {
    let place = Place::of_webhook(webhook.workspace_id, webhook.id);
    let open = |sealed: &[u8]| app.vault.unseal(place, sealed);
    let mut keys = vec![open(&webhook.signing_key)?];
    if let (Some(previous), Some(until)) = (&webhook.previous_key, webhook.previous_until)
        && now < until
    {
        keys.push(open(previous)?);
    }
    Ok(keys)
}

/// The delay after failed try number `attempt`, with up to a tenth more so that what failed
/// together does not come back together; `None` after the last one.
fn delay_after(attempt: i64) -> Option<TimeDelta> {
    let index = usize::try_from(attempt - 1).ok()?;
    let delay = *RETRIES.get(index)?;
    let more = rand::random_range(0..=delay.num_milliseconds() / 10);
    Some(delay + TimeDelta::milliseconds(more))
}

/// An event that is to go to a webhook.
pub fn delivery_of(event: &Event, webhook: WebhookId, now: DateTime<Utc>) -> Delivery {
    new_delivery(
        event.workspace_id,
        webhook,
        event.id,
        event.kind.as_str(),
        events::document(event).to_string(),
        now,
    )
}

/// A delivery that nothing was tried for yet.
pub fn new_delivery(
    workspace: WorkspaceId,
    webhook: WebhookId,
    event: EventId,
    event_type: &str,
    body: String,
    now: DateTime<Utc>,
) -> Delivery {
    Delivery {
        id: DeliveryId::generate(),
        workspace_id: workspace,
        webhook_id: webhook,
        event_id: event,
        event_type: event_type.into(),
        body,
        state: DeliveryState::Pending,
        attempts: 0,
        next_at: Some(now),
        created_at: now,
        finished_at: None,
    }
}

/// Writes deliveries and the jobs that make them; wake the queue after the commit.
pub async fn start_deliveries(app: &App, conn: &mut Conn, deliveries: &[Delivery]) -> Result<()> {
    webhook_deliveries::insert(conn, deliveries).await?;
    let jobs = deliveries
        .iter()
        .map(|delivery| {
            let (workspace, id) = (delivery.workspace_id, delivery.id);
            let job = DeliverWebhook { workspace, delivery: id };
            Ok(NewJob {
                workspace: Some(workspace),
                unique_key: Some(id.to_string()),
                ..job.queued(app)?
            })
        })
        .collect::<Result<Vec<_>>>()?;
    app.queue.enqueue(conn, &jobs, app.clock.now()).await?;
    Ok(())
}
