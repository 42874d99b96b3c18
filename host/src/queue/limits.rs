//! What waits in a queue's lanes and what of it may start, for every dispatcher alike.

use super::{Handlers, Rate};
use crate::{
    Result,
    store::{
        Conn,
        claims::{self, Waiting},
        lanes::{self, FULL, LaneControl, QueueControl},
    },
};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// Groups of a lane that one look considers; those behind them come when these are served.
const GROUPS: usize = 256;

/// What is said about queues and lanes, as read lately.
#[derive(Debug, Default)]
pub(super) struct Controls {
    queues: HashMap<String, QueueControl>,
    lanes: HashMap<(&'static str, String), LaneControl>,
    read_at: HashMap<&'static str, Instant>,
}

impl Controls {
    /// Reads again what is older than `age`.
    pub(super) async fn refresh(
        &mut self,
        conn: &mut Conn,
        queue: &'static str,
        age: Duration,
    ) -> Result<()> {
        if self.read_at.get(queue).is_some_and(|at| at.elapsed() < age) {
            return Ok(());
        }
        let queues = lanes::queue_controls(conn).await?;
        self.queues = queues.into_iter().map(|row| (row.queue.clone(), row)).collect();
        self.lanes.retain(|(name, _), _| *name != queue);
        for row in lanes::lane_controls(conn, queue).await? {
            self.lanes.insert((queue, row.lane.clone()), row);
        }
        self.read_at.insert(queue, Instant::now());
        Ok(())
    }

    pub(super) fn queue(&self, queue: &str) -> Option<&QueueControl> {
        self.queues.get(queue)
    }

    pub(super) fn lane(&self, queue: &'static str, lane: &str) -> Option<&LaneControl> {
        self.lanes.get(&(queue, lane.to_owned()))
    }
}

/// How often the lane may start a job: an operator's word before the component's, less what
/// refusals took off it.
pub(super) fn rate(
    handlers: &dyn Handlers,
    queue: &str,
    lane: &str,
    control: Option<&LaneControl>,
) -> Option<Rate> {
    let stated = handlers.rate(queue, lane);
    let Some(control) = control else { return stated };
    let per_minute = control
        .per_minute
        .map(|rate| f64::from(u32::try_from(rate).unwrap_or(u32::MAX)))
        .or(stated.map(|rate| rate.per_minute))?;
    let burst = control
        .burst
        .map(|burst| u32::try_from(burst).unwrap_or(1))
        .or(stated.map(|rate| rate.burst))
        .unwrap_or(1);
    Some(Rate { per_minute, burst }.throttled(control.throttle))
}

/// What the lane may have under way among `slots`: fewer while its vendor refuses calls and no
/// rate could be lowered.
pub(super) fn most(slots: usize, rate: Option<Rate>, control: Option<&LaneControl>) -> usize {
    let Some(control) = control else { return slots };
    let mut most = slots;
    if rate.is_none() && control.throttle < FULL {
        let share = usize::try_from(control.throttle).unwrap_or(0);
        most = (slots * share / usize::try_from(FULL).unwrap_or(1)).max(1);
    }
    match control.max_in_flight {
        Some(limit) => most.min(usize::try_from(limit).unwrap_or(0)),
        None => most,
    }
}

/// What waits in the lanes of a queue that may start something, and when there will be more.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// By name, so that everybody locks them in the same order.
    pub(super) lanes: BTreeMap<String, Vec<Waiting>>,
    pub(super) next_at: Option<DateTime<Utc>>,
}

impl Outlook {
    pub(super) fn later(&mut self, at: DateTime<Utc>) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }
}

/// Where the last look into a lane with very many groups stopped.
pub(super) type Cursors = HashMap<String, (i64, crate::ids::WorkspaceId)>;

/// Looks into the lanes of a queue. Its cost grows with the lanes and the workspaces in them, not
/// with the jobs.
pub(super) async fn look(
    conn: &mut Conn,
    queue: &'static str,
    controls: &Controls,
    cursors: &mut Cursors,
    now: DateTime<Utc>,
) -> Result<Outlook> {
    let mut outlook = Outlook::default();
    for lane in claims::lanes(conn, queue).await? {
        if let Some(control) = controls.lane(queue, &lane) {
            if control.paused {
                continue;
            }
            if let Some(until) = control.blocked_until.filter(|until| *until > now) {
                outlook.later(until);
                continue;
            }
        }
        let waiting = look_into(conn, queue, &lane, cursors).await?;
        let next = waiting.iter().map(|group| group.run_at).filter(|at| *at > now).min();
        if let Some(next) = next {
            outlook.later(next);
        }
        if waiting.iter().any(|group| group.run_at <= now) {
            outlook.lanes.insert(lane, waiting);
        }
    }
    Ok(outlook)
}

async fn look_into(
    conn: &mut Conn,
    queue: &str,
    lane: &str,
    cursors: &mut Cursors,
) -> Result<Vec<Waiting>> {
    let start = (i64::MIN, crate::ids::WorkspaceId(Uuid::nil()));
    let cursor = cursors.remove(lane);
    let limit = if cursor.is_some() { GROUPS / 2 } else { GROUPS };
    let mut waiting = claims::waiting(conn, queue, lane, start, limit).await?;
    if let Some(cursor) = cursor {
        waiting.extend(claims::waiting(conn, queue, lane, cursor, limit).await?);
    }
    if waiting.len() >= limit
        && let Some(last) = waiting.last()
    {
        cursors.insert(lane.to_owned(), (last.priority, last.workspace_id));
    }
    waiting.sort_by_key(|group| (group.priority, group.workspace_id));
    waiting.dedup_by_key(|group| (group.priority, group.workspace_id));
    Ok(waiting)
}
