//! When the policy may act: its maintenance windows and freezes.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use schemas::policy::{MaintenanceWindow, Weekday};

use super::Verdict;
use crate::{reason::Reason, snapshot::Snapshot};

/// Windows begin on whole minutes, so looking again each minute misses none.
const RECHECK: SignedDuration = SignedDuration::from_mins(1);

/// Holds an action back within a freeze, and outside the maintenance windows if there are any.
pub(super) fn schedule(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let Some(policy) = &snapshot.policy else {
        return Verdict::Allow;
    };
    let rules = &policy.spec.safety_rules;
    let freezes = rules.freezes.iter();
    let freeze = freezes
        .filter(|freeze| freeze.from <= now && now < freeze.until)
        .max_by_key(|freeze| freeze.until);
    if let Some(freeze) = freeze {
        let why = freeze.reason.as_deref().unwrap_or("no reason given");
        let message = format!("frozen until {}: {why}", freeze.until);
        return Verdict::defer(Reason::Freeze, freeze.until, message);
    }
    let windows = &rules.windows;
    if windows.is_empty() || windows.iter().any(|window| is_open(window, now)) {
        return Verdict::Allow;
    }
    let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
    let message = "outside the policy's maintenance windows";
    Verdict::defer(Reason::OutsideWindow, until, message)
}

/// Whether a window is open, by the wall clock of its zone: an hour that is left out when the
/// clocks change is not made up for, one that comes twice is open twice. One whose time zone
/// is unknown never is.
fn is_open(window: &MaintenanceWindow, now: Timestamp) -> bool {
    let (Ok(zone), Some(start), Some(end)) = (
        TimeZone::get(&window.time_zone),
        clock_time(&window.start),
        clock_time(&window.end),
    ) else {
        return false;
    };
    let local = now.to_zoned(zone).datetime();
    let begins_on = |date: civil::Date| {
        window.days.is_empty()
            || window
                .days
                .iter()
                .any(|day| weekday(*day) == date.weekday())
    };
    let time = local.time();
    if start < end {
        return begins_on(local.date()) && start <= time && time < end;
    }
    let since_yesterday = local.date().yesterday().is_ok_and(begins_on) && time < end;
    (begins_on(local.date()) && start <= time) || since_yesterday
}

fn clock_time(text: &str) -> Option<civil::Time> {
    let (hour, minute) = text.split_once(':')?;
    civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

const fn weekday(day: Weekday) -> civil::Weekday {
    match day {
        Weekday::Mon => civil::Weekday::Monday,
        Weekday::Tue => civil::Weekday::Tuesday,
        Weekday::Wed => civil::Weekday::Wednesday,
        Weekday::Thu => civil::Weekday::Thursday,
        Weekday::Fri => civil::Weekday::Friday,
        Weekday::Sat => civil::Weekday::Saturday,
        Weekday::Sun => civil::Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};
    use proptest::prelude::*;
    use schemas::policy::Freeze;

    /// Zones with every kind of change: an hour, half an hour, in either half of the year, around Ramadan, and none.
    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Pacific/Auckland",
    ];

    /// The days from that of the epoch on.
    const DAYS: [Weekday; 7] = [
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
    ];

    /// The same in whole minutes of the wall clock: offset, remainder, comparison.
    fn by_the_wall_clock(
        window: &MaintenanceWindow,
        (start, end): (i64, i64),
        now: Timestamp,
    ) -> bool {
        let zone = TimeZone::get(&window.time_zone).unwrap();
        let local = now.as_second() + i64::from(zone.to_offset(now).seconds());
        let (day, minute) = (local.div_euclid(86400), local.rem_euclid(86400) / 60);
        let begins_on = |day: i64| {
            let weekday = DAYS[usize::try_from(day.rem_euclid(7)).unwrap()];
            window.days.is_empty() || window.days.contains(&weekday)
        };
        if start < end {
            return begins_on(day) && start <= minute && minute < end;
        }
        (begins_on(day) && start <= minute) || (begins_on(day - 1) && minute < end)
    }

    /// How many minutes of the two days around `noon` a window is open.
    fn minutes_open(window: &MaintenanceWindow, noon: &str) -> usize {
        let noon = at(noon);
        let minutes = (-1440..1440).map(|minute| noon + SignedDuration::from_mins(minute));
        minutes.filter(|now| is_open(window, *now)).count()
    }

    #[test]
    fn a_window_follows_the_wall_clock_over_a_change_of_the_clocks() {
        let berlin = |start, end| window(Vec::new(), start, end, "Europe/Berlin");
        // On 2030-03-31 the clocks go from 02:00 to 03:00, on 2030-10-27 from 03:00 back to 02:00.
        let night = berlin("01:30", "03:30");
        assert!(!is_open(&night, at("2030-03-31T00:29:59Z")));
        assert!(is_open(&night, at("2030-03-31T00:30:00Z")));
        assert!(is_open(&night, at("2030-03-31T01:29:59Z")));
        assert!(!is_open(&night, at("2030-03-31T01:30:00Z")));
        assert!(is_open(&night, at("2030-10-26T23:30:00Z")));
        assert!(is_open(&night, at("2030-10-27T02:29:59Z")));
        assert!(!is_open(&night, at("2030-10-27T02:30:00Z")));
        // Two days see two windows of an hour; the hour that is left out sees none, the one that comes twice is open twice.
        let hour = berlin("02:00", "03:00");
        assert_eq!(minutes_open(&hour, "2030-01-15T12:00:00Z"), 120);
        assert_eq!(minutes_open(&hour, "2030-03-31T12:00:00Z"), 60);
        assert_eq!(minutes_open(&hour, "2030-10-27T12:00:00Z"), 180);
    }

    proptest! {
        /// Within two days of a change of the clocks, or anywhere in a zone without any.
        #[test]
        fn a_window_is_open_exactly_while_the_wall_clock_shows_its_hours(
            zone in proptest::sample::select(ZONES.to_vec()),
            days in proptest::sample::subsequence(DAYS.to_vec(), 0..7),
            (start, end) in (0i64..1440, 0i64..1440),
            (after, off) in (0i64..1_000_000_000, -172_800i64..172_800),
        ) {
            let text = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
            let window = window(days, &text(start), &text(end), zone);
            let after = NOW + SignedDuration::from_secs(after);
            let change = TimeZone::get(zone).unwrap().following(after).next().map(|change| change.timestamp());
            let now = change.unwrap_or(after) + SignedDuration::from_secs(off);
            prop_assert_eq!(is_open(&window, now), by_the_wall_clock(&window, (start, end), now));
        }

        /// A freeze is made of instants: no zone and no change of the clocks moves it.
        #[test]
        fn nothing_is_allowed_within_a_freeze_and_the_wait_ends_with_it(
            freezes in proptest::collection::vec((-5000i64..5000, 1i64..5000), 0..6),
        ) {
            let mut snapshot = snapshot();
            let span = |(from, long): (i64, i64)| Freeze {
                from: NOW + SignedDuration::from_secs(from),
                until: NOW + SignedDuration::from_secs(from + long),
                reason: None,
            };
            let freezes: Vec<_> = freezes.into_iter().map(span).collect();
            let last = freezes.iter().filter(|f| f.from <= NOW && NOW < f.until).map(|f| f.until).max();
            snapshot.policy.as_mut().unwrap().spec.safety_rules.freezes = freezes;
            match schedule(&snapshot, NOW) {
                Verdict::Defer { until, reason: Reason::Freeze, .. } => prop_assert_eq!(Some(until), last),
                Verdict::Allow => prop_assert_eq!(last, None),
                other @ (Verdict::Defer { .. } | Verdict::Await { .. } | Verdict::Deny { .. }) => {
                    prop_assert!(false, "{other:?}");
                }
            }
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(days: Vec<Weekday>, start: &str, end: &str, zone: &str) -> MaintenanceWindow {
        MaintenanceWindow {
            days,
            start: start.to_owned(),
            end: end.to_owned(),
            time_zone: zone.to_owned(),
        }
    }

    #[test]
    fn a_freeze_holds_until_its_end() {
        let mut snapshot = snapshot();
        let until = NOW + SignedDuration::from_hours(2);
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.freezes = vec![Freeze {
            from: NOW,
            until,
            reason: None,
        }];
        assert!(
            matches!(schedule(&snapshot, NOW), Verdict::Defer { until: end, .. } if end == until)
        );
        assert_eq!(schedule(&snapshot, until), Verdict::Allow);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        // 2030-01-04 is a Friday.
        let night = window(vec![Weekday::Fri], "22:00", "04:00", "UTC");
        assert!(!is_open(&night, at("2030-01-04T03:00:00Z")));
        assert!(is_open(&night, at("2030-01-04T23:00:00Z")));
        assert!(is_open(&night, at("2030-01-05T03:59:59Z")));
        assert!(!is_open(&night, at("2030-01-05T04:00:00Z")));
    }

    #[test]
    fn an_unknown_time_zone_opens_nothing() {
        let nowhere = window(Vec::new(), "00:00", "23:59", "Nowhere/Land");
        assert!(!is_open(&nowhere, at("2030-01-04T03:00:00Z")));
    }
}
