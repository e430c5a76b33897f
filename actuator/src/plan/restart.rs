//! Replacing a pod, or all pods of a workload.
//!
//! Pure: no IO, no clock.

use schemas::policy::{Action, RestartStrategy};

use super::{Operation, Refusal};
use crate::{object::Object, reason::Reason};

/// A pod is evicted, so that its controller replaces it and disruption budgets
/// are honoured; a workload's rollout is restarted. A pod without a controller
/// would simply be gone, so it is refused.
pub(super) fn restart(action: &Action, target: &Object) -> Result<Operation, Refusal> {
    let settings = action.restart_action.clone().unwrap_or_default();
    match target.target.kind.as_str() {
        "Pod" if target.controller.is_none() => Err(refuse_bare(target, settings.strategy)),
        "Pod" => Ok(Operation::Evict {
            pod: target.target.clone(),
            grace_period_seconds: settings.grace_period_seconds,
        }),
        "Deployment" | "StatefulSet" | "DaemonSet" => Ok(Operation::RestartRollout {
            workload: target.target.clone(),
        }),
        kind => Err(Refusal::new(
            Reason::UnsupportedTarget,
            format!(
                "a {kind} cannot be restarted; a Pod, Deployment, StatefulSet or DaemonSet can"
            ),
        )),
    }
}

fn refuse_bare(pod: &Object, strategy: RestartStrategy) -> Refusal {
    let name = &pod.target.name;
    match strategy {
        RestartStrategy::Rolling | RestartStrategy::Graceful => Refusal::new(
            Reason::BarePod,
            format!("nothing would replace the pod {name}: it has no controller"),
        ),
        RestartStrategy::Recreate => Refusal::new(
            Reason::NotImplementedYet,
            format!(
                "this version of the actuator cannot recreate the pod {name}, which has no controller"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named_action, pod, workload};
    use schemas::policy::{Remedy, RestartAction};

    #[test]
    fn a_bare_pod_is_refused() {
        let mut bare = pod("web-1", "u");
        bare.controller = None;
        let action = named_action("x", Remedy::Restart);
        assert_eq!(restart(&action, &bare).unwrap_err().reason, Reason::BarePod);
    }

    #[test]
    fn the_grace_period_is_passed_on() {
        let mut action = named_action("x", Remedy::Restart);
        action.restart_action = Some(RestartAction {
            grace_period_seconds: Some(5),
            ..RestartAction::default()
        });
        let evict = restart(&action, &pod("web-1", "u")).unwrap();
        assert_eq!(evict.to_string(), "evict Pod shop/web-1 with 5 s of grace");
    }

    #[test]
    fn a_workload_is_rolled_and_a_replica_set_is_not() {
        let action = named_action("x", Remedy::Restart);
        assert!(restart(&action, &workload("Deployment", "web", "d")).is_ok());
        let refused = restart(&action, &workload("ReplicaSet", "web-1", "r"));
        assert_eq!(refused.unwrap_err().reason, Reason::UnsupportedTarget);
    }
}
