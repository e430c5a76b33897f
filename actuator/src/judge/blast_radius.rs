//! How many replicas of one owner may be away at once.
//!
//! What counts is what is there: the owner's ready pods, less those that other
//! actions are about to take. The denominator is what the owner's spec wants.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemas::{
    policy::CordonOperation,
    step::{Step, Verb},
};

use super::Verdict;
use crate::{
    object::{Object, Workload, percent_of},
    plan::{Plan, operation, replicas},
    reason::Reason,
    snapshot::{Fleet, RECHECK, Snapshot},
};

/// Holds an action back while it would take more of the owner's replicas than
/// the policy allows to be away, or the last one that is ready of several; turns
/// it down when it would even with every replica ready. Replacing what is not
/// ready takes nothing away.
pub(super) fn blast_radius(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> Verdict {
    let (Some(plan), Some(owner)) = (plan, snapshot.top_owner()) else {
        return Verdict::Allow;
    };
    if owner.target.kind == "Node" {
        return nodes(snapshot, plan, now);
    }
    let Some(workload) = &owner.workload else {
        return Verdict::Allow;
    };
    let desired = workload.desired;
    let left: Vec<_> = plan
        .steps
        .iter()
        .filter(|s| s.called_at.is_none())
        .collect();
    let Some(next) = left.first() else {
        return Verdict::Allow;
    };
    if !is_given_back(plan)
        && let Some(counts) = left.iter().find_map(|step| replicas(step))
    {
        // Who scales down wants fewer: only the last replica is kept.
        return last_replica(owner, counts);
    }
    let ready = ready(snapshot, next);
    let waves = left.split_inclusive(|step| step.wait.is_some());
    let takes = waves
        .map(|wave| takes(snapshot, workload, wave))
        .max()
        .unwrap_or(0);
    if takes == 0 {
        return Verdict::Allow;
    }
    let least = least(snapshot, owner, (desired, !is_given_back(plan)));
    let title = owner.title();
    if desired.saturating_sub(takes) < least {
        let message = format!(
            "{takes} of {desired} replicas of {title} would be away, and {least} must stay"
        );
        return Verdict::deny(Reason::BlastRadius, message);
    }
    if ready.saturating_sub(takes) < least {
        let message = format!(
            "{ready} of {desired} replicas of {title} are ready, {takes} would be taken, and {least} must stay"
        );
        let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
        return Verdict::defer(Reason::BlastRadius, until, message);
    }
    Verdict::Allow
}

/// Holds a node back while too many are out of use: the limit is a share of them, and one always may be.
fn nodes(snapshot: &Snapshot, plan: &Plan, now: Timestamp) -> Verdict {
    let opens = operation(snapshot) == CordonOperation::Uncordon;
    if opens || snapshot.has_begun() || plan.steps.is_empty() {
        return Verdict::Allow;
    }
    let Fleet { nodes, away } = snapshot.fleet;
    let share = i64::from(snapshot.limits.node_percent);
    let most = percent_of(share, nodes, false).unwrap_or(0).max(1);
    if nodes > 1 && away < most {
        return Verdict::Allow;
    }
    let message =
        format!("{away} of {nodes} nodes are out of use besides this one, and {most} may be");
    let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
    Verdict::defer(Reason::NodesAway, until, message)
}

/// How many replicas calls take away that are made one right after the other.
fn takes(snapshot: &Snapshot, workload: &Workload, wave: &[&Step]) -> i32 {
    let serving = snapshot.pods.iter().filter(|pod| pod.ready).count();
    let serving = i32::try_from(serving).unwrap_or(i32::MAX);
    let of = |step: &&Step| match step.verb {
        Verb::Evict | Verb::Delete if step.object.kind == "Pod" => {
            let uid = &step.object.uid;
            let pod = snapshot.pods.iter().find(|pod| pod.target.uid == *uid);
            i32::from(pod.is_some_and(|pod| pod.ready))
        }
        // where nothing is ready, a rollout takes nothing away
        Verb::Change if rolls(step) => workload.rollout_takes.min(serving),
        Verb::Scale => replicas(step).map_or(0, |(from, to)| (from - to).max(0)),
        Verb::Evict
        | Verb::Delete
        | Verb::Release
        | Verb::Change
        | Verb::Create
        | Verb::Resize
        | Verb::Call => 0,
    };
    wave.iter().map(of).sum()
}

/// Whether a call changes the template of a workload, whose pods are replaced then.
fn rolls(step: &Step) -> bool {
    let mut paths = step.changes.iter().map(|change| change.path.as_str());
    paths.any(|path| path.starts_with("spec.template."))
}

/// Whether a later call gives back what this one takes.
fn is_given_back(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.completes)
}

/// The ready pods that no other action is about to take.
fn ready(snapshot: &Snapshot, step: &Step) -> i32 {
    let own = step.object.uid.as_str();
    let is_taken = |pod: &Object| {
        let uid = pod.target.uid.as_str();
        let mut others = snapshot.history.iter();
        uid != own && others.any(|p| p.is_under_way() && p.target_uid.as_deref() == Some(uid))
    };
    let pods = snapshot.pods.iter();
    let ready = pods.filter(|pod| pod.ready && !pod.terminating && !is_taken(pod));
    i32::try_from(ready.count()).unwrap_or(i32::MAX)
}

/// How many replicas must stay. A percentage is rounded up, as a disruption
/// budget rounds it, so that a small owner can be healed at all; and of a
/// Deployment with several replicas one stays whatever the policy says, unless
/// all are asked to go and come back.
fn least(snapshot: &Snapshot, owner: &Object, (desired, keeps_last): (i32, bool)) -> i32 {
    let rules = snapshot
        .policy
        .as_ref()
        .map(|policy| &policy.spec.safety_rules);
    let limit = rules.and_then(|rules| rules.max_unavailable.as_ref());
    let by_policy = limit.map_or(0, |limit| {
        desired.saturating_sub(count(limit, desired)).max(0)
    });
    let last = i32::from(keeps_last && owner.target.kind == "Deployment" && desired > 1);
    by_policy.max(last)
}

/// How many may be away. What is not understood allows none.
fn count(limit: &IntOrString, desired: i32) -> i32 {
    match limit {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|text| text.parse().ok());
            let count = percent.and_then(|percent| percent_of(percent, desired, true));
            count.unwrap_or(0)
        }
    }
}

fn last_replica(owner: &Object, (from, to): (i32, i32)) -> Verdict {
    if owner.target.kind == "Deployment" && from > 1 && to < 1 {
        let message = format!("{} would have no replica left", owner.title());
        return Verdict::deny(Reason::BlastRadius, message);
    }
    Verdict::Allow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, past, pod, snapshot},
    };
    use proptest::prelude::*;

    fn ask(snapshot: &Snapshot) -> Verdict {
        blast_radius(snapshot, plan(snapshot).ok().as_ref(), NOW)
    }

    /// The target and its siblings: `ready` of `desired` pods are.
    fn replicas(desired: i32, ready: i32, limit: Option<IntOrString>) -> Snapshot {
        let mut snapshot = snapshot();
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.max_unavailable = limit;
        snapshot.owners[1].workload.as_mut().unwrap().desired = desired;
        snapshot.pods = (1..=desired)
            .map(|number| {
                let mut pod = pod(&format!("web-{number}"), &format!("uid-{number}"));
                pod.ready = number <= ready;
                pod
            })
            .collect();
        snapshot
    }

    #[test]
    fn all_may_go_where_they_come_back_unless_the_policy_keeps_some() {
        let mut snapshot = replicas(3, 3, None);
        let web = crate::testing::workload("Deployment", "web", "web-uid");
        let mut action = crate::testing::named_action("x", schemas::policy::Remedy::Restart);
        action.restart_action = Some(schemas::policy::RestartAction {
            strategy: schemas::policy::RestartStrategy::Recreate,
            ..Default::default()
        });
        let anew = crate::testing::acting(action, web);
        (snapshot.action, snapshot.target) = (anew.action, anew.target);
        snapshot.owners.clear();
        assert_eq!(ask(&snapshot), Verdict::Allow);
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.max_unavailable = Some(percent(50));
        assert!(matches!(ask(&snapshot), Verdict::Deny { .. }));
    }

    fn percent(percent: u8) -> IntOrString {
        IntOrString::String(format!("{percent}%"))
    }

    #[test]
    fn what_is_away_already_counts() {
        let limit = Some(IntOrString::Int(1));
        assert_eq!(ask(&replicas(4, 4, limit.clone())), Verdict::Allow);
        assert!(matches!(ask(&replicas(4, 3, limit)), Verdict::Defer { .. }));
    }

    #[test]
    fn a_share_is_of_what_the_spec_wants_and_rounds_up() {
        assert_eq!(ask(&replicas(8, 7, Some(percent(25)))), Verdict::Allow);
        assert!(matches!(
            ask(&replicas(8, 6, Some(percent(25)))),
            Verdict::Defer { .. }
        ));
        assert_eq!(ask(&replicas(3, 3, Some(percent(25)))), Verdict::Allow);
        assert!(matches!(
            ask(&replicas(3, 3, Some(percent(0)))),
            Verdict::Deny { .. }
        ));
    }

    #[test]
    fn the_last_ready_replica_of_several_stays_and_an_only_one_does_not() {
        assert!(matches!(ask(&replicas(3, 1, None)), Verdict::Defer { .. }));
        assert_eq!(ask(&replicas(1, 1, None)), Verdict::Allow);
    }

    #[test]
    fn replacing_what_is_not_ready_takes_nothing_away() {
        assert_eq!(ask(&replicas(3, 0, Some(percent(0)))), Verdict::Allow);
    }

    #[test]
    fn a_rollout_takes_no_more_than_what_is_ready() {
        let step = serde_json::json!({
            "call": "roll back", "verb": "Change",
            "object": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web-uid"},
            "changes": [{"path": "spec.template.spec.replicas", "to": "1"}],
        });
        let step: Step = serde_json::from_value(step).unwrap();
        for (ready, taken) in [(0, 0), (1, 1), (3, 2)] {
            let mut snapshot = replicas(3, ready, None);
            let workload = snapshot.owners[1].workload.as_mut().unwrap();
            workload.rollout_takes = 2;
            let workload = workload.clone();
            assert_eq!(
                takes(&snapshot, &workload, &[&step]),
                taken,
                "{ready} ready"
            );
        }
    }

    #[test]
    fn what_another_action_is_about_to_take_is_away() {
        let mut snapshot = replicas(2, 2, Some(IntOrString::Int(1)));
        let mut other = past("other", NOW);
        other.target_uid = Some("uid-2".to_owned());
        snapshot.history = vec![other];
        assert!(matches!(ask(&snapshot), Verdict::Defer { .. }));
    }

    proptest! {
        /// Evicts the target, over and over, as long as the guard allows it.
        #[test]
        fn availability_never_falls_below_the_bound(desired in 1i32..12, ready in 0i32..12, limit in 0i32..12) {
            let ready = ready.min(desired);
            let mut snapshot = replicas(desired, ready, Some(IntOrString::Int(limit)));
            let bound = (desired - limit).max(i32::from(desired > 1)).min(ready);
            for number in 0..desired.unsigned_abs() as usize {
                let target = snapshot.pods[number].clone();
                snapshot.action.spec.target_resource.uid = Some(target.target.uid.clone());
                snapshot.target = Some(target);
                if ask(&snapshot) == Verdict::Allow {
                    snapshot.pods[number].ready = false;
                }
                let left = snapshot.pods.iter().filter(|pod| pod.ready).count();
                prop_assert!(left >= bound.unsigned_abs() as usize);
            }
        }
    }
}
