//! Deleting a pod outright, past its disruption budgets.
//!
//! Pure: no IO, no clock.

use schemas::policy::Action;

use super::{Operation, Refusal};
use crate::{object::Object, reason::Reason};

/// Deletes a pod that its controller replaces. It cannot be undone, which is why
/// a person is asked unless the policy's action says otherwise; with `force` always.
pub(super) fn delete(action: &Action, target: &Object) -> Result<Operation, Refusal> {
    let settings = action.delete_action.clone().unwrap_or_default();
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
    Ok(Operation::Delete {
        pod: target.target.clone(),
        grace_period_seconds: if settings.force {
            Some(0)
        } else {
            settings.grace_period_seconds
        },
        propagation: settings.propagation_policy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named_action, pod, workload};
    use schemas::policy::{DeleteAction, Remedy};

    fn action(settings: DeleteAction) -> Action {
        Action {
            delete_action: Some(settings),
            ..named_action("x", Remedy::Delete)
        }
    }

    #[test]
    fn force_leaves_no_grace_and_the_digest_tells() {
        let forced = DeleteAction {
            force: true,
            grace_period_seconds: Some(30),
            ..DeleteAction::default()
        };
        let forced = delete(&action(forced), &pod("web-1", "u")).unwrap();
        assert_eq!(
            forced.to_string(),
            "delete Pod shop/web-1 (Background) with 0 s of grace"
        );
    }

    #[test]
    fn only_pods_that_are_replaced_and_never_finalizers() {
        let refused = |settings, object: &Object| delete(&action(settings), object).unwrap_err();
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
