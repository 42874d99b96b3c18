//! What the queues hold, counted now and then and not for everyone who asks.
//!
//! **Invariant:** counting takes at most a twentieth of the time: at a million waiting jobs a
//! count takes a tenth of a second, and so is kept for two.

use crate::{
    App, Result,
    store::{
        processes::{self, Process},
        queue_control::{self, LaneCount, LaneWord, QueueWord, RecentEnd},
        queue_minutes::{self, QueueMinute},
    },
    telemetry::metrics,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// A count is kept for so long, and for twenty times what it took.
const FRESH: Duration = Duration::from_secs(2);
/// A process that is silent for longer is gone.
const GONE: TimeDelta = TimeDelta::seconds(30);
/// Ends that success and duration are told from.
const RECENT: i64 = 1000;

#[derive(Default)]
pub(in crate::api) struct Figures {
    /// Also makes those who come together share one count.
    last: Mutex<Option<Kept>>,
}

struct Kept {
    since: Instant,
    for_long: Duration,
    sample: Arc<Sample>,
}

/// What was found at one moment.
#[derive(Debug)]
pub(in crate::api) struct Sample {
    pub(in crate::api) at: DateTime<Utc>,
    pub(in crate::api) lanes: Vec<LaneCount>,
    dead: Vec<(String, i64)>,
    minutes: Vec<QueueMinute>,
    hour: Vec<QueueMinute>,
    day: Vec<QueueMinute>,
    /// Runs that ended within the hour, newest first.
    pub(in crate::api) recent: Vec<RecentEnd>,
    /// Those that live.
    pub(in crate::api) processes: Vec<Process>,
    pub(in crate::api) queue_words: Vec<QueueWord>,
    pub(in crate::api) lane_words: Vec<LaneWord>,
}

/// What a queue holds as a whole.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) waiting: i64,
    pub(super) delayed: i64,
    pub(super) active: i64,
    pub(super) failed: i64,
    pub(super) oldest_waiting_s: i64,
    /// Tries that ended per minute, over the last five whole minutes.
    pub(super) per_minute: f64,
    pub(super) hour: QueueMinute,
    pub(super) day: QueueMinute,
}

impl Figures {
    /// What the queues hold, as of a moment ago.
    pub(in crate::api) async fn read(&self, app: &App) -> Result<Arc<Sample>> {
        let mut last = self.last.lock().await;
        if let Some(kept) = last.as_ref().filter(|kept| kept.since.elapsed() < kept.for_long) {
            return Ok(Arc::clone(&kept.sample));
        }
        let started = Instant::now();
        let sample = Arc::new(Sample::take(app).await?);
        sample.publish(last.as_ref().map(|kept| kept.sample.as_ref()));
        let for_long = FRESH.max(started.elapsed() * 20);
        *last = Some(Kept { since: Instant::now(), for_long, sample: Arc::clone(&sample) });
        Ok(sample)
    }

    /// The next one who asks gets a new count: somebody changed something.
    pub(super) async fn forget(&self) {
        if let Some(kept) = self.last.lock().await.as_mut() {
            kept.for_long = Duration::ZERO;
        }
    }
}

impl Sample {
    async fn take(app: &App) -> Result<Self> {
        let now = app.clock.now();
        let mut conn = app.store.read().await?;
        let hour_ago = now - TimeDelta::hours(1);
        Ok(Sample {
            at: now,
            lanes: queue_control::count(&mut conn, now).await?,
            dead: queue_control::count_dead(&mut conn).await?,
            minutes: queue_minutes::since(&mut conn, now - TimeDelta::minutes(5)).await?,
            hour: queue_minutes::since(&mut conn, hour_ago).await?,
            day: queue_minutes::since(&mut conn, now - TimeDelta::hours(24)).await?,
            recent: queue_control::recent_ends(&mut conn, "runPrompt", hour_ago, RECENT).await?,
            processes: processes::list(&mut conn, now - GONE).await?,
            queue_words: queue_control::queues(&mut conn).await?,
            lane_words: queue_control::lanes(&mut conn, None).await?,
        })
    }

    pub(super) fn totals(&self, queue: &str) -> Totals {
        let mut totals = Totals::default();
        for lane in self.lanes.iter().filter(|lane| lane.queue == queue) {
            totals.waiting += lane.waiting;
            totals.delayed += lane.delayed;
            totals.active += lane.running;
            totals.oldest_waiting_s = totals.oldest_waiting_s.max(self.age(lane));
        }
        let of = |sums: &[QueueMinute]| sums.iter().find(|sum| sum.queue == queue).cloned();
        let dead = self.dead.iter().find(|(name, _)| name == queue);
        totals.failed = dead.map_or(0, |(_, jobs)| *jobs);
        let lately = of(&self.minutes).unwrap_or_default();
        let ended = lately.succeeded + lately.retried + lately.dead + lately.cancelled;
        totals.per_minute = f64::from(i32::try_from(ended).unwrap_or(i32::MAX)) / 5.0;
        totals.hour = of(&self.hour).unwrap_or_default();
        totals.day = of(&self.day).unwrap_or_default();
        totals
    }

    /// Seconds that the oldest due job of a lane has waited.
    pub(super) fn age(&self, lane: &LaneCount) -> i64 {
        lane.oldest_due_at.map_or(0, |due| (self.at - due).num_seconds().max(0))
    }

    /// Processes that take jobs.
    pub(in crate::api) fn workers(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|process| process.concurrency > 0 && !process.draining)
    }

    /// Whether an operator holds the lane back, or all of its queue.
    pub(in crate::api) fn is_paused(&self, queue: &str, lane: &str) -> bool {
        self.queue_words.iter().any(|word| word.queue == queue && word.paused)
            || self.lane_words.iter().any(|word| {
                let control = &word.control;
                control.queue == queue && control.lane == lane && control.paused
            })
    }

    /// Why the queues are not served as they should be, if so: work that is due with nobody to do
    /// it, or that is due for `late`. What an operator holds back is not late.
    pub(in crate::api) fn trouble(&self, late: Duration) -> Option<String> {
        let late = i64::try_from(late.as_secs()).unwrap_or(i64::MAX);
        let due = self.lanes.iter().filter(|l| l.waiting > 0 && !self.is_paused(&l.queue, &l.lane));
        let served = self.workers().next().is_some();
        for lane in due {
            let age = self.age(lane);
            if age >= late {
                return Some(format!("a job of {} has been due for {age} s", lane.queue));
            }
            // A job that came a moment ago says nothing about workers that are about to look.
            if !served && age >= GONE.num_seconds() {
                return Some(format!("no worker lives for the jobs of {}", lane.queue));
            }
        }
        None
    }

    /// Tells the metrics; what the sample before had and this one has not is empty now.
    fn publish(&self, before: Option<&Sample>) {
        let name = |lane: &LaneCount| (lane.queue.clone(), lane.lane.clone());
        let now: BTreeSet<_> = self.lanes.iter().map(name).collect();
        let gone = before.into_iter().flat_map(|sample| &sample.lanes).map(name);
        for (queue, lane) in gone.filter(|lane| !now.contains(lane)) {
            for state in ["waiting", "delayed", "active"] {
                metrics::queue_depth(&queue, &lane, state, 0);
            }
        }
        for lane in &self.lanes {
            let states =
                [("waiting", lane.waiting), ("delayed", lane.delayed), ("active", lane.running)];
            for (state, jobs) in states {
                metrics::queue_depth(&lane.queue, &lane.lane, state, jobs);
            }
        }
        for queue in crate::jobs::operate::QUEUES {
            let totals = self.totals(queue);
            metrics::queue_depth(queue, "", "failed", totals.failed);
            let age = u64::try_from(totals.oldest_waiting_s).unwrap_or(0);
            metrics::queue_age(queue, Duration::from_secs(age));
        }
    }
}
