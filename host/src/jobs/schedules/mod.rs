//! What happens by the clock: which slots a schedule has, what it starts, and who sees to it.
//!
//! **Invariant:** slots follow from the schedule's row and never from the time at which somebody
//! looks: a clock that jumps can delay a slot, but neither repeat nor skip it unseen.

use crate::{
    App, Error, Result,
    ids::{BatchId, PromptId, ScheduleId, WorkspaceId},
    jobs::{
        BatchRequest, BuildReport, DailyAggregations, Job, RunBatch,
        build_report::{ReportRequest, ScheduledReport, start_report},
        plan_batch, start_batch,
    },
    metrics::Window,
    store::{
        Conn,
        jobs::{NewJob, Priority},
        schedules::{CatchUp, Schedule},
    },
};
use anyhow::Context as _;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

mod backlog;
mod cron;
mod scheduler;

pub use self::{
    backlog::{ALL, GRACE},
    cron::{Cron, SHORTEST, Slot},
    scheduler::{Pass, Scheduler},
};

/// The name of the schedule that every workspace has.
pub const DAILY: &str = "daily aggregations";

/// When days are counted again: late enough for the runs of the evening, early enough for people.
const DAILY_CRON: &str = "0 2 * * *";
/// Most workspaces share a few zones.
const DAILY_JITTER_SECONDS: i64 = 600;

/// What a schedule asks whom, each time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScheduledBatch {
    /// These prompts; all that are active then when `None`.
    pub prompts: Option<Vec<PromptId>>,
    /// Only prompts with one of these tags, when there are any.
    pub tags: Vec<String>,
    /// These engines; all that are enabled then when `None`.
    pub engines: Option<Vec<String>>,
    pub samples: i64,
}

impl ScheduledBatch {
    /// The batch of one slot. Its name is the instant: what was asked for it is not asked again.
    pub fn request(self, slot: DateTime<Utc>) -> BatchRequest {
        let ScheduledBatch { prompts, tags, engines, samples } = self;
        BatchRequest {
            prompts,
            tags,
            engines,
            samples,
            slot: Some(slot.to_rfc3339_opts(SecondsFormat::Secs, true)),
            priority: Priority::Scheduled,
        }
    }
}

/// Points a schedule to its first slot after `now`, or to none while it is off.
pub fn aim(schedule: &mut Schedule, cron: &Cron, now: DateTime<Utc>) {
    let next = schedule.enabled.then(|| cron.after(zone(&schedule.timezone), now)).flatten();
    schedule.next_at = next.map(|slot| slot.at);
    schedule.due_at = next.map(|slot| slot.at + jitter(schedule.id, schedule.jitter_seconds));
}

/// How long after its slots a schedule starts: always the same, and another for each schedule.
pub fn jitter(id: ScheduleId, seconds: i64) -> TimeDelta {
    let hash = Sha256::digest(id.0.as_bytes());
    let number = hash.iter().take(7).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    TimeDelta::seconds(number.checked_rem(seconds).unwrap_or(0))
}

/// The zone of this name; UTC when there is none, as for the days of a workspace.
pub fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// The wall time that a schedule's slot is named by.
pub fn wall(schedule: &Schedule, slot: DateTime<Utc>) -> NaiveDateTime {
    let zone = zone(&schedule.timezone);
    let named = cron_of(schedule).ok().and_then(|cron| cron.from(zone, slot));
    named
        .filter(|named| named.at == slot)
        .map_or_else(|| slot.with_timezone(&zone).naive_local(), |named| named.wall)
}

/// The schedule that every workspace has: it counts the day before again.
fn daily(workspace: WorkspaceId, timezone: String, now: DateTime<Utc>) -> Result<Schedule> {
    let mut schedule = Schedule {
        id: ScheduleId::generate(),
        workspace_id: workspace,
        name: DAILY.into(),
        queue: DailyAggregations::QUEUE.into(),
        cron: DAILY_CRON.into(),
        timezone,
        payload: serde_json::json!({}).into(),
        catch_up: CatchUp::All,
        jitter_seconds: DAILY_JITTER_SECONDS,
        enabled: true,
        next_at: None,
        due_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let cron = cron_of(&schedule)?;
    aim(&mut schedule, &cron, now);
    Ok(schedule)
}

/// The expression of a stored schedule.
pub fn cron_of(schedule: &Schedule) -> Result<Cron> {
    schedule.cron.parse().map_err(|error: String| {
        anyhow::anyhow!("cron {:?} of schedule {}: {error}", schedule.cron, schedule.id).into()
    })
}

/// Writes what a slot starts, in the transaction that says that it fired.
async fn start(
    app: &App,
    conn: &mut Conn,
    schedule: &Schedule,
    slot: Slot,
) -> Result<Option<BatchId>> {
    let workspace = schedule.workspace_id;
    match schedule.queue.as_str() {
        RunBatch::QUEUE => {
            let batch: ScheduledBatch = serde_json::from_value(schedule.payload.0.clone())
                .context("read a schedule's payload")?;
            let plan = plan_batch(app, conn, workspace, batch.request(slot.at)).await?;
            let by = format!("schedule:{}", schedule.id);
            Ok(Some(start_batch(app, conn, workspace, plan, &by).await?.id))
        }
        DailyAggregations::QUEUE => {
            let day =
                slot.wall.date().pred_opt().context("the first day of all has none before")?;
            let job = DailyAggregations { workspace, day };
            let job = NewJob {
                workspace: Some(workspace),
                priority: Priority::Scheduled.value(),
                unique_key: Some(format!("{workspace}/{day}")),
                ..job.queued(app)?
            };
            app.queue.enqueue(conn, &[job], app.clock.now()).await?;
            Ok(None)
        }
        BuildReport::QUEUE => {
            let ScheduledReport { title, days } =
                serde_json::from_value(schedule.payload.0.clone())
                    .context("read a schedule's payload")?;
            let yesterday =
                slot.wall.date().pred_opt().context("the first day of all has none before")?;
            let window = Window::last(u64::try_from(days).unwrap_or(1), yesterday);
            let request = ReportRequest { title, window, schedule: Some(schedule.id) };
            let by = format!("schedule:{}", schedule.id);
            start_report(app, conn, workspace, request, &by).await?;
            Ok(None)
        }
        other => Err(Error::Conflict(format!("nothing can be scheduled on the queue {other}"))),
    }
}

/// Why a start was refused, for the one who made the schedule; errs with what is no refusal but an
/// accident, after which the slot is still to be fired.
fn refusal(error: Error) -> Result<String> {
    match error {
        Error::Invalid(violations) => Ok(violations
            .into_iter()
            .map(|violation| format!("{}: {}", violation.pointer, violation.detail))
            .collect::<Vec<_>>()
            .join("; ")),
        Error::Unavailable(_) | Error::Internal(_) => Err(error),
        refused => Ok(refused.to_string()),
    }
}
