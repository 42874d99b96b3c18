//! How often a lane may start a job: the generic cell rate algorithm, and what refusals do to the
//! rate. Pure: the caller brings the clock.

use crate::store::lanes::FULL;
use chrono::{DateTime, TimeDelta, Utc};

/// A rate with what may be started at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_minute: f64,
    /// At least 1.
    pub burst: u32,
}

impl Rate {
    /// The share of it that is used, in thousandths. A burst stays possible while the rate is
    /// whole; a vendor that refused calls gets none.
    #[must_use]
    pub fn throttled(self, share: i64) -> Self {
        if share >= FULL {
            return self;
        }
        #[expect(clippy::cast_precision_loss, reason = "thousandths")]
        let share = share.max(1) as f64 / FULL as f64;
        Rate { per_minute: self.per_minute * share, burst: 1 }
    }

    /// What may be handed out ahead: a burst, or what the rate lets start in half a second.
    pub(super) fn in_a_moment(self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "half a second of a rate per minute"
        )]
        let soon = (self.per_minute / 120.0).clamp(0.0, 1e6) as usize;
        soon.max(self.burst as usize).max(1)
    }

    /// Between two jobs, in the long run.
    fn interval(self) -> TimeDelta {
        #[expect(clippy::cast_possible_truncation, reason = "a rate below one a century is zero")]
        let micros = (60e6 / self.per_minute.max(1e-6)).min(3e15) as i64;
        TimeDelta::microseconds(micros.max(1))
    }
}

/// What a lane may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    pub jobs: usize,
    /// When one more may start.
    pub next_at: DateTime<Utc>,
}

/// How many jobs may start at `now` when `tat` is when the next one was due by the rate.
pub fn allowed(rate: Rate, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Allowed {
    let interval = rate.interval();
    let burst = i32::try_from(rate.burst.max(1)).unwrap_or(i32::MAX);
    let tat = tat.map_or(now, |tat| tat.max(now));
    let tolerance = interval * (burst - 1);
    let room = now + tolerance - tat;
    if room < TimeDelta::zero() {
        return Allowed { jobs: 0, next_at: tat - tolerance };
    }
    let jobs = room.num_microseconds().unwrap_or(i64::MAX)
        / interval.num_microseconds().unwrap_or(i64::MAX)
        + 1;
    let jobs = usize::try_from(jobs).unwrap_or(usize::MAX);
    Allowed { jobs, next_at: spent(rate, Some(tat), jobs, now) - tolerance }
}

/// When the next job is due by the rate once `jobs` have started at `now`.
pub fn spent(
    rate: Rate,
    tat: Option<DateTime<Utc>>,
    jobs: usize,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let jobs = i32::try_from(jobs).unwrap_or(i32::MAX);
    tat.map_or(now, |tat| tat.max(now)) + rate.interval() * jobs
}

/// The smallest share of its rate that a lane is left with.
const FLOOR: i64 = 50;
/// What a lane gets back for each quiet while.
pub(super) const STEP: i64 = 50;
/// Refusals of calls that were on their way together count once.
const TOGETHER: TimeDelta = TimeDelta::seconds(10);
/// How long nothing must be refused before a lane gets some of its rate back.
pub(super) const QUIET: TimeDelta = TimeDelta::seconds(10);

/// The share that is left after a refusal at `now`.
pub(super) fn after_refusal(
    share: i64,
    changed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> i64 {
    if share < FULL && changed_at.is_some_and(|at| now - at < TOGETHER) {
        return share;
    }
    (share / 2).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(1_767_225_600_000_000 + micros).unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate { per_minute: 60.0, burst: 5 };
        let first = allowed(rate, None, at(0));
        assert_eq!(first.jobs, 5);
        let tat = spent(rate, None, 5, at(0));
        let none = allowed(rate, Some(tat), at(0));
        assert_eq!((none.jobs, none.next_at), (0, at(1_000_000)));
        assert_eq!(allowed(rate, Some(tat), at(999_999)).jobs, 0);
        assert_eq!(allowed(rate, Some(tat), at(1_000_000)).jobs, 1);
        assert_eq!(allowed(rate, Some(tat), at(60_000_000)).jobs, 5);
    }

    #[test]
    fn a_refusal_halves_the_rate_once() {
        let now = at(0);
        assert_eq!(after_refusal(FULL, None, now), 500);
        assert_eq!(after_refusal(500, Some(now), at(1_000_000)), 500);
        assert_eq!(after_refusal(500, Some(now), at(11_000_000)), 250);
        assert_eq!(after_refusal(60, Some(now), at(11_000_000)), FLOOR);
        let rate = Rate { per_minute: 600.0, burst: 20 };
        assert_eq!(rate.throttled(500), Rate { per_minute: 300.0, burst: 1 });
        assert_eq!(rate.throttled(FULL), rate);
    }

    proptest! {
        /// Whatever the pattern of asking, no window holds more than its burst and its rate.
        #[test]
        fn never_more_than_burst_and_rate(
            per_minute in 1.0..60_000.0_f64,
            burst in 1_u32..50,
            pauses in prop::collection::vec(0_i64..2_000_000, 1..60),
        ) {
            let rate = Rate { per_minute, burst };
            let (mut tat, mut clock, mut started) = (None, 0, 0_usize);
            for pause in pauses {
                clock += pause;
                let Allowed { jobs, .. } = allowed(rate, tat, at(clock));
                started += jobs;
                if jobs > 0 {
                    tat = Some(spent(rate, tat, jobs, at(clock)));
                }
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let most = f64::from(burst) + clock as f64 / 60e6 * per_minute * 1.01 + 1.0;
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let started = started as f64;
                prop_assert!(started <= most, "{started} > {most}");
            }
        }
    }
}
