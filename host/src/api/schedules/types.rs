//! What the API says of schedules.

use crate::{
    Result,
    api::types::Timestamp,
    ids::PromptId,
    jobs::{BuildReport, Job, RunBatch, build_report, schedules as clock},
    store::schedules,
};
use anyhow::Context as _;
use chrono::NaiveDateTime;
use poem_openapi::{Enum, Object};
use uuid::Uuid;

/// What a schedule starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum ScheduleKind {
    /// A batch.
    RunBatch,
    /// A report.
    BuildReport,
    /// Counting the day before again. Every workspace has one such schedule; it cannot be changed
    /// and follows the workspace's time zone.
    DailyAggregations,
}

/// What becomes of slots that passed while nobody worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum CatchUp {
    /// Nothing: they are missed. A slot is on time for five minutes.
    None,
    /// The last of them fires.
    One,
    /// Each of the newest hundred fires, oldest first.
    All,
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum FireOutcome {
    /// It started what the schedule starts.
    Started,
    /// It could not be started, for `reason`.
    Refused,
    /// It passed while nobody worked, and the schedule does not catch up.
    Missed,
}

/// What is to happen again and again, by the clock of a place.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Schedule {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) kind: ScheduleKind,
    /// Five fields: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`.
    pub(super) cron: String,
    /// IANA name of the zone that the expression is read in.
    pub(super) timezone: String,
    /// What is asked each time; absent unless `kind` is `run_batch`.
    pub(super) batch: Option<ScheduledBatch>,
    /// What is reported each time; absent unless `kind` is `build_report`.
    pub(super) report: Option<ScheduledReport>,
    pub(super) catch_up: CatchUp,
    /// Its starts are delayed by up to this, always by the same time.
    pub(super) jitter_seconds: i64,
    /// Whether it fires.
    pub(super) enabled: bool,
    /// The slot that fires next; absent when it is not enabled.
    pub(super) next: Option<NextSlot>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// What a schedule asks whom.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ScheduledBatch {
    /// These prompts; all that are active at the time when absent.
    #[oai(validator(min_items = 1, max_items = 10000, unique_items))]
    pub(super) prompt_ids: Option<Vec<Uuid>>,
    /// Only prompts with one of these tags.
    #[oai(default, validator(max_items = 50, unique_items))]
    pub(super) tags: Vec<String>,
    /// These engines, by key; all that are enabled at the time when absent.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    pub(super) engines: Option<Vec<String>>,
    /// How often to ask each prompt of each engine.
    #[oai(default = "once", validator(minimum(value = "1"), maximum(value = "20")))]
    pub(super) samples: i64,
}

/// What a schedule reports.
#[derive(Debug, Clone, Object)]
pub(super) struct ScheduledReport {
    #[oai(default = "report_title", validator(min_length = 1, max_length = 200))]
    pub(super) title: String,
    /// The days before each slot that are reported.
    #[oai(default = "a_week", validator(minimum(value = "1"), maximum(value = "366")))]
    pub(super) days: i64,
}

fn report_title() -> String {
    "Report".into()
}

fn a_week() -> i64 {
    7
}

/// A slot to come.
#[derive(Object)]
pub(super) struct NextSlot {
    /// The instant that it stands for.
    pub(super) slot: Timestamp,
    /// The wall time that the expression names, such as `2026-03-29T02:30`.
    pub(super) local_time: String,
    /// When it starts: the slot and the schedule's jitter.
    pub(super) starts_at: Timestamp,
}

/// A schedule to make.
#[derive(Object)]
pub(super) struct NewSchedule {
    /// Unique in the workspace.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) name: String,
    /// Five fields: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) cron: String,
    /// IANA name, such as `Europe/Copenhagen`; the workspace's when absent.
    #[oai(validator(max_length = 64))]
    pub(super) timezone: Option<String>,
    /// What to ask each time; everything of everybody when this and `report` are absent.
    pub(super) batch: Option<ScheduledBatch>,
    /// What to report each time, instead of asking.
    pub(super) report: Option<ScheduledReport>,
    /// What becomes of slots that passed while nobody worked.
    #[oai(default = "last_one")]
    pub(super) catch_up: CatchUp,
    /// Delays its starts by up to this, always by the same time, so that equal schedules do not
    /// start at once.
    #[oai(default, validator(minimum(value = "0"), maximum(value = "3600")))]
    pub(super) jitter_seconds: i64,
    /// Whether it fires.
    #[oai(default = "yes")]
    pub(super) enabled: bool,
}

/// What to change of a schedule; fields that are absent stay.
#[derive(Object)]
pub(super) struct SchedulePatch {
    /// Unique in the workspace.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(super) name: Option<String>,
    /// Another expression: the next slot is the first one after now.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) cron: Option<String>,
    /// Another zone: the next slot is the first one after now.
    #[oai(validator(max_length = 64))]
    pub(super) timezone: Option<String>,
    /// Replaces all that is asked, by a schedule that asks.
    pub(super) batch: Option<ScheduledBatch>,
    /// Replaces what is reported, by a schedule that reports.
    pub(super) report: Option<ScheduledReport>,
    pub(super) catch_up: Option<CatchUp>,
    /// Delays its starts by up to this.
    #[oai(validator(minimum(value = "0"), maximum(value = "3600")))]
    pub(super) jitter_seconds: Option<i64>,
    /// What passes while it is off is never made up for.
    pub(super) enabled: Option<bool>,
}

/// A slot of a schedule and what became of it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ScheduleFire {
    /// The instant that it stands for; the `slot` of the batch.
    pub(super) slot: Timestamp,
    /// The wall time that the expression names.
    pub(super) local_time: String,
    pub(super) outcome: FireOutcome,
    /// Why it did not start.
    pub(super) reason: Option<String>,
    /// How many slots this stands for: more than 1 when several were missed, of which `slot` is
    /// the first.
    pub(super) slots: i64,
    /// The batch that it started.
    pub(super) batch_id: Option<Uuid>,
    /// When it was dealt with.
    pub(super) fired_at: Timestamp,
}

/// An expression to try.
#[derive(Object)]
pub(super) struct SchedulePreview {
    /// Five fields: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) cron: String,
    /// IANA name, such as `Europe/Copenhagen`; the workspace's when absent.
    #[oai(validator(max_length = 64))]
    pub(super) timezone: Option<String>,
    /// After which instant; now when absent.
    pub(super) after: Option<Timestamp>,
    /// How many slots to tell.
    #[oai(default = "five", validator(minimum(value = "1"), maximum(value = "100")))]
    pub(super) count: i64,
}

/// The slots of an expression.
#[derive(Object)]
pub(super) struct PreviewedSlots {
    pub(super) data: Vec<PreviewedSlot>,
}

/// A slot to come.
#[derive(Object)]
pub(super) struct PreviewedSlot {
    /// The instant that it stands for.
    pub(super) slot: Timestamp,
    /// The wall time that the expression names.
    pub(super) local_time: String,
}

fn once() -> i64 {
    1
}

fn five() -> i64 {
    5
}

fn yes() -> bool {
    true
}

fn last_one() -> CatchUp {
    CatchUp::One
}

/// A wall time as the API writes it.
pub(super) fn local(wall: NaiveDateTime) -> String {
    wall.format("%Y-%m-%dT%H:%M").to_string()
}

impl Default for ScheduledBatch {
    fn default() -> Self {
        ScheduledBatch { prompt_ids: None, tags: vec![], engines: None, samples: once() }
    }
}

impl ScheduledBatch {
    pub(super) fn stored(&self) -> Result<serde_json::Value> {
        let batch = clock::ScheduledBatch::from(self.clone());
        Ok(serde_json::to_value(batch).context("write a schedule's payload")?)
    }
}

impl From<ScheduledBatch> for clock::ScheduledBatch {
    fn from(batch: ScheduledBatch) -> Self {
        let ScheduledBatch { prompt_ids, tags, engines, samples } = batch;
        let prompts = prompt_ids.map(|ids| ids.into_iter().map(PromptId).collect());
        clock::ScheduledBatch { prompts, tags, engines, samples }
    }
}

impl From<clock::ScheduledBatch> for ScheduledBatch {
    fn from(batch: clock::ScheduledBatch) -> Self {
        let clock::ScheduledBatch { prompts, tags, engines, samples } = batch;
        let prompt_ids = prompts.map(|ids| ids.into_iter().map(|id| id.0).collect());
        ScheduledBatch { prompt_ids, tags, engines, samples }
    }
}

impl ScheduledReport {
    pub(super) fn stored(self) -> Result<serde_json::Value> {
        let ScheduledReport { title, days } = self;
        let report = build_report::ScheduledReport { title: title.trim().into(), days };
        Ok(serde_json::to_value(report).context("write a schedule's payload")?)
    }
}

impl From<build_report::ScheduledReport> for ScheduledReport {
    fn from(report: build_report::ScheduledReport) -> Self {
        let build_report::ScheduledReport { title, days } = report;
        ScheduledReport { title, days }
    }
}

impl From<CatchUp> for schedules::CatchUp {
    fn from(policy: CatchUp) -> Self {
        match policy {
            CatchUp::None => schedules::CatchUp::None,
            CatchUp::One => schedules::CatchUp::One,
            CatchUp::All => schedules::CatchUp::All,
        }
    }
}

impl From<schedules::CatchUp> for CatchUp {
    fn from(policy: schedules::CatchUp) -> Self {
        match policy {
            schedules::CatchUp::None => CatchUp::None,
            schedules::CatchUp::One => CatchUp::One,
            schedules::CatchUp::All => CatchUp::All,
        }
    }
}

impl From<schedules::Schedule> for Schedule {
    fn from(row: schedules::Schedule) -> Self {
        let next = row.next_at.zip(row.due_at).map(|(slot, starts_at)| NextSlot {
            slot: slot.into(),
            local_time: local(clock::wall(&row, slot)),
            starts_at: starts_at.into(),
        });
        let schedules::Schedule {
            id,
            workspace_id: _,
            name,
            queue,
            cron,
            timezone,
            payload,
            catch_up,
            jitter_seconds,
            enabled,
            next_at: _,
            due_at: _,
            version: _,
            created_at,
            updated_at,
        } = row;
        let kind = match queue.as_str() {
            RunBatch::QUEUE => ScheduleKind::RunBatch,
            BuildReport::QUEUE => ScheduleKind::BuildReport,
            _ => ScheduleKind::DailyAggregations,
        };
        let batch = (kind == ScheduleKind::RunBatch)
            .then(|| serde_json::from_value::<clock::ScheduledBatch>(payload.0.clone()));
        let report = (kind == ScheduleKind::BuildReport)
            .then(|| serde_json::from_value::<build_report::ScheduledReport>(payload.0));
        Schedule {
            id: id.0,
            name,
            kind,
            cron,
            timezone,
            batch: batch.and_then(Result::ok).map(Into::into),
            report: report.and_then(Result::ok).map(Into::into),
            catch_up: catch_up.into(),
            jitter_seconds,
            enabled,
            next,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}

impl From<schedules::Fire> for ScheduleFire {
    fn from(row: schedules::Fire) -> Self {
        let schedules::Fire {
            workspace_id: _,
            schedule_id: _,
            slot,
            local_time,
            outcome,
            reason,
            slots,
            batch_id,
            fired_at,
        } = row;
        ScheduleFire {
            slot: slot.into(),
            local_time,
            outcome: match outcome {
                schedules::Outcome::Started => FireOutcome::Started,
                schedules::Outcome::Refused => FireOutcome::Refused,
                schedules::Outcome::Missed => FireOutcome::Missed,
            },
            reason,
            slots,
            batch_id: batch_id.map(|id| id.0),
            fired_at: fired_at.into(),
        }
    }
}
