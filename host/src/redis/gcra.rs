//! How many of something may happen: so many at once, and so many a minute in the long run.
//!
//! The generic cell rate algorithm keeps one instant per allowance, at which it is full again.
//! `gcra.lua` and [`take`] are the same arithmetic, in whole microseconds.

use std::time::Duration;

/// A rate with room for a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run. None are granted when it is zero.
    pub per_minute: u32,
    /// At once, after a while of rest; at least one.
    pub burst: u32,
}

/// What came of asking for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub granted: u32,
    /// Free after this.
    pub remaining: u32,
    /// Until the next token is free; zero when one is.
    pub retry_after: Duration,
}

impl Taken {
    /// Nothing, ever.
    pub(super) const NOTHING: Self =
        Taken { granted: 0, remaining: 0, retry_after: Duration::from_mins(1) };
}

const MINUTE: u64 = 60_000_000;

impl Rate {
    /// Microseconds from one token to the next, rounded up: never too fast.
    pub(super) fn interval(self) -> Option<u64> {
        (self.per_minute > 0).then(|| MINUTE.div_ceil(u64::from(self.per_minute)))
    }

    pub(super) fn burst(self) -> u64 {
        u64::from(self.burst.max(1))
    }

    /// The share of one among `processes`, in microseconds from one token to the next and in tokens
    /// at once. Shares of a burst are rounded down, and a share is never nothing.
    pub(super) fn share(self, processes: u32) -> Option<(u64, u64)> {
        let processes = u64::from(processes.max(1));
        Some((self.interval()? * processes, (self.burst() / processes).max(1)))
    }
}

/// Takes up to `want` tokens at `now` from an allowance that is full again at `full_at`.
pub(super) fn take(
    (interval, burst): (u64, u64),
    full_at: u64,
    now: u64,
    want: u32,
) -> (u64, Taken) {
    let capacity = interval * burst;
    let mut full_at = full_at.clamp(now, now + capacity);
    let free = u32::try_from((now + capacity - full_at) / interval).unwrap_or(u32::MAX);
    let granted = want.min(free);
    full_at += u64::from(granted) * interval;
    let next_in =
        if granted == free { (full_at + interval).saturating_sub(now + capacity) } else { 0 };
    let retry_after = Duration::from_micros(next_in);
    (full_at, Taken { granted, remaining: free - granted, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_its_burst(
            per_minute in 1_u32..100_000,
            burst in 1_u32..500,
            asked in prop::collection::vec((0_u64..2_000_000, 0_u32..50), 1..200),
        ) {
            let share = Rate { per_minute, burst }.share(1).unwrap();
            let (mut now, mut full_at, mut granted) = (1, 0, 0_u64);
            for (pause, want) in asked {
                now += pause;
                let (next, taken) = take(share, full_at, now, want);
                prop_assert!(taken.granted <= want);
                prop_assert!(taken.remaining == 0 || taken.granted == want);
                prop_assert_eq!(taken.retry_after.is_zero(), taken.remaining > 0);
                granted += u64::from(taken.granted);
                full_at = next;
                prop_assert!(granted <= u64::from(burst) + now / share.0);
            }
            let rested = now + share.0 * share.1;
            prop_assert_eq!(take(share, full_at, rested, u32::MAX).1.granted, burst);
        }

        #[test]
        fn shares_add_up_to_no_more(per_minute in 1_u32..100_000, burst in 1_u32..500, n in 1_u32..64) {
            let rate = Rate { per_minute, burst };
            let (interval, burst) = rate.share(n).unwrap();
            prop_assert!(interval >= rate.interval().unwrap() * u64::from(n));
            prop_assert!(burst * u64::from(n) <= rate.burst().max(u64::from(n)));
        }
    }

    #[test]
    fn the_wait_is_told() {
        let share = Rate { per_minute: 60, burst: 2 }.share(1).unwrap();
        let (full_at, taken) = take(share, 0, 1_000_000, 5);
        assert_eq!(taken.granted, 2);
        assert_eq!(taken.retry_after, Duration::from_secs(1));
        let (_, taken) = take(share, full_at, 1_250_000, 1);
        assert_eq!(taken.retry_after, Duration::from_millis(750));
    }
}
