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

/// Whether a window is open. One whose time zone is unknown never is.
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
    use schemas::policy::Freeze;

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
