//! An actuator that has just begun to act looks first.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;

use super::{Verdict, freshness::matching};
use crate::{
    reason::Reason,
    snapshot::{RECHECK, Snapshot},
};

/// Holds new actions back until this replica has held the lease for a while, and
/// until the analyzer has reported since it began. The predecessor may have
/// written last at the end of its lease; and what was reported before that says
/// nothing about what it left behind.
pub(super) fn warmup(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    if snapshot.is_reserved() {
        return Verdict::Allow;
    }
    let soon = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
    let Some(since) = snapshot.acting_since else {
        let message = "this actuator does not hold the lease";
        return Verdict::defer(Reason::WarmUp, soon, message);
    };
    let warm = since
        .saturating_add(snapshot.limits.warmup)
        .unwrap_or(Timestamp::MAX);
    if now < warm {
        let message = format!("the actuator acts since {since} and looks on until {warm}");
        return Verdict::defer(Reason::WarmUp, warm, message);
    }
    match matching(snapshot) {
        Some(observation) if observation.evaluated_at < since => {
            let at = observation.evaluated_at;
            let message =
                format!("the analyzer's last report is of {at}, before this actuator began to act");
            Verdict::defer(Reason::WarmUp, soon, message)
        }
        // Freshness speaks about a report that is missing.
        Some(_) | None => Verdict::Allow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};
    use jiff::SignedDuration;
    use proptest::prelude::*;

    #[test]
    fn what_has_begun_is_carried_on_at_once() {
        let mut snapshot = snapshot();
        snapshot.acting_since = Some(NOW);
        assert!(matches!(warmup(&snapshot, NOW), Verdict::Defer { .. }));
        snapshot.action.status.started_at = Some(NOW);
        assert_eq!(warmup(&snapshot, NOW), Verdict::Allow);
    }

    proptest! {
        #[test]
        fn nothing_new_begins_early_or_on_a_report_from_before(held in 0i64..60, age in 0i64..60) {
            let mut snapshot = snapshot();
            snapshot.acting_since = Some(NOW - SignedDuration::from_secs(held));
            let report = snapshot.observation.as_mut().unwrap();
            report.evaluated_at = NOW - SignedDuration::from_secs(age);
            let allowed = warmup(&snapshot, NOW) == Verdict::Allow;
            prop_assert_eq!(allowed, held >= 15 && age <= held);
        }
    }
}
