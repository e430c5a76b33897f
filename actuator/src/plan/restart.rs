//! Replacing a pod, or all pods of a workload.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY,
    policy::RestartStrategy,
    step::{Step, Verb},
};
use serde_json::Value;

use super::{Refusal, changing, setting, step};
use crate::{
    change::Path, execute::RESTARTED_AT, object::Object, reason::Reason, snapshot::Snapshot,
};

/// A pod is evicted, so that its controller replaces it and disruption budgets
/// are honoured; a workload's rollout is restarted. A pod without a controller
/// would simply be gone, so it is refused.
pub(super) fn restart(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.restart_action.clone();
    let settings = settings.unwrap_or_default();
    match target.target.kind.as_str() {
        "Pod" if target.controller.is_none() => Err(refuse_bare(target, settings.strategy)),
        "Pod" => Ok(vec![evict(target, settings.grace_period_seconds)]),
        "Deployment" | "StatefulSet" | "DaemonSet" => Ok(vec![roll(snapshot, target)]),
        kind => Err(Refusal::new(
            Reason::UnsupportedTarget,
            format!(
                "a {kind} cannot be restarted; a Pod, Deployment, StatefulSet or DaemonSet can"
            ),
        )),
    }
}

/// Asks for a pod to be evicted.
pub(super) fn evict(pod: &Object, grace: Option<u32>) -> Step {
    let with_grace =
        grace.map_or_else(String::new, |seconds| format!(" with {seconds} s of grace"));
    Step {
        grace_period_seconds: grace,
        ..step(
            Verb::Evict,
            &pod.target,
            format!("evict {}{with_grace}", pod.target),
        )
    }
}

/// Stamps a workload's template, so that its controller replaces its pods, as
/// `kubectl rollout restart` does. The instant is that at which the action was
/// created: a plan has no clock, and what is approved is what is written.
fn roll(snapshot: &Snapshot, workload: &Object) -> Step {
    let marks = ["spec", "template", "metadata", "annotations"];
    let marks = marks
        .iter()
        .fold(Path::default(), |path, name| path.field(name));
    let at = snapshot.action.created_at.unwrap_or_default().to_string();
    let uid = snapshot.action.uid.clone();
    let changes = vec![
        setting(workload, &marks.field(RESTARTED_AT), &Value::String(at)),
        setting(workload, &marks.field(ACTED_BY), &Value::String(uid)),
    ];
    let call = format!("restart the rollout of {}", workload.target);
    changing(snapshot, workload, call, changes)
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
    use crate::testing::{acting, named_action, pod, workload};
    use schemas::policy::{Remedy, RestartAction};

    fn plan(settings: RestartAction, object: &Object) -> Result<Vec<Step>, Refusal> {
        let mut action = named_action("x", Remedy::Restart);
        action.restart_action = Some(settings);
        restart(&acting(action, object.clone()), object)
    }

    #[test]
    fn a_bare_pod_is_refused() {
        let mut bare = pod("web-1", "u");
        bare.controller = None;
        let refusal = plan(RestartAction::default(), &bare).unwrap_err();
        assert_eq!(refusal.reason, Reason::BarePod);
    }

    #[test]
    fn the_grace_period_is_passed_on() {
        let settings = RestartAction {
            grace_period_seconds: Some(5),
            ..RestartAction::default()
        };
        let evict = plan(settings, &pod("web-1", "u")).unwrap();
        assert_eq!(evict[0].call, "evict Pod shop/web-1 with 5 s of grace");
    }

    #[test]
    fn a_workload_is_rolled_and_a_replica_set_is_not() {
        let settings = RestartAction::default;
        let rolled = plan(settings(), &workload("Deployment", "web", "d")).unwrap();
        assert_eq!(rolled[0].changes.len(), 3);
        let refused = plan(settings(), &workload("ReplicaSet", "web-1", "r"));
        assert_eq!(refused.unwrap_err().reason, Reason::UnsupportedTarget);
    }
}
