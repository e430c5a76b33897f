//! Deleting a pod outright, past its disruption budgets.
//!
//! Pure: no IO, no clock.

use schemas::step::{Step, Verb};

use super::{Refusal, step};
use crate::{object::Object, reason::Reason, snapshot::Snapshot};

/// Deletes a pod that its controller replaces. It cannot be undone, which is why
/// a person is asked unless the policy's action says otherwise; with `force` always.
pub(super) fn delete(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.delete_action.clone();
    let settings = settings.unwrap_or_default();
    let kind = target.target.kind.as_str();
    if kind != "Pod" {
        let message = format!("this version of the actuator deletes pods only, not a {kind}");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    if settings.strip_finalizers {
        let message = "this version of the actuator never removes finalizers";
        return Err(Refusal::new(Reason::NotImplementedYet, message));
    }
    if target.controller.is_none() {
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
    fn only_pods_that_are_replaced_and_never_finalizers() {
        let refused = |settings, object: &Object| plan(settings, object).unwrap_err();
        let web = workload("Deployment", "web", "d");
        let plain = DeleteAction::default();
        let refusal = refused(plain.clone(), &web);
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
