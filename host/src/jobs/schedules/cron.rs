//! From a cron expression and a time zone to instants.
//!
//! A slot is a wall time that the expression names. Where clocks change, a wall time may be missing
//! or come twice; what becomes of it then is decided here and told in `docs/schedules.md`.
//!
//! **Invariant:** the slots of an expression strictly increase: no instant comes twice.
//! **Invariant:** where no clock changes, slots are exactly the wall times that match.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};
use std::str::FromStr;

/// Slots of one schedule are at least this far apart: a batch needs minutes to be asked, and its
/// numbers hardly move within an hour.
pub const SHORTEST: TimeDelta = TimeDelta::minutes(5);

/// How far before an instant the same wall time may have come already: more than any zone sets its
/// clock back.
const LONGEST_OVERLAP: TimeDelta = TimeDelta::hours(4);

/// Names for common expressions.
const NICKNAMES: [(&str, &str); 4] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
];

/// A cron expression of five fields: minute, hour, day of month, month, day of week.
#[derive(Debug, Clone)]
pub struct Cron {
    pattern: croner::Cron,
    /// It tells an interval rather than a time of day, so it also fires in the hour that comes
    /// twice the second time.
    interval: bool,
}

/// When something is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: DateTime<Utc>,
    /// The wall time that the expression names. One that the clock leaves out is not the wall time
    /// of `at`.
    pub wall: NaiveDateTime,
}

impl Cron {
    /// The first slot after `at`; none when the expression has come to its end.
    pub fn after(&self, zone: Tz, at: DateTime<Utc>) -> Option<Slot> {
        let now = at.with_timezone(&zone).naive_local();
        let next = self.after_wall(zone, now, at);
        // In an hour that will come again, the second pass holds wall times behind `now`.
        let again = self.interval
            && zone.from_local_datetime(&now).latest().is_some_and(|later| later.to_utc() > at);
        if !again {
            return next;
        }
        let second = self.after_wall(zone, now.checked_sub_signed(LONGEST_OVERLAP)?, at);
        [next, second].into_iter().flatten().min_by_key(|slot| slot.at)
    }

    /// The first slot at `at` or after it.
    pub fn from(&self, zone: Tz, at: DateTime<Utc>) -> Option<Slot> {
        self.after(zone, at - TimeDelta::microseconds(1))
    }

    /// The first wall time after `wall` that comes after `at`.
    fn after_wall(&self, zone: Tz, mut wall: NaiveDateTime, at: DateTime<Utc>) -> Option<Slot> {
        loop {
            wall = self.match_after(wall)?;
            if let Some(at) = self.instants(zone, wall).into_iter().flatten().find(|i| *i > at) {
                return Some(Slot { at, wall });
            }
        }
    }

    /// When a matching wall time fires, the first pass first.
    fn instants(&self, zone: Tz, wall: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        let local = zone.from_local_datetime(&wall);
        match (local.earliest(), local.latest()) {
            (Some(first), Some(second)) => {
                [Some(first.to_utc()), self.interval.then(|| second.to_utc())]
            }
            _ => [self.after_gap(zone, wall), None],
        }
    }

    /// When a wall time fires that the clock leaves out.
    ///
    /// By the clock before the change it would be an instant that bears another name now. If that
    /// name matches too, nothing is missing; else the slot fires as soon as the gap is over.
    fn after_gap(&self, zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let gap = GapInfo::new(&wall, &zone)?;
        let (_, before) = gap.begin?;
        let instant = before.fix().from_local_datetime(&wall).single()?;
        let renamed = instant.with_timezone(&zone).naive_local();
        if self.matches(renamed) { None } else { gap.end.map(|end| end.to_utc()) }
    }

    /// The expression knows nothing of zones: it is asked about wall times alone.
    fn match_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let wall = wall.with_nanosecond(0)?.and_utc();
        self.pattern.find_next_occurrence(&wall, false).ok().map(|next| next.naive_utc())
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        self.pattern.is_time_matching(&wall.and_utc()).unwrap_or(false)
    }

    /// The least distance of two slots on one day or on two that follow each other.
    fn shortest(&self) -> TimeDelta {
        let pattern = &self.pattern.pattern;
        let minutes: Vec<u32> =
            (0..60).filter(|minute| pattern.minute_match(*minute).unwrap_or(false)).collect();
        let times: Vec<i64> = (0..24)
            .filter(|hour| pattern.hour_match(*hour).unwrap_or(false))
            .flat_map(|hour| minutes.iter().map(move |minute| i64::from(hour * 60 + minute)))
            .collect();
        let within = times.windows(2).map(|pair| pair[1] - pair[0]);
        let (first, last) = (times.first().unwrap_or(&0), times.last().unwrap_or(&0));
        let over_midnight = 24 * 60 - last + first;
        TimeDelta::minutes(within.chain([over_midnight]).min().unwrap_or(over_midnight))
    }
}

impl FromStr for Cron {
    /// What is wrong, for the person who wrote it.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let expression = match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, meaning)) => meaning,
            None if text.starts_with('@') => {
                let names = NICKNAMES.map(|(name, _)| name).join(", ");
                return Err(format!("{text} is not known: there are {names}"));
            }
            None => text,
        };
        let fields: Vec<&str> = expression.split_whitespace().collect();
        if fields.len() != 5 {
            return Err(format!(
                "has {} fields and needs 5 (minute, hour, day of month, month, day of week); \
                 seconds and years are not supported",
                fields.len()
            ));
        }
        if let Some(c) = expression.chars().find(|c| matches!(c, '+' | '?')) {
            return Err(format!("`{c}` is not supported: use `*`"));
        }
        let pattern: croner::Cron = expression.parse().map_err(explain)?;
        let steps = fields[0].contains(['*', '/']);
        let every_hour = (0..24).all(|hour| pattern.pattern.hour_match(hour).unwrap_or(false));
        let cron = Cron { pattern, interval: steps || every_hour };
        // Four years from any day hold a February 29th, forty one on each weekday; only what never
        // comes is searched for until the calendar ends.
        if cron.match_after(DateTime::UNIX_EPOCH.naive_utc()).is_none() {
            return Err("names a day that no month has, so it would never fire".into());
        }
        if cron.shortest() < SHORTEST {
            return Err(format!(
                "fires every {} min: {} min is the shortest interval",
                cron.shortest().num_minutes(),
                SHORTEST.num_minutes()
            ));
        }
        Ok(cron)
    }
}

/// The parser's complaint without its prefix.
fn explain(error: croner::errors::CronError) -> String {
    use croner::errors::CronError as E;
    match error {
        E::InvalidPattern(text) | E::IllegalCharacters(text) | E::ComponentError(text) => {
            let text = text.replace("CronPattern contains i", "i");
            format!("cannot be read: {}", text.trim_end_matches('.'))
        }
        other => format!("cannot be read: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;
    use std::{collections::BTreeSet, sync::LazyLock};

    fn cron(text: &str) -> Cron {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The slots after `from` up to `to`, as `slot (wall time)` where the two differ.
    fn slots(text: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
        let (cron, mut at, to) = (cron(text), utc(from), utc(to));
        let mut found = Vec::new();
        while let Some(slot) = cron.after(zone, at).filter(|slot| slot.at <= to) {
            let local = slot.at.with_timezone(&zone);
            found.push(if local.naive_local() == slot.wall {
                local.format("%dT%H:%M%z").to_string()
            } else {
                format!("{} ({})", local.format("%dT%H:%M%z"), slot.wall.format("%dT%H:%M"))
            });
            at = slot.at;
        }
        found
    }

    #[test]
    fn a_time_that_the_clock_leaves_out_fires_when_the_gap_is_over() {
        let (from, to) = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
        assert_eq!(
            slots("30 2 * * *", Tz::Europe__Copenhagen, from, to),
            ["29T03:00+0200 (29T02:30)", "30T02:30+0200"]
        );
        // Two that the same gap swallows fire once; one that shares its instant fires as itself.
        assert_eq!(
            slots("0,30 2 * * *", Tz::Europe__Copenhagen, from, "2026-03-29T12:00:00Z"),
            ["29T03:00+0200 (29T02:00)"]
        );
        assert_eq!(
            slots("0 2,3 * * *", Tz::Europe__Copenhagen, from, "2026-03-29T12:00:00Z"),
            ["29T03:00+0200"]
        );
        // Midnight itself is missing in Santiago, half an hour on Lord Howe Island.
        let (from, to) = ("2026-09-05T12:00:00Z", "2026-09-06T12:00:00Z");
        assert_eq!(slots("@daily", Tz::America__Santiago, from, to), ["06T01:00-0300 (06T00:00)"]);
        let (from, to) = ("2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z");
        assert_eq!(
            slots("15 2 * * *", Tz::Australia__Lord_Howe, from, to),
            ["04T02:30+1100 (04T02:15)"]
        );
        // Samoa left out a whole day.
        let (from, to) = ("2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z");
        assert_eq!(
            slots("0 9 * * *", Tz::Pacific__Apia, from, to),
            ["29T09:00-1000", "31T09:00+1400"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_fires_the_first_time() {
        let (from, to) = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!(
            slots("30 2 * * *", Tz::Europe__Copenhagen, from, to),
            ["25T02:30+0200", "26T02:30+0100"]
        );
        let (from, to) = ("2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z");
        assert_eq!(slots("30 23 * * *", Tz::America__Santiago, from, to), ["04T23:30-0300"]);
    }

    #[test]
    fn an_interval_follows_real_time() {
        for &(zone, day) in CHANGES.iter() {
            let from = day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(1);
            for (text, minutes) in [("*/15 * * * *", 15), ("*/5 * * * *", 5), ("*/30 * * * *", 30)]
            {
                let (cron, mut at) = (cron(text), from);
                while at < from + TimeDelta::days(3) {
                    let slot = cron.after(zone, at).unwrap();
                    assert_eq!(slot.at, at + TimeDelta::minutes(minutes), "{text} in {zone}");
                    at = slot.at;
                }
            }
        }
        let hours = slots(
            "0 * * * *",
            Tz::Europe__Copenhagen,
            "2026-10-24T23:30:00Z",
            "2026-10-25T02:30:00Z",
        );
        assert_eq!(hours, ["25T02:00+0200", "25T02:00+0100", "25T03:00+0100"]);
        let hours = slots(
            "30 * * * *",
            Tz::Europe__Copenhagen,
            "2026-03-29T00:00:00Z",
            "2026-03-29T02:00:00Z",
        );
        assert_eq!(hours, ["29T01:30+0100", "29T03:30+0200"]);
    }

    #[test]
    fn leap_days_come_in_leap_years_only() {
        let leap = slots("0 12 29 2 *", Tz::UTC, "2024-01-01T00:00:00Z", "2033-01-01T00:00:00Z");
        assert_eq!(leap.len(), 3);
        let after_2096 = cron("0 0 29 2 *").after(Tz::UTC, utc("2096-03-01T00:00:00Z")).unwrap();
        assert_eq!(after_2096.at, utc("2104-02-29T00:00:00Z"));
    }

    #[test]
    fn nicknames_mean_what_they_say() {
        for (name, pattern) in NICKNAMES {
            let (from, to) = ("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z");
            assert_eq!(slots(name, Tz::UTC, from, to), slots(pattern, Tz::UTC, from, to));
        }
    }

    #[test]
    fn days_can_be_named_by_their_place_in_the_month() {
        let (from, to) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        for (text, day) in [
            ("0 9 L * *", "30"),
            ("0 9 15W * *", "16"),
            ("0 9 * * MON#2", "09"),
            ("0 9 * * FRI#L", "27"),
        ] {
            assert_eq!(slots(text, Tz::UTC, from, to), [format!("{day}T09:00+0000")], "{text}");
        }
    }

    #[test]
    fn a_bad_expression_is_told_what_is_wrong() {
        for (text, part) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("0 0 9 * * *", "seconds and years are not supported"),
            ("61 * * * *", "cannot be read"),
            ("0 25 * * *", "cannot be read"),
            ("0 9 * * XYZ", "cannot be read"),
            ("0 9 ? * *", "is not supported"),
            ("@reboot", "is not known"),
            ("0 0 30 2 *", "never fire"),
            ("0 0 31 4,6,9,11 *", "never fire"),
            ("* * * * *", "fires every 1 min"),
            ("*/4 * * * *", "fires every 4 min"),
            ("58 23,0 * * *", ""),
            ("1,58 * * * *", "fires every 3 min"),
        ] {
            match text.parse::<Cron>() {
                Ok(_) => assert_eq!(part, "", "{text} was accepted"),
                Err(error) => {
                    assert!(!part.is_empty() && error.contains(part), "{text}: {error}");
                }
            }
        }
    }

    const ZONES: [Tz; 9] = [
        Tz::UTC,
        Tz::Europe__Copenhagen,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
        Tz::America__Santiago,
        Tz::America__Asuncion,
        Tz::Pacific__Apia,
        Tz::Antarctica__Troll,
        Tz::Africa__Casablanca,
    ];

    /// The days of 2024 to 2030 on which a zone's clock changes.
    static CHANGES: LazyLock<Vec<(Tz, NaiveDate)>> = LazyLock::new(changes);

    fn changes() -> Vec<(Tz, NaiveDate)> {
        let mut found = Vec::new();
        for zone in ZONES {
            let offset = |day: NaiveDate| {
                zone.offset_from_utc_datetime(&day.and_hms_opt(0, 0, 0).unwrap()).fix()
            };
            let mut day = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
            while day.year() <= 2030 {
                let next = day.succ_opt().unwrap();
                if offset(day) != offset(next) {
                    found.push((zone, day));
                }
                day = next;
            }
        }
        assert!(found.len() > 80, "{found:?}");
        found
    }

    /// The slots of three days around `day`, found by looking at every minute.
    fn by_minute(cron: &Cron, zone: Tz, from: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
        let mut found = BTreeSet::new();
        for minute in 0..3 * 24 * 60 {
            let at = from + TimeDelta::minutes(minute);
            let wall = at.with_timezone(&zone).naive_local();
            let first = zone.from_local_datetime(&wall).earliest().map(|first| first.to_utc());
            if cron.matches(wall) && (cron.interval || first == Some(at)) {
                found.insert(at);
            }
            let before = (at - TimeDelta::minutes(1)).with_timezone(&zone).naive_local();
            let mut missing = before + TimeDelta::minutes(1);
            let length = wall - missing;
            while missing < wall {
                if cron.matches(missing) && !cron.matches(missing + length) {
                    found.insert(at);
                }
                missing += TimeDelta::minutes(1);
            }
        }
        found
    }

    fn expression() -> impl Strategy<Value = String> {
        let minute = prop_oneof![
            (0..60_u32).prop_map(|m| m.to_string()),
            (5..31_u32).prop_map(|n| format!("*/{n}")),
            (0..30_u32).prop_map(|m| format!("{m},{}", m + 25)),
        ];
        let hour = prop_oneof![
            Just("*".to_owned()),
            (0..24_u32).prop_map(|h| h.to_string()),
            (0..4_u32, 1..3_u32).prop_map(|(h, n)| format!("{h}-{}", h + n)),
            (2..7_u32).prop_map(|n| format!("*/{n}")),
        ];
        let day = prop_oneof![Just("* * *"), Just("* * 0"), Just("* * 1-6"), Just("1-15 * *")];
        (minute, hour, day).prop_map(|(m, h, d)| format!("{m} {h} {d}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn slots_are_those_found_by_looking_at_every_minute(
            text in expression(),
            pick in any::<prop::sample::Index>(),
        ) {
            let (zone, day) = CHANGES[pick.index(CHANGES.len())];
            let from = day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(1);
            // Some of the drawn expressions fire too often.
            let Ok(cron) = text.parse::<Cron>() else { return Ok(()) };
            let (mut slots, mut at) = (BTreeSet::new(), from - TimeDelta::microseconds(1));
            while let Some(slot) = cron.after(zone, at) {
                prop_assert!(slot.at > at, "{text} in {zone}: {} after {at}", slot.at);
                if slot.at >= from + TimeDelta::days(3) {
                    break;
                }
                at = slot.at;
                slots.insert(at);
            }
            prop_assert_eq!(slots, by_minute(&cron, zone, from), "{} in {} on {}", text, zone, day);
        }

        #[test]
        fn the_next_slot_is_the_same_from_anywhere_before_it(
            text in expression(),
            pick in any::<prop::sample::Index>(),
            second in 0..200_000_i64,
        ) {
            let (zone, day) = CHANGES[pick.index(CHANGES.len())];
            let from = day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(1);
            let Ok(cron) = text.parse::<Cron>() else { return Ok(()) };
            let at = from + TimeDelta::seconds(second);
            let next = cron.after(zone, at).unwrap();
            prop_assert!(next.at > at);
            prop_assert_eq!(cron.from(zone, next.at), Some(next));
            let between = at + (next.at - at) / 2;
            prop_assert_eq!(cron.after(zone, between), Some(next));
        }
    }
}
