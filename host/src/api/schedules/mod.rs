use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, Tagged, etag, page,
    rules::Rules,
};
use crate::{
    App, Error, Result, Violation,
    ids::{ScheduleId, WorkspaceId},
    jobs::{BuildReport, DailyAggregations, Job, RunBatch, plan_batch, schedules as clock},
    store::{
        Conn, audit_logs,
        schedules::{self, NAME_TAKEN},
        workspaces,
    },
};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

mod types;

use self::types::{
    NewSchedule, PreviewedSlot, PreviewedSlots, Schedule, ScheduleFire, SchedulePatch,
    SchedulePreview, ScheduledBatch, local,
};

page! {
    /// A page of schedules, oldest first.
    SchedulePage of Schedule
}

page! {
    /// A page of slots that were dealt with, newest first.
    ScheduleFirePage of ScheduleFire
}

/// Schedules that a workspace may make.
const MOST: i64 = 200;

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Schedules")]
impl Api {
    /// Create a schedule
    ///
    /// It starts a batch or a report at each of its slots, from the first one after now. Where clocks change, a
    /// time of day that is left out fires when the gap is over, and one that comes twice fires the
    /// first time; `*/15 * * * *` and the like follow real time.
    #[oai(path = "/schedules", method = "post", operation_id = "create_schedule")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewSchedule>,
    ) -> Result<Created<Schedule>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let there = schedules::count(&mut tx, caller.workspace, DailyAggregations::QUEUE).await?;
        if there >= MOST {
            let detail = format!("a workspace has {MOST} schedules at most: delete one first");
            return Err(Error::Conflict(detail).into());
        }
        let NewSchedule { name, cron, timezone, batch, report, catch_up, jitter_seconds, enabled } =
            new.0;
        let timezone = zone_or_own(&mut tx, &caller, timezone).await?;
        let (queue, payload) = match (&batch, report) {
            (Some(_), Some(_)) => {
                let detail = "a schedule asks or reports: leave out `batch` or `report`";
                return Err(Error::invalid("/report", detail).into());
            }
            (None, Some(report)) => (BuildReport::QUEUE, report.stored()?),
            (batch, None) => (RunBatch::QUEUE, batch.clone().unwrap_or_default().stored()?),
        };
        let mut row = schedules::Schedule {
            id: ScheduleId::generate(),
            workspace_id: caller.workspace,
            name: name.trim().into(),
            queue: queue.into(),
            cron: cron.trim().into(),
            timezone,
            payload: payload.into(),
            catch_up: catch_up.into(),
            jitter_seconds,
            enabled,
            next_at: None,
            due_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let cron = check(&row)?;
        if let Some(batch) = batch {
            self.check_batch(&mut tx, caller.workspace, batch, now).await?;
        }
        clock::aim(&mut row, &cron, now);
        if !schedules::insert(&mut tx, &row).await? {
            return Err(Error::Exists(NAME_TAKEN).into());
        }
        audit_logs::note(&mut tx, &caller.actor(), "schedule.create", row.id, told(&row), now)
            .await?;
        let created = Created::new(format!("/v1/schedules/{}", row.id), &Schedule::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// Preview a schedule
    ///
    /// Tells the slots of an expression without making a schedule.
    #[oai(path = "/schedules/preview", method = "post", operation_id = "preview_schedule")]
    async fn preview(
        &self,
        caller: Caller,
        preview: Body<SchedulePreview>,
    ) -> Result<Json<PreviewedSlots>, Problem> {
        let SchedulePreview { cron, timezone, after, count } = preview.0;
        let mut conn = self.0.store.read().await?;
        let timezone = zone_or_own(&mut conn, &caller, timezone).await?;
        drop(conn);
        let mut rules = Rules::default();
        let cron = rules.schedule(&cron, &timezone);
        rules.check()?;
        let cron = cron.context("an expression without mistakes")?;
        let zone = clock::zone(&timezone);
        let after = after.map_or_else(|| self.0.clock.now(), |after| after.0);
        let first = cron.after(zone, after);
        let data = std::iter::successors(first, |slot| cron.after(zone, slot.at))
            .take(usize::try_from(count).unwrap_or(0))
            .map(|slot| PreviewedSlot { slot: slot.at.into(), local_time: local(slot.wall) })
            .collect();
        Ok(Json(PreviewedSlots { data }))
    }

    /// List the schedules
    #[oai(path = "/schedules", method = "get", operation_id = "list_schedules")]
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
    ) -> Result<Json<SchedulePage>, Problem> {
        let page = Paging::open(&self.0, &caller, "schedules", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = schedules::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a schedule
    #[oai(path = "/schedules/:schedule", method = "get", operation_id = "find_schedule")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the schedule.
        schedule: Path<Uuid>,
    ) -> Result<Tagged<Schedule>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = schedules::find(&mut conn, caller.workspace, ScheduleId(schedule.0)).await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Update a schedule
    #[oai(path = "/schedules/:schedule", method = "patch", operation_id = "update_schedule")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the schedule.
        schedule: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<SchedulePatch>,
    ) -> Result<Tagged<Schedule>, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let before = own(&mut tx, &caller, schedule.0, if_match.0.as_deref()).await?;
        let SchedulePatch {
            name,
            cron,
            timezone,
            batch,
            report,
            catch_up,
            jitter_seconds,
            enabled,
        } = patch.0;
        let mut row = before.clone();
        row.name = name.map_or(row.name, |name| name.trim().into());
        row.cron = cron.map_or(row.cron, |cron| cron.trim().into());
        row.timezone = timezone.unwrap_or(row.timezone);
        row.catch_up = catch_up.map_or(row.catch_up, Into::into);
        row.jitter_seconds = jitter_seconds.unwrap_or(row.jitter_seconds);
        row.enabled = enabled.unwrap_or(row.enabled);
        let cron = check(&row)?;
        let asks = row.queue == RunBatch::QUEUE;
        let mut rules = Rules::default();
        rules.require(batch.is_none() || asks, "/batch", "the schedule reports and does not ask");
        rules.require(report.is_none() || !asks, "/report", "the schedule asks, it reports not");
        rules.check()?;
        if let Some(report) = report {
            row.payload = report.stored()?.into();
        }
        if let Some(batch) = batch {
            row.payload = batch.stored()?.into();
            self.check_batch(&mut tx, caller.workspace, batch, now).await?;
        }
        let moved = |row: &schedules::Schedule| {
            (row.cron.clone(), row.timezone.clone(), row.jitter_seconds, row.enabled)
        };
        if moved(&row) != moved(&before) {
            clock::aim(&mut row, &cron, now);
        }
        let row = schedules::update(&mut tx, &row, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "schedule.update", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Delete a schedule
    ///
    /// It fires no longer, and its list of fires goes with it. Batches that it started stay.
    #[oai(path = "/schedules/:schedule", method = "delete", operation_id = "delete_schedule")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the schedule.
        schedule: Path<Uuid>,
        /// `ETag` of the version you mean to delete: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let row = own(&mut tx, &caller, schedule.0, if_match.0.as_deref()).await?;
        schedules::delete(&mut tx, caller.workspace, row.id).await?;
        let now = self.0.clock.now();
        audit_logs::note(&mut tx, &caller.actor(), "schedule.delete", row.id, told(&row), now)
            .await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }

    /// List the fires of a schedule
    ///
    /// Its slots that were dealt with, and what became of each.
    #[oai(
        path = "/schedules/:schedule/fires",
        method = "get",
        operation_id = "list_schedule_fires"
    )]
    async fn fires(
        &self,
        caller: Caller,
        /// Id of the schedule.
        schedule: Path<Uuid>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ScheduleFirePage>, Problem> {
        let id = ScheduleId(schedule.0);
        let (limit, cursor) = (limit.0, cursor.0);
        let page = Paging::open(&self.0, &caller, "fires", &id, limit, cursor.as_deref())?;
        let mut conn = self.0.store.read().await?;
        schedules::find(&mut conn, caller.workspace, id).await?;
        let rows =
            schedules::fires(&mut conn, caller.workspace, id, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.slot)?.into()))
    }
}

impl Api {
    /// Refuses what names a prompt or an engine that is not there. That there is nothing to ask
    /// yet is no mistake: the slots tell once they come.
    async fn check_batch(
        &self,
        conn: &mut Conn,
        workspace: WorkspaceId,
        batch: ScheduledBatch,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let request = clock::ScheduledBatch::from(batch).request(now);
        let named: Vec<_> = match plan_batch(&self.0, conn, workspace, request).await {
            Ok(_) => return Ok(()),
            Err(Error::Invalid(violations)) => violations
                .into_iter()
                .filter(|violation| violation.pointer.matches('/').count() > 1)
                .map(|Violation { pointer, detail }| Violation {
                    pointer: format!("/batch{pointer}"),
                    detail,
                })
                .collect(),
            Err(error) => return Err(error),
        };
        if named.is_empty() { Ok(()) } else { Err(Error::Invalid(named)) }
    }
}

/// The zone that was named, or the workspace's.
async fn zone_or_own(conn: &mut Conn, caller: &Caller, named: Option<String>) -> Result<String> {
    if let Some(zone) = named {
        return Ok(zone);
    }
    Ok(workspaces::find(conn, caller.workspace).await?.timezone)
}

/// What the audit log keeps of a schedule.
fn told(row: &schedules::Schedule) -> serde_json::Value {
    json!({
        "name": row.name,
        "cron": row.cron,
        "timezone": row.timezone,
        "starts": row.payload.0,
        "enabled": row.enabled,
    })
}

/// A schedule that its workspace may change, held until the transaction ends.
async fn own(
    conn: &mut Conn,
    caller: &Caller,
    id: Uuid,
    if_match: Option<&str>,
) -> Result<schedules::Schedule> {
    let id = ScheduleId(id);
    let row = schedules::lock(conn, caller.workspace, id, None).await?;
    match etag::expected(if_match, "schedule")? {
        Some(version) if version != row.version => Err(Error::Changed("schedule")),
        _ if row.queue == DailyAggregations::QUEUE => Err(Error::Conflict(format!(
            "the schedule `{}` belongs to the platform and follows the workspace's time zone",
            row.name
        ))),
        _ => Ok(row),
    }
}

/// The expression of a schedule that breaks no rule.
fn check(row: &schedules::Schedule) -> Result<clock::Cron> {
    let mut rules = Rules::default();
    rules.name("/name", &row.name);
    let free = !row.name.eq_ignore_ascii_case(clock::DAILY);
    rules.require(free, "/name", "is the name of the schedule that every workspace has");
    let cron = rules.schedule(&row.cron, &row.timezone);
    rules.check()?;
    Ok(cron.context("an expression without mistakes")?)
}

impl Rules {
    /// Reads an expression; `None` leaves a broken rule.
    fn schedule(&mut self, cron: &str, timezone: &str) -> Option<clock::Cron> {
        self.timezone("/timezone", timezone);
        match cron.parse() {
            Ok(cron) => Some(cron),
            Err(mistake) => {
                self.require(false, "/cron", &mistake);
                None
            }
        }
    }
}
