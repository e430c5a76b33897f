//! Deleting an object: a pod past its disruption budgets, or what holds pods.
//!
//! Pure: no IO, no clock.

use schemas::step::{Step, Verb};

use super::{Refusal, step};
use crate::{object::Object, reason::Reason, snapshot::Snapshot};

/// Kinds that may be deleted.
const KINDS: [&str; 6] = [
    "Pod",
    "ReplicaSet",
    "Job",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
];

/// Deletes a pod that its controller replaces, or an object that owns pods. It
/// cannot be undone, which is why a person is asked unless the policy's action
/// says otherwise; with `force` always.
pub(super) fn delete(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.delete_action.clone();
    let settings = settings.unwrap_or_default();
    let kind = target.target.kind.as_str();
    if !KINDS.contains(&kind) {
        let message = format!("a {kind} is not deleted; one of {} is", KINDS.join(", "));
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    if settings.strip_finalizers {
        let message = "this version of the actuator never removes finalizers";
        return Err(Refusal::new(Reason::NotImplementedYet, message));
    }
    if kind == "Pod" && target.controller.is_none() {
        let name = &target.target.name;
        let message = format!("nothing would replace the pod {name}: it has no controller");
        return Err(Refusal::new(Reason::BarePod, message));
    }
    let grace = if settings.force {
        Some(0)
    } else {
        settings.grace_period_seconds
    };
    let propagation = settings.propagation_policy;
    let with_grace =
        grace.map_or_else(String::new, |seconds| format!(" with {seconds} s of grace"));
    let call = format!("delete {} ({propagation:?}){with_grace}", target.target);
    Ok(vec![Step {
        grace_period_seconds: grace,
        propagation: Some(propagation),
        ..step(Verb::Delete, &target.target, call)
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acting, named_action, pod, workload};
    use schemas::policy::{Action, DeleteAction, Remedy};

    fn plan(settings: DeleteAction, object: &Object) -> Result<Vec<Step>, Refusal> {
        let action = Action {
            delete_action: Some(settings),
            ..named_action("x", Remedy::Delete)
        };
        delete(&acting(action, object.clone()), object)
    }

    #[test]
    fn force_leaves_no_grace_and_the_digest_tells() {
        let forced = DeleteAction {
            force: true,
            grace_period_seconds: Some(30),
            ..DeleteAction::default()
        };
        let forced = plan(forced, &pod("web-1", "u")).unwrap();
        assert_eq!(
            forced[0].call,
            "delete Pod shop/web-1 (Background) with 0 s of grace"
        );
    }

    #[test]
    fn no_node_no_pod_that_nothing_replaces_and_never_finalizers() {
        let refused = |settings, object: &Object| plan(settings, object).unwrap_err();
        let plain = DeleteAction::default();
        let web = workload("Deployment", "web", "d");
        let steps = plan(plain.clone(), &web).unwrap();
        assert_eq!(steps[0].call, "delete Deployment shop/web (Background)");
        let refusal = refused(plain.clone(), &workload("Node", "n1", "n"));
        assert_eq!(refusal.reason, Reason::UnsupportedTarget);
        let mut bare = pod("web-1", "u");
        bare.controller = None;
        assert_eq!(refused(plain.clone(), &bare).reason, Reason::BarePod);
        let strip = DeleteAction {
            strip_finalizers: true,
            ..plain
        };
        let refusal = refused(strip, &pod("web-1", "u"));
        assert_eq!(refusal.reason, Reason::NotImplementedYet);
    }
}
