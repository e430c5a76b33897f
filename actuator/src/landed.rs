//! Reads back whether a change was made.
//!
//! A process may die, or an answer may be lost, between a write and the record
//! of it. Before anything is written again, the object itself is asked: the
//! stamp of the action, or the absence of what was to be removed, tells.
//!
//! Pure: no IO, no clock.

use schemas::{ACTED_BY, policy::Remedy};

use crate::snapshot::Snapshot;

/// What the object says about an action whose intent was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// The change is there.
    Yes,
    /// It is not, and nothing stands against making it.
    No,
    /// The object is not as it was judged: somebody else changed it.
    Overtaken,
}

/// Whether the change of the action in `snapshot` is found on its target.
pub fn landed(snapshot: &Snapshot) -> Landed {
    let pinned = snapshot.pinned_uid();
    let target = snapshot
        .target
        .as_ref()
        .filter(|target| pinned.is_none_or(|uid| uid == target.target.uid));
    let is_pod = snapshot.action.spec.target_resource.kind == "Pod";
    let Some(target) = target else {
        // A pod that is gone was evicted, by this action or otherwise; a workload that is gone was not restarted.
        return if is_pod {
            Landed::Yes
        } else {
            Landed::Overtaken
        };
    };
    if is_pod {
        return if target.terminating {
            Landed::Yes
        } else {
            Landed::No
        };
    }
    let stamped = target
        .annotations
        .get(ACTED_BY)
        .is_some_and(|uid| *uid == snapshot.action.uid);
    if snapshot.action.spec.action.kind != Remedy::Scale {
        return if stamped { Landed::Yes } else { Landed::No };
    }
    let desired = target.workload.as_ref().map(|workload| workload.desired);
    match (stamped, scaled_to(snapshot) == desired && desired.is_some()) {
        (true, true) => Landed::Yes,
        // Stamped by the first of two calls, the second of which is missing, or was undone.
        (true, false) if scaled_from(snapshot) == desired => Landed::No,
        (true, false) | (false, true) => Landed::Overtaken,
        (false, false) => Landed::No,
    }
}

/// The replicas that the recorded plan scales to.
pub fn scaled_to(snapshot: &Snapshot) -> Option<i32> {
    recorded(snapshot)?.last()?.parse().ok()
}

fn scaled_from(snapshot: &Snapshot) -> Option<i32> {
    let words = recorded(snapshot)?;
    words.get(words.len().checked_sub(3)?)?.parse().ok()
}

/// The words of the recorded plan: `scale <object> from <n> to <m>`.
fn recorded(snapshot: &Snapshot) -> Option<Vec<&str>> {
    let line = snapshot.action.status.plan.first()?;
    Some(line.split(' ').collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named_action, snapshot, workload};

    fn scaling(desired: i32, stamp: Option<&str>) -> Snapshot {
        let mut snapshot = snapshot();
        let mut web = workload("Deployment", "web", "uid-1");
        web.workload.as_mut().unwrap().desired = desired;
        if let Some(stamp) = stamp {
            web.annotations
                .insert(ACTED_BY.to_owned(), stamp.to_owned());
        }
        snapshot.target = Some(web);
        snapshot.action.spec.target_resource.kind = "Deployment".to_owned();
        snapshot.action.spec.action = named_action("x", Remedy::Scale);
        snapshot.action.status.plan = vec!["scale Deployment shop/web from 2 to 4".to_owned()];
        snapshot
    }

    #[test]
    fn an_evicted_pod_is_gone_going_or_replaced() {
        let mut snapshot = snapshot();
        assert_eq!(landed(&snapshot), Landed::No);
        snapshot.target.as_mut().unwrap().terminating = true;
        assert_eq!(landed(&snapshot), Landed::Yes);
        let target = snapshot.target.as_mut().unwrap();
        (target.terminating, target.target.uid) = (false, "another".to_owned());
        assert_eq!(landed(&snapshot), Landed::Yes);
        snapshot.target = None;
        assert_eq!(landed(&snapshot), Landed::Yes);
    }

    #[test]
    fn a_rollout_is_known_by_the_stamp_of_this_very_action() {
        let mut snapshot = scaling(2, Some("another action"));
        snapshot.action.spec.action = named_action("x", Remedy::Restart);
        assert_eq!(landed(&snapshot), Landed::No);
        let target = snapshot.target.as_mut().unwrap();
        let stamp = snapshot.action.uid.clone();
        target.annotations.insert(ACTED_BY.to_owned(), stamp);
        assert_eq!(landed(&snapshot), Landed::Yes);
    }

    #[test]
    fn a_scaling_needs_stamp_and_count() {
        assert_eq!(landed(&scaling(2, None)), Landed::No);
        assert_eq!(landed(&scaling(2, Some("action-uid"))), Landed::No);
        assert_eq!(landed(&scaling(4, Some("action-uid"))), Landed::Yes);
        assert_eq!(landed(&scaling(7, Some("action-uid"))), Landed::Overtaken);
        assert_eq!(landed(&scaling(4, None)), Landed::Overtaken);
    }
}
