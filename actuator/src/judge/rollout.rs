//! No change on top of another one.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::policy::Remedy;

use super::Verdict;
use crate::{
    reason::Reason,
    snapshot::{RECHECK, Snapshot},
};

/// Holds an action back while the target's owner rolls out another revision:
/// the pod that is sick may be on its way out, and a restart on top of a
/// rollout takes away more pods than either would.
///
/// Going back is how a rollout that does not work ends, and it would never be complete by itself: its
/// plan turns down every revision but the one that the trouble began with.
pub(super) fn rollout(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let is_way_back = snapshot.action.spec.action.kind == Remedy::Rollback;
    if snapshot.is_reserved() || is_way_back {
        return Verdict::Allow;
    }
    let objects = snapshot.owners.iter().chain(&snapshot.target);
    let moving = objects
        .into_iter()
        .find(|object| object.workload.as_ref().is_some_and(|w| !w.settled));
    match moving {
        None => Verdict::Allow,
        Some(object) => Verdict::defer(
            Reason::RolloutInProgress,
            now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX),
            format!("the rollout of {} is not complete", object.title()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, snapshot};

    #[test]
    fn a_rollout_of_the_owner_is_waited_for() {
        let mut snapshot = snapshot();
        assert_eq!(rollout(&snapshot, NOW), Verdict::Allow);
        let owner = snapshot.owners.last_mut().unwrap();
        owner.workload.as_mut().unwrap().settled = false;
        assert!(matches!(rollout(&snapshot, NOW), Verdict::Defer { .. }));
    }

    #[test]
    fn the_way_back_from_a_rollout_is_not_waited_for() {
        let mut snapshot = snapshot();
        let owner = snapshot.owners.last_mut().unwrap();
        owner.workload.as_mut().unwrap().settled = false;
        snapshot.action.spec.action.kind = Remedy::Rollback;
        assert_eq!(rollout(&snapshot, NOW), Verdict::Allow);
    }
}
