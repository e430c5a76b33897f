//! Rest between two actions on one target.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::{Verdict, streak::streak};
use crate::{
    reason::Reason,
    snapshot::{Past, RECHECK, Snapshot},
};

/// Longest rest that failures add up to.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Holds an action back while another works on its target, and until the
/// target has rested for the trigger's cooldown.
///
/// Restarting a pod that is still settling after the last restart hides the
/// first symptom behind a second one, so the clock runs per target and not per
/// policy. The replacement of a pod inherits its rest; its siblings do not,
/// because each pod that leaks is healed for its own leak. Each failure in a row on
/// the same owner doubles the rest, up to a day.
pub(super) fn cooldown(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    if snapshot.is_reserved() {
        return Verdict::Allow;
    }
    let related: Vec<&Past> = snapshot
        .history
        .iter()
        .filter(|past| is_same_target(snapshot, past))
        .collect();
    if related.iter().any(|past| past.is_under_way()) {
        let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
        let message = "another action on the same target is under way";
        return Verdict::defer(Reason::TargetBusy, until, message);
    }
    let Some(last) = related.iter().filter_map(|past| past.finished_at).max() else {
        return Verdict::Allow;
    };
    let rest = grown(rest(snapshot), failures(snapshot));
    let until = last.saturating_add(rest).unwrap_or(Timestamp::MAX);
    if now < until {
        let message =
            format!("the target rests until {until} after the action that ended at {last}");
        return Verdict::defer(Reason::Cooldown, until, message);
    }
    Verdict::Allow
}

/// The cooldown of the action's trigger; without one, the longest of the policy's.
fn rest(snapshot: &Snapshot) -> SignedDuration {
    let wanted = snapshot.action.spec.trigger.as_ref();
    let triggers = snapshot
        .policy
        .as_ref()
        .map(|policy| policy.spec.triggers.as_slice())
        .unwrap_or_default();
    triggers
        .iter()
        .filter(|trigger| wanted.is_none_or(|wanted| wanted.name == trigger.name))
        .map(|trigger| trigger.cooldown_period.get())
        .max()
        .unwrap_or_default()
}

/// How many actions in a row failed on the target's owner.
fn failures(snapshot: &Snapshot) -> u32 {
    let owner = snapshot.top_owner();
    owner.map_or(0, |owner| {
        streak(snapshot.past_on(&owner.target.uid)).failures
    })
}

/// The rest after so many failures. A cooldown that is longer than a day from the start stays what it is.
fn grown(rest: SignedDuration, failures: u32) -> SignedDuration {
    let doubled = 2i32.saturating_pow(failures);
    let grown = rest.checked_mul(doubled).unwrap_or(LONGEST);
    rest.max(grown.min(LONGEST))
}

/// Whether a past action, which began, worked on this target: on the object
/// itself, on the pod that it replaces, on its owner, or on a pod it owns.
fn is_same_target(snapshot: &Snapshot, past: &Past) -> bool {
    let (Some(started), Some(target)) = (past.started_at, &snapshot.target) else {
        return false;
    };
    let uid = target.target.uid.as_str();
    if past.target_uid.as_deref() == Some(uid) {
        return true;
    }
    let owner = snapshot.top_owner().map(|owner| owner.target.uid.as_str());
    if past.owner_uid.is_none() || past.owner_uid.as_deref() != owner {
        return false;
    }
    let acts_on_owner = target.workload.is_some();
    let owner_was_acted_on = past.target_uid == past.owner_uid;
    // Creation times have whole seconds only, so a replacement may seem to precede its cause.
    let began = started - SignedDuration::from_secs(1);
    let replaces = target.created_at.is_some_and(|created| created >= began);
    acts_on_owner || owner_was_acted_on || replaces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, ended, past, snapshot};
    use proptest::prelude::*;
    use schemas::action::Phase;

    fn finished(seconds_ago: i64) -> Past {
        let finished = NOW - SignedDuration::from_secs(seconds_ago);
        Past {
            phase: Phase::Succeeded,
            finished_at: Some(finished),
            ..past("other", finished - SignedDuration::from_secs(30))
        }
    }

    #[test]
    fn an_action_inside_the_cooldown_waits_for_its_end() {
        let mut snapshot = snapshot();
        snapshot.history = vec![finished(120)];
        let end = NOW + SignedDuration::from_secs(180);
        assert!(matches!(cooldown(&snapshot, NOW), Verdict::Defer { until, .. } if until == end));
    }

    #[test]
    fn one_action_at_a_time_works_on_a_target() {
        let mut snapshot = snapshot();
        snapshot.history = vec![past("other", NOW - SignedDuration::from_hours(3))];
        assert!(matches!(
            cooldown(&snapshot, NOW),
            Verdict::Defer {
                reason: Reason::TargetBusy,
                ..
            }
        ));
    }

    #[test]
    fn a_sibling_does_not_rest_but_a_replacement_does() {
        let mut snapshot = snapshot();
        let mut earlier = finished(60);
        earlier.target_uid = Some("sibling".to_owned());
        let started = earlier.started_at.unwrap();
        snapshot.history = vec![earlier];
        let target = snapshot.target.as_mut().unwrap();
        target.created_at = Some(started - SignedDuration::from_secs(600));
        assert_eq!(cooldown(&snapshot, NOW), Verdict::Allow);
        let target = snapshot.target.as_mut().unwrap();
        target.created_at = Some(started + SignedDuration::from_secs(1));
        assert!(matches!(cooldown(&snapshot, NOW), Verdict::Defer { .. }));
    }

    #[test]
    fn each_failure_in_a_row_doubles_the_rest_up_to_a_day() {
        let mut snapshot = snapshot();
        snapshot.history = vec![ended(Phase::Failed, NOW); 2];
        let end = NOW + SignedDuration::from_mins(20);
        assert!(matches!(cooldown(&snapshot, NOW), Verdict::Defer { until, .. } if until == end));
        snapshot.history.extend(vec![ended(Phase::Failed, NOW); 30]);
        let end = NOW + LONGEST;
        assert!(matches!(cooldown(&snapshot, NOW), Verdict::Defer { until, .. } if until == end));
        snapshot
            .history
            .push(ended(Phase::Succeeded, NOW + SignedDuration::from_secs(1)));
        let end = NOW + SignedDuration::from_secs(301);
        assert!(matches!(cooldown(&snapshot, NOW), Verdict::Defer { until, .. } if until == end));
    }

    proptest! {
        #[test]
        fn more_failures_never_shorten_the_rest(seconds in 0i64..200_000, failures in 0u32..70) {
            let rest = SignedDuration::from_secs(seconds);
            prop_assert!(grown(rest, failures) >= rest);
            prop_assert!(grown(rest, failures + 1) >= grown(rest, failures));
            prop_assert!(grown(rest, failures) <= rest.max(LONGEST));
        }

        #[test]
        fn never_acts_inside_a_cooldown(ages in proptest::collection::vec(0i64..2000, 1..20)) {
            let mut snapshot = snapshot();
            snapshot.history = ages.iter().map(|age| finished(*age)).collect();
            let rested = ages.iter().all(|age| *age >= 300);
            prop_assert_eq!(cooldown(&snapshot, NOW) == Verdict::Allow, rested);
        }
    }
}
