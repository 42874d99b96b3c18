//! What the API says of webhooks.

use crate::{
    api::{event_name::EventName, types::Timestamp},
    store::{
        webhook_deliveries::{self as rows, DeliveryState},
        webhooks,
    },
};
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use uuid::Uuid;

/// Where to tell of events.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Webhook {
    pub(super) id: Uuid,
    pub(super) url: String,
    /// What it is for.
    pub(super) description: String,
    /// What it is told of; everything when empty.
    pub(super) event_types: Vec<EventName>,
    pub(super) enabled: bool,
    /// Why it was switched off without anybody asking: it answered 410, or took nothing for five
    /// days.
    pub(super) disabled_reason: Option<String>,
    /// Until when deliveries are signed with the secret before the last rotation, too.
    pub(super) previous_until: Option<Timestamp>,
    /// Since when it takes nothing; absent while it does.
    pub(super) failing_since: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// A webhook with the secret that its deliveries are signed with.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct IssuedWebhook {
    /// What to check signatures with, by the rules of Standard Webhooks. Keep it now: it is shown
    /// this once. It is absent when a repeated request is answered again.
    pub(super) secret: Option<String>,
    pub(super) webhook: Webhook,
}

/// A webhook to make.
#[derive(Object)]
pub(super) struct NewWebhook {
    /// An address of the public internet, with `https`.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub(super) url: String,
    /// What it is for.
    #[oai(default, validator(max_length = 200))]
    pub(super) description: String,
    /// What to tell; everything when empty.
    #[oai(default, validator(max_items = 50, unique_items))]
    pub(super) event_types: Vec<EventName>,
    /// Whether it is told of anything.
    #[oai(default = "yes")]
    pub(super) enabled: bool,
}

fn yes() -> bool {
    true
}

/// What to change of a webhook; fields that are absent stay.
#[derive(Object)]
pub(super) struct WebhookPatch {
    /// An address of the public internet, with `https`.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub(super) url: Option<String>,
    #[oai(validator(max_length = 200))]
    pub(super) description: Option<String>,
    /// Replaces what it is told of.
    #[oai(validator(max_items = 50, unique_items))]
    pub(super) event_types: Option<Vec<EventName>>,
    /// Switching it on forgets that it failed. What happened while it was off is not sent.
    pub(super) enabled: Option<bool>,
}

/// How to change the secret.
#[derive(Object)]
pub(super) struct WebhookRotation {
    /// For so long deliveries are signed with both secrets. 0 ends the old one at once.
    #[oai(default = "a_day", validator(minimum(value = "0"), maximum(value = "168")))]
    pub(super) overlap_hours: i64,
}

fn a_day() -> i64 {
    24
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "WebhookDeliveryState", rename_all = "snake_case")]
pub(super) enum State {
    /// It is still tried.
    Pending,
    Delivered,
    /// The webhook did not take it, however often it was tried.
    Failed,
    /// The webhook was switched off before it took it.
    Cancelled,
}

/// An event on its way to a webhook.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct WebhookDelivery {
    pub(super) id: Uuid,
    pub(super) webhook_id: Uuid,
    /// `webhook-id` of the message: equal at each try.
    pub(super) event_id: Uuid,
    pub(super) event_type: String,
    pub(super) state: State,
    /// How often it was tried.
    pub(super) attempts: i64,
    /// When it is tried again.
    pub(super) next_attempt_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    /// When it was taken or given up.
    pub(super) finished_at: Option<Timestamp>,
}

/// A delivery with what was sent and each try.
#[derive(Object)]
pub(super) struct WebhookDeliveryDetail {
    pub(super) delivery: WebhookDelivery,
    /// What is sent, to the byte.
    pub(super) body: String,
    /// First one first.
    pub(super) tries: Vec<WebhookAttempt>,
}

/// A try to deliver.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct WebhookAttempt {
    /// 1 for the first.
    pub(super) attempt: i64,
    /// HTTP status; absent when there was no answer.
    pub(super) status: Option<i64>,
    /// Why it does not count as delivered.
    pub(super) error: Option<String>,
    /// The beginning of what was answered.
    pub(super) answer: Option<String>,
    pub(super) took_ms: i64,
    pub(super) started_at: Timestamp,
}

pub(super) fn webhook(row: webhooks::Webhook, now: DateTime<Utc>) -> Webhook {
    let webhooks::Webhook {
        id,
        workspace_id: _,
        url,
        description,
        event_types,
        enabled,
        disabled_reason,
        signing_key: _,
        previous_key: _,
        previous_until,
        failing_since,
        version: _,
        created_at,
        updated_at,
    } = row;
    Webhook {
        id: id.0,
        url,
        description,
        event_types: event_types.iter().filter_map(|name| EventName::parse(name)).collect(),
        enabled,
        disabled_reason,
        previous_until: previous_until.filter(|until| now < *until).map(Into::into),
        failing_since: failing_since.map(Into::into),
        created_at: created_at.into(),
        updated_at: updated_at.into(),
    }
}

impl From<rows::Delivery> for WebhookDelivery {
    fn from(row: rows::Delivery) -> Self {
        let rows::Delivery {
            id,
            workspace_id: _,
            webhook_id,
            event_id,
            event_type,
            body: _,
            state,
            attempts,
            next_at,
            created_at,
            finished_at,
        } = row;
        WebhookDelivery {
            id: id.0,
            webhook_id: webhook_id.0,
            event_id: event_id.0,
            event_type,
            state: match state {
                DeliveryState::Pending => State::Pending,
                DeliveryState::Delivered => State::Delivered,
                DeliveryState::Failed => State::Failed,
                DeliveryState::Cancelled => State::Cancelled,
            },
            attempts,
            next_attempt_at: next_at.map(Into::into),
            created_at: created_at.into(),
            finished_at: finished_at.map(Into::into),
        }
    }
}

impl From<rows::Attempt> for WebhookAttempt {
    fn from(row: rows::Attempt) -> Self {
        let rows::Attempt {
            workspace_id: _,
            delivery_id: _,
            attempt,
            status,
            error,
            answer,
            took_ms,
            started_at,
        } = row;
        WebhookAttempt { attempt, status, error, answer, took_ms, started_at: started_at.into() }
    }
}
