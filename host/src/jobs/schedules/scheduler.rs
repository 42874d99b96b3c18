//! The loop that fires what is due.
//!
//! **Invariant:** a slot is claimed, recorded and started, and its schedule moved on, in one
//! transaction. A crash before the commit leaves the slot to be fired; after it, it was.
//! **Invariant:** nothing depends on there being one scheduler: the leader's lease only saves the
//! others the work.

use super::{Slot, aim, backlog, backlog::Plan, cron_of, daily, jitter, refusal, start, zone};
use crate::{
    App, Result,
    ids::{BatchId, ProcessId},
    jobs::{DailyAggregations, Job},
    store::{
        Conn, Tx,
        events::{self, EventType, NewEvent},
        leaders,
        schedules::{self, Fire, Outcome, Schedule},
    },
    telemetry::metrics,
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ROLE: &str = "scheduler";
const LEASE: TimeDelta = TimeDelta::seconds(15);

/// How often a scheduler looks for schedules that somebody made or changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Until a schedule that another scheduler holds is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How often workspaces are looked through for the schedule that all of them have.
const PROVIDE_EVERY: TimeDelta = TimeDelta::seconds(60);
/// Schedules written in one transaction.
const PROVIDED: i64 = 200;

/// Schedules handled under one lease.
const PASS: usize = 500;

/// Fires the slots of all schedules when they are due.
pub struct Scheduler {
    app: App,
    owner: ProcessId,
    provided_at: Option<DateTime<Utc>>,
}

/// What a look at the schedules came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Schedules that were moved on.
    pub handled: usize,
    /// Schedules that could not be, because something we need failed.
    pub failed: usize,
}

/// What became of the slot that was to fire.
enum Verdict {
    Nothing,
    Started(Option<BatchId>),
    Refused(String),
}

impl Scheduler {
    /// `owner` signs for the lead.
    pub fn new(app: App, owner: ProcessId) -> Self {
        Scheduler { app, owner, provided_at: None }
    }

    /// Fires what is due until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.turn().await.unwrap_or_else(|error| {
                tracing::error!("the schedules cannot be looked at: {error:#}");
                LOOK_EVERY
            });
            stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        if let Err(error) = self.release().await {
            tracing::warn!("the lead of the schedulers ends with its lease: {error:#}");
        }
    }

    /// One pass if this process leads; returns how long to wait until the next.
    async fn turn(&mut self) -> Result<Duration> {
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let leads = leaders::acquire(&mut tx, ROLE, self.owner, now + LEASE, now).await?;
        tx.commit().await?;
        if !leads {
            return Ok(LOOK_EVERY);
        }
        let Pass { handled, failed } = self.pass().await?;
        if handled + failed >= PASS {
            return Ok(Duration::ZERO);
        }
        if failed > 0 {
            return Ok(LOOK_EVERY);
        }
        let mut conn = self.app.store.read().await?;
        let next = schedules::earliest(&mut conn).await?;
        let wait = next.map(|at| (at - self.app.clock.now()).to_std().unwrap_or_default());
        Ok(wait.unwrap_or(LOOK_EVERY).clamp(LOOK_AGAIN, LOOK_EVERY))
    }

    async fn release(&self) -> Result<()> {
        let mut tx = self.app.store.begin().await?;
        leaders::release(&mut tx, ROLE, self.owner).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Fires what is due, a schedule and a slot per transaction, until nothing is or the pass is
    /// long enough. A schedule that fails keeps its slot and holds no other one up.
    pub async fn pass(&mut self) -> Result<Pass> {
        let mut pass = Pass::default();
        self.provide().await?;
        let mut conn = self.app.store.read().await?;
        let earliest = schedules::earliest(&mut conn).await?;
        drop(conn);
        // SQLite has one writer: it is not taken to find that there is nothing to do.
        if earliest.is_none_or(|at| at > self.app.clock.now()) {
            return Ok(pass);
        }
        let mut after = None;
        while pass.handled + pass.failed < PASS {
            let now = self.app.clock.now();
            let mut tx = self.app.store.begin().await?;
            let Some(schedule) = schedules::claim(&mut tx, after, now).await? else { break };
            after = schedule.due_at.map(|due_at| (due_at, schedule.id));
            match self.fire(tx, &schedule, now).await {
                Ok(()) => pass.handled += 1,
                Err(error) => {
                    pass.failed += 1;
                    tracing::error!(
                        schedule.id = %schedule.id,
                        workspace.id = %schedule.workspace_id,
                        "schedule {} is tried again: {error:#}",
                        schedule.id
                    );
                }
            }
        }
        Ok(pass)
    }

    /// Handles a claimed schedule's first due slot and what was missed before it.
    async fn fire(&self, mut tx: Tx, schedule: &Schedule, now: DateTime<Utc>) -> Result<()> {
        let Some(next_at) = schedule.next_at else { return Ok(()) };
        let (cron, delay) = (cron_of(schedule)?, jitter(schedule.id, schedule.jitter_seconds));
        let zone = zone(&schedule.timezone);
        let plan = backlog::plan(&cron, zone, schedule.catch_up, next_at, delay, now);

        let verdict = match plan.fire {
            None => Verdict::Nothing,
            Some(slot) => match start(&self.app, &mut tx, schedule, slot).await {
                Ok(batch) => Verdict::Started(batch),
                Err(error) => {
                    let reason = refusal(error)?;
                    // What was written before the refusal must not stay.
                    drop(tx);
                    tx = self.app.store.begin().await?;
                    Verdict::Refused(reason)
                }
            },
        };
        let due_at = plan.next.map(|slot| slot.at + delay);
        if !schedules::advance(&mut tx, schedule, plan.next.map(|slot| slot.at), due_at).await? {
            return Ok(());
        }
        let fires = fires(schedule, &plan, &verdict, now);
        for fire in &fires {
            let new = schedules::record(&mut tx, fire).await?;
            if !new && fire.outcome == Outcome::Started {
                // The clock was set back and the schedule changed: this slot has fired before.
                drop(tx);
                return self.skip(schedule, &plan, delay).await;
            }
            if new && fire.outcome == Outcome::Refused {
                events::insert(&mut tx, &[refused(schedule, fire)], now).await?;
            }
        }
        tx.commit().await?;
        self.app.queue.wake();
        for fire in &fires {
            tell(fire, delay);
        }
        Ok(())
    }

    /// Moves a schedule past a slot that has fired before.
    async fn skip(&self, schedule: &Schedule, plan: &Plan, delay: TimeDelta) -> Result<()> {
        let mut tx = self.app.store.begin().await?;
        let (next_at, due_at) = (plan.next.map(|s| s.at), plan.next.map(|s| s.at + delay));
        schedules::advance(&mut tx, schedule, next_at, due_at).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives every workspace the schedule that all of them have, in the workspace's zone.
    async fn provide(&mut self) -> Result<()> {
        let now = self.app.clock.now();
        if self.provided_at.is_some_and(|at| at <= now && now - at < PROVIDE_EVERY) {
            return Ok(());
        }
        loop {
            let mut conn = self.app.store.read().await?;
            let lacking = schedules::lacking(&mut conn, DailyAggregations::QUEUE, PROVIDED).await?;
            drop(conn);
            if lacking.is_empty() {
                break;
            }
            let mut provided = false;
            let mut tx = self.app.store.begin().await?;
            for workspace in lacking {
                provided |= provide_one(&mut tx, workspace, now).await?;
            }
            tx.commit().await?;
            // Those that remain cannot be helped: something else bears the name.
            if !provided {
                break;
            }
        }
        self.provided_at = Some(now);
        Ok(())
    }
}

/// `false` when it could not be given.
async fn provide_one(
    conn: &mut Conn,
    workspace: schedules::Lacking,
    now: DateTime<Utc>,
) -> Result<bool> {
    let schedules::Lacking { workspace_id, timezone, schedule_id } = workspace;
    let Some(id) = schedule_id else {
        return schedules::insert(conn, &daily(workspace_id, timezone, now)?).await;
    };
    let mut schedule = schedules::lock(conn, workspace_id, id, None).await?;
    schedule.timezone = timezone;
    let cron = cron_of(&schedule)?;
    aim(&mut schedule, &cron, now);
    schedules::update(conn, &schedule, now).await?;
    Ok(true)
}

/// The rows that tell what became of the slots of a plan.
fn fires(schedule: &Schedule, plan: &Plan, verdict: &Verdict, now: DateTime<Utc>) -> Vec<Fire> {
    let fire = |slot: &Slot, outcome, reason, slots, batch_id| Fire {
        workspace_id: schedule.workspace_id,
        schedule_id: schedule.id,
        slot: slot.at,
        local_time: slot.wall.format("%Y-%m-%dT%H:%M").to_string(),
        outcome,
        reason,
        slots,
        batch_id,
        fired_at: now,
    };
    let mut fires = Vec::new();
    if let (Some(first), Some(last)) = (plan.missed.first(), plan.missed.last()) {
        let slots = i64::try_from(plan.missed.len()).unwrap_or(i64::MAX);
        let last = last.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let reason = format!("{slots} until {last} passed while nobody worked");
        fires.push(fire(first, Outcome::Missed, Some(reason), slots, None));
    }
    if let Some(slot) = &plan.fire {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Started(batch) => fires.push(fire(slot, Outcome::Started, None, 1, *batch)),
            Verdict::Refused(reason) => {
                fires.push(fire(slot, Outcome::Refused, Some(reason.clone()), 1, None));
            }
        }
    }
    fires
}

/// Says that a slot could not be started, and why.
fn refused(schedule: &Schedule, fire: &Fire) -> NewEvent {
    let data = json!({
        "schedule_id": schedule.id,
        "name": schedule.name,
        "slot": fire.slot,
        "reason": fire.reason,
    });
    NewEvent::new(schedule.workspace_id, EventType::ScheduleRefused, schedule.id.to_string(), data)
}

/// Counts and logs a slot that was dealt with.
fn tell(fire: &Fire, delay: TimeDelta) {
    let late = (fire.fired_at - fire.slot - delay).to_std().unwrap_or_default();
    metrics::schedule_fire(fire.outcome.as_str(), fire.slots, late);
    let (id, slot, outcome) = (fire.schedule_id, fire.slot, fire.outcome.as_str());
    let reason = fire.reason.as_deref().unwrap_or_default();
    match fire.outcome {
        Outcome::Started => tracing::info!(
            schedule.id = %id,
            workspace.id = %fire.workspace_id,
            "slot {slot} of schedule {id} {outcome}"
        ),
        Outcome::Refused | Outcome::Missed => tracing::warn!(
            schedule.id = %id,
            workspace.id = %fire.workspace_id,
            "slot {slot} of schedule {id} {outcome}: {reason}"
        ),
    }
}
