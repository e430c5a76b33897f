//! Three failures on one owner, and it is a matter for people.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::{Verdict, approval, streak::streak};
use crate::{
    plan::Plan,
    reason::Reason,
    snapshot::{Past, Snapshot},
};

/// Failures in a row after which nothing more is tried without a person.
pub(crate) const STRIKES: u32 = 3;

/// How long the failures are remembered: as long as the longest cooldown.
pub(crate) const MEMORY: SignedDuration = SignedDuration::from_hours(24);

/// Turns down a further action on an owner on which the last three failed, by
/// whatever policy. Where a person decides anyway, that person may try: an action that
/// must be approved is not turned down. Otherwise it takes a day, or the failed
/// HealingActions deleted by somebody who looked at them.
pub(super) fn strikes(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> Verdict {
    if snapshot.is_reserved() || snapshot.is_dry_run() || approval::is_required(snapshot, plan) {
        return Verdict::Allow;
    }
    let Some(owner) = snapshot.top_owner() else {
        return Verdict::Allow;
    };
    let is_recent = |past: &&Past| {
        let ended = past.finished_at;
        ended.is_some_and(|ended| now.duration_since(ended) < MEMORY)
    };
    let row = streak(snapshot.past_on(&owner.target.uid).filter(is_recent));
    if row.failures < STRIKES {
        return Verdict::Allow;
    }
    let (title, failures) = (owner.title(), row.failures);
    let message =
        format!("the last {failures} actions on {title} did not help: a person should look at it");
    Verdict::deny(Reason::NeedsHuman, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, ended, snapshot},
    };
    use proptest::prelude::*;
    use schemas::{action::Phase, policy::Mode};

    fn ask(snapshot: &Snapshot, now: Timestamp) -> Verdict {
        strikes(snapshot, plan(snapshot).ok().as_ref(), now)
    }

    fn failing(times: usize) -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.history = vec![ended(Phase::Failed, NOW); times];
        snapshot
    }

    #[test]
    fn the_third_failure_calls_for_a_person_for_a_day() {
        assert_eq!(ask(&failing(2), NOW), Verdict::Allow);
        let denied = ask(&failing(3), NOW);
        assert!(matches!(
            denied,
            Verdict::Deny {
                reason: Reason::NeedsHuman,
                ..
            }
        ));
        assert_eq!(ask(&failing(3), NOW + MEMORY), Verdict::Allow);
    }

    #[test]
    fn where_a_person_decides_anyway_that_person_may_try() {
        let mut snapshot = failing(3);
        snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
        assert_eq!(ask(&snapshot, NOW), Verdict::Allow);
    }

    proptest! {
        #[test]
        fn failures_elsewhere_are_no_strikes(owners in proptest::collection::vec("[a-z]{1,4}", 0..20)) {
            let mut snapshot = failing(owners.len());
            for (past, owner) in snapshot.history.iter_mut().zip(owners) {
                past.owner_uid = Some(owner);
            }
            prop_assert_eq!(ask(&snapshot, NOW), Verdict::Allow);
        }
    }
}
