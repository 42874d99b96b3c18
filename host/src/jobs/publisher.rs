//! Publishes events: gives them their positions, and hands them to whom they concern.

use crate::{
    App, Result,
    events::document as events_document,
    jobs::deliver_webhook::{delivery_of, start_deliveries},
    store::{Conn, alert_rules, alerts, events, events::Event, webhook_deliveries, webhooks},
    telemetry::metrics,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::BTreeSet, time::Duration};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How often events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events published in one transaction.
const GROUP: i64 = 200;
/// How long events and deliveries are kept.
pub const KEPT: TimeDelta = TimeDelta::days(30);
/// How long alerts are kept once they are resolved.
const ALERTS_KEPT: TimeDelta = TimeDelta::days(365);
/// How often old ones are looked for.
const PURGE_EVERY: TimeDelta = TimeDelta::hours(1);

/// Publishes events. Any number of processes may: they take turns.
pub struct Publisher {
    app: App,
    purged_at: Option<DateTime<Utc>>,
}

impl Publisher {
    pub fn new(app: App) -> Self {
        Publisher { app, purged_at: None }
    }

    /// Publishes until the guard is dropped; its task is waited for through `tasks`.
    pub(super) fn start(app: App, tasks: &TaskTracker) -> DropGuard {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut publisher = Publisher::new(app);
        tasks.spawn(async move {
            while stopped.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
                if let Err(error) = publisher.pass().await {
                    tracing::warn!("events wait to be published: {error:#}");
                }
            }
        });
        stop.drop_guard()
    }

    /// Publishes all that waits; returns how many events that were.
    pub async fn pass(&mut self) -> Result<usize> {
        let mut published = 0;
        loop {
            let mut conn = self.app.store.read().await?;
            let waiting = events::is_waiting(&mut conn).await?;
            drop(conn);
            // SQLite has one writer: it is not taken to find that there is nothing to do.
            if !waiting {
                break;
            }
            let group = self.publish().await?;
            published += group.len();
            self.app.events.published().await;
            self.app.queue.wake();
        }
        self.purge().await?;
        Ok(published)
    }

    async fn publish(&self) -> Result<Vec<Event>> {
        let mut tx = self.app.store.begin().await?;
        let group = events::publish(&mut tx, GROUP).await?;
        self.send_to_webhooks(&mut tx, &group).await?;
        self.raise_alerts(&mut tx, &group).await?;
        tx.commit().await?;
        for event in &group {
            metrics::event_published(event.kind.as_str());
        }
        Ok(group)
    }

    /// Sends each event to the webhooks of its workspace that want it.
    async fn send_to_webhooks(&self, conn: &mut Conn, group: &[Event]) -> Result<()> {
        let workspaces: BTreeSet<_> = group.iter().map(|event| event.workspace_id).collect();
        let workspaces: Vec<_> = workspaces.into_iter().collect();
        let listening = webhooks::listening(conn, &workspaces).await?;
        let now = self.app.clock.now();
        let mut deliveries = Vec::new();
        for event in group {
            let theirs = listening.iter().filter(|w| w.workspace_id == event.workspace_id);
            for webhook in theirs.filter(|webhook| webhook.wants(event.kind)) {
                deliveries.push(delivery_of(event, webhook.id, now));
            }
        }
        if deliveries.is_empty() {
            return Ok(());
        }
        start_deliveries(&self.app, conn, &deliveries).await
    }

    /// Opens the alerts of rules that waited for one of the events.
    async fn raise_alerts(&self, conn: &mut Conn, group: &[Event]) -> Result<()> {
        let kinds: BTreeSet<_> = group.iter().map(|e| (e.workspace_id, e.kind)).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        let rules = alert_rules::waiting_for(conn, &kinds).await?;
        let now = self.app.clock.now();
        for event in group {
            for rule in rules.iter().filter(|rule| rule.waits_for(event)) {
                let evidence = events_document(event);
                alerts::raise(conn, rule, &event.subject, &rule.name, &evidence, now).await?;
            }
        }
        Ok(())
    }

    async fn purge(&mut self) -> Result<()> {
        let now = self.app.clock.now();
        if self.purged_at.is_some_and(|at| now - at < PURGE_EVERY) {
            return Ok(());
        }
        let mut tx = self.app.store.begin().await?;
        events::purge(&mut tx, now - KEPT).await?;
        webhook_deliveries::purge(&mut tx, now - KEPT).await?;
        alerts::purge(&mut tx, now - ALERTS_KEPT).await?;
        tx.commit().await?;
        self.purged_at = Some(now);
        Ok(())
    }
}
