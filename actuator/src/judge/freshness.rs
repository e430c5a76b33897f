//! Whether the evidence is still true, and about the same object.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::observation::{Observation, Reading};

use super::Verdict;
use crate::{
    object::Object,
    reason::Reason,
    snapshot::{RECHECK, Snapshot},
};

/// How old the analyzer's report may be: eight evaluations at the usual 15 s,
/// so one that was restarted is waited for, and one that is gone stops healing.
const OLDEST: SignedDuration = SignedDuration::from_mins(2);

/// Turns down a target that is gone or was replaced, and a trigger that does
/// not hold any more; waits for a report that is missing or old. An action that
/// a person created has no trigger, so only its target is looked at.
pub(super) fn freshness(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let wanted = &snapshot.action.spec.target_resource;
    let lets_go = lets_go(snapshot);
    let Some(target) = snapshot
        .target
        .as_ref()
        .filter(|target| !target.terminating || lets_go)
    else {
        let message = format!("{}/{} is gone, or going", wanted.kind, wanted.name);
        return Verdict::deny(Reason::TargetGone, message);
    };
    let pinned = snapshot.pinned_uid();
    if pinned.is_some_and(|uid| uid != target.target.uid) {
        let message = format!("another object is called {} now", target.title());
        return Verdict::deny(Reason::TargetReplaced, message);
    }
    if lets_go && let Some(verdict) = hangs(snapshot, target, now) {
        return verdict;
    }
    // Once a call was made, the reading that called for it is no longer what is asked.
    if snapshot.action.spec.trigger.is_none() || snapshot.has_begun() {
        return Verdict::Allow;
    }
    let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
    let Some(observation) = matching(snapshot) else {
        let message = "the analyzer has not reported on the target yet";
        return Verdict::defer(Reason::ObservationMissing, until, message);
    };
    if now.duration_since(observation.evaluated_at) > OLDEST {
        let message = format!(
            "the analyzer's last report is of {}",
            observation.evaluated_at
        );
        return Verdict::defer(Reason::ObservationStale, until, message);
    }
    match reading(snapshot, observation) {
        Some(reading) if reading.breaching => Verdict::Allow,
        Some(Reading {
            value: Some(value), ..
        }) => {
            let (operator, threshold) = (observation.operator, observation.threshold);
            let message = format!("the trigger resolved: {value} is not {operator} {threshold}");
            Verdict::deny(Reason::NotNeededAnyMore, message)
        }
        Some(_) | None => {
            let message = "the analyzer has no data about the target";
            Verdict::defer(Reason::ObservationMissing, until, message)
        }
    }
}

/// Whether the action removes finalizers, for which its target has to be going.
fn lets_go(snapshot: &Snapshot) -> bool {
    let delete = snapshot.action.spec.action.delete_action.as_ref();
    delete.is_some_and(|delete| delete.strip_finalizers)
}

/// Waits until the deletion of `target` has hung for long enough.
fn hangs(snapshot: &Snapshot, target: &Object, now: Timestamp) -> Option<Verdict> {
    let title = target.title();
    let Some(due) = target.due_at else {
        let message = format!("{title} is not being deleted");
        return Some(Verdict::deny(Reason::NotHanging, message));
    };
    let until = due
        .saturating_add(snapshot.limits.hanging)
        .unwrap_or(Timestamp::MAX);
    let message = format!("the deletion of {title} was due at {due}, and gets until {until}");
    (now < until).then(|| Verdict::defer(Reason::NotHanging, until, message))
}

/// The report, when it is about this action's policy and trigger.
pub(crate) fn matching(snapshot: &Snapshot) -> Option<&Observation> {
    let trigger = &snapshot.action.spec.trigger.as_ref()?.name;
    let policy = &snapshot.policy.as_ref()?.uid;
    let observation = snapshot.observation.as_ref()?;
    (observation.trigger == *trigger && observation.policy_uid == *policy).then_some(observation)
}

fn reading<'a>(snapshot: &Snapshot, observation: &'a Observation) -> Option<&'a Reading> {
    let uid = snapshot.offender_uid()?;
    let mut readings = observation.readings.iter();
    readings.find(|reading| reading.target.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};
    use proptest::prelude::*;
    use schemas::policy::DeleteAction;

    fn reason(snapshot: &Snapshot) -> Option<Reason> {
        match freshness(snapshot, NOW) {
            Verdict::Deny { reason, .. } | Verdict::Defer { reason, .. } => Some(reason),
            Verdict::Allow | Verdict::Await { .. } => None,
        }
    }

    #[test]
    fn a_trigger_that_still_holds_on_the_same_object_passes() {
        assert_eq!(reason(&snapshot()), None);
    }

    #[test]
    fn a_replacement_of_the_same_name_is_not_touched() {
        let mut snapshot = snapshot();
        snapshot.target.as_mut().unwrap().target.uid = "another".to_owned();
        assert_eq!(reason(&snapshot), Some(Reason::TargetReplaced));
        snapshot.target = None;
        assert_eq!(reason(&snapshot), Some(Reason::TargetGone));
    }

    #[test]
    fn a_resolved_trigger_is_not_needed_any_more() {
        let mut snapshot = snapshot();
        let reading = &mut snapshot.observation.as_mut().unwrap().readings[0];
        (reading.breaching, reading.value) = (false, Some(20.0));
        assert_eq!(reason(&snapshot), Some(Reason::NotNeededAnyMore));
        let reading = &mut snapshot.observation.as_mut().unwrap().readings[0];
        reading.value = None;
        assert_eq!(reason(&snapshot), Some(Reason::ObservationMissing));
    }

    #[test]
    fn a_report_about_another_policy_counts_for_nothing() {
        let mut snapshot = snapshot();
        snapshot.observation.as_mut().unwrap().policy_uid = "other".to_owned();
        assert_eq!(reason(&snapshot), Some(Reason::ObservationMissing));
    }

    #[test]
    fn an_action_by_hand_needs_no_report() {
        let mut snapshot = snapshot();
        snapshot.action.spec.trigger = None;
        snapshot.observation = None;
        assert_eq!(reason(&snapshot), None);
    }

    #[test]
    fn finalizers_are_removed_only_where_a_deletion_has_hung_for_long() {
        let mut snapshot = snapshot();
        snapshot.action.spec.action.delete_action = Some(DeleteAction {
            strip_finalizers: true,
            ..DeleteAction::default()
        });
        assert_eq!(reason(&snapshot), Some(Reason::NotHanging));
        let target = snapshot.target.as_mut().unwrap();
        (target.terminating, target.due_at) = (true, Some(NOW - SignedDuration::from_secs(299)));
        assert_eq!(reason(&snapshot), Some(Reason::NotHanging));
        let target = snapshot.target.as_mut().unwrap();
        target.due_at = Some(NOW - SignedDuration::from_secs(300));
        assert_eq!(reason(&snapshot), None);
        snapshot.action.spec.action.delete_action = None;
        assert_eq!(reason(&snapshot), Some(Reason::TargetGone));
    }

    proptest! {
        #[test]
        fn nothing_is_allowed_on_old_evidence(age in 0i64..100_000) {
            let mut snapshot = snapshot();
            let at = NOW - SignedDuration::from_secs(age);
            snapshot.observation.as_mut().unwrap().evaluated_at = at;
            prop_assert_eq!(freshness(&snapshot, NOW) == Verdict::Allow, age <= 120);
        }
    }
}
