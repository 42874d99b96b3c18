//! What becomes of the slots of a schedule that are due: which fire, and which passed for good.

use super::{Cron, Slot};
use crate::store::schedules::CatchUp;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

/// How late a slot may be and still count as on time: a process that takes over from a dead one
/// needs less.
pub const GRACE: TimeDelta = TimeDelta::minutes(5);

/// Slots that [`CatchUp::All`] makes up for; older ones are missed.
pub const ALL: usize = 100;

/// Slots looked at in one go, so that a schedule that stood still for years holds nobody up.
const AT_ONCE: usize = 10_000;

/// What to do with a schedule now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// These passed, and nothing makes up for them.
    pub(super) missed: Vec<Slot>,
    /// This one fires.
    pub(super) fire: Option<Slot>,
    /// Where the schedule stands afterwards; that slot may be due too.
    pub(super) next: Option<Slot>,
}

/// Looks at the slots from `next_at` on. A slot is due `jitter` after its name.
pub(super) fn plan(
    cron: &Cron,
    zone: Tz,
    catch_up: CatchUp,
    next_at: DateTime<Utc>,
    jitter: TimeDelta,
    now: DateTime<Utc>,
) -> Plan {
    let is_due = |slot: &Slot| slot.at + jitter <= now;
    let mut due = Vec::new();
    let mut next = cron.from(zone, next_at);
    while let Some(slot) = next.filter(|slot| is_due(slot) && due.len() < AT_ONCE) {
        due.push(slot);
        next = cron.after(zone, slot.at);
    }
    // Which slots are the last ones shows only once the end is in sight.
    let more = next.is_some_and(|slot| is_due(&slot));
    let missed = match catch_up {
        CatchUp::None => due.iter().take_while(|slot| now - (slot.at + jitter) > GRACE).count(),
        CatchUp::One if more => due.len(),
        CatchUp::One => due.len().saturating_sub(1),
        CatchUp::All => due.len().saturating_sub(ALL),
    };
    let fire = if more { None } else { due.get(missed).copied() };
    let next = due.get(missed + usize::from(fire.is_some())).copied().or(next);
    due.truncate(missed);
    Plan { missed: due, fire, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule of each hour that stood still since midnight.
    fn hourly(catch_up: CatchUp, minutes: i64) -> Plan {
        let midnight = "2026-11-01T00:00:00Z".parse().unwrap();
        let now = midnight + TimeDelta::minutes(minutes);
        plan(&"@hourly".parse().unwrap(), Tz::UTC, catch_up, midnight, TimeDelta::zero(), now)
    }

    fn hours(plan: &Plan) -> (usize, Option<String>, Option<String>) {
        let text = |slot: Option<Slot>| slot.map(|slot| slot.wall.format("%d %H").to_string());
        (plan.missed.len(), text(plan.fire), text(plan.next))
    }

    #[test]
    fn a_slot_on_time_fires_whatever_the_policy() {
        for policy in [CatchUp::None, CatchUp::One, CatchUp::All] {
            let fired = (0, Some("01 00".into()), Some("01 01".into()));
            assert_eq!(hours(&hourly(policy, 0)), fired);
            assert_eq!(hours(&hourly(policy, 5)), fired);
            assert_eq!(hours(&hourly(policy, -1)), (0, None, Some("01 00".into())));
        }
    }

    #[test]
    fn none_fires_only_what_is_on_time() {
        assert_eq!(hours(&hourly(CatchUp::None, 6)), (1, None, Some("01 01".into())));
        let three = hourly(CatchUp::None, 3 * 60 + 2);
        assert_eq!(hours(&three), (3, Some("01 03".into()), Some("01 04".into())));
    }

    #[test]
    fn one_fires_the_last() {
        let three = hourly(CatchUp::One, 3 * 60 + 50);
        assert_eq!(hours(&three), (3, Some("01 03".into()), Some("01 04".into())));
    }

    #[test]
    fn all_fires_the_oldest_first_up_to_a_limit() {
        let three = hourly(CatchUp::All, 3 * 60 + 50);
        assert_eq!(hours(&three), (0, Some("01 00".into()), Some("01 01".into())));
        let five_days = hourly(CatchUp::All, 5 * 24 * 60);
        assert_eq!(hours(&five_days), (21, Some("01 21".into()), Some("01 22".into())));
    }

    #[test]
    fn years_of_slots_are_looked_at_in_pieces() {
        let two_years = 2 * 365 * 24 * 60;
        let none = hourly(CatchUp::None, two_years);
        assert_eq!((none.missed.len(), none.fire), (AT_ONCE, None));
        let one = hourly(CatchUp::One, two_years);
        assert_eq!((one.missed.len(), one.fire), (AT_ONCE, None));
        // The newest of these may still be among the last hundred.
        let all = hourly(CatchUp::All, two_years);
        assert_eq!((all.missed.len(), all.fire), (AT_ONCE - ALL, None));
        assert_eq!(all.next.unwrap().at, all.missed.last().unwrap().at + TimeDelta::hours(1));
    }

    #[test]
    fn jitter_delays_the_start_and_not_the_slot() {
        let midnight = "2026-11-01T00:00:00Z".parse().unwrap();
        let (cron, jitter) = ("@hourly".parse().unwrap(), TimeDelta::seconds(90));
        let at = |seconds| {
            let now = midnight + TimeDelta::seconds(seconds);
            plan(&cron, Tz::UTC, CatchUp::One, midnight, jitter, now).fire
        };
        assert_eq!(at(89), None);
        assert_eq!(at(90).unwrap().at, midnight);
    }
}
