//! Replacing a pod, or all pods of a workload.
//!
//! A pod is evicted, so that its controller replaces it and disruption budgets
//! are honoured. A workload's rollout is restarted, or, where the action says
//! how many pods may be replaced at a time or pods are only replaced when they
//! are deleted, its pods are evicted in waves. `recreate` takes all pods away
//! first, and is the only way to restart a pod that nothing would replace.
//! No API restarts a container in place from outside.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY,
    policy::{RestartAction, RestartStrategy},
    step::{Step, Verb, Wait},
};
use serde_json::Value;

use super::{Refusal, changing, scale, setting, step};
use crate::{
    change::Path, execute::RESTARTED_AT, object::Object, reason::Reason, snapshot::Snapshot,
};

mod bare;
mod waves;

/// Plans the restart of `target`.
pub(super) fn restart(snapshot: &Snapshot, target: &Object) -> Result<Vec<Step>, Refusal> {
    let settings = snapshot.action.spec.action.restart_action.clone();
    let settings = settings.unwrap_or_default();
    match target.target.kind.as_str() {
        "Pod" => restart_pod(snapshot, target, &settings),
        "Deployment" | "StatefulSet" | "DaemonSet" => restart_workload(snapshot, target, &settings),
        kind => Err(Refusal::new(
            Reason::UnsupportedTarget,
            format!(
                "a {kind} cannot be restarted; a Pod, Deployment, StatefulSet or DaemonSet can"
            ),
        )),
    }
}

fn restart_pod(
    snapshot: &Snapshot,
    pod: &Object,
    settings: &RestartAction,
) -> Result<Vec<Step>, Refusal> {
    let name = &pod.target.name;
    let grace = settings.grace_period_seconds;
    match (&pod.controller, settings.strategy) {
        (Some(owner), _) if owner.kind == "Node" => {
            let message = format!("{name} is a static pod: it is the kubelet's, and its file's");
            Err(Refusal::new(Reason::UnsupportedTarget, message))
        }
        (Some(_), _) => Ok(vec![evict(pod, grace)]),
        (None, RestartStrategy::Recreate) => Ok(bare::recreate(snapshot, pod, grace)),
        (None, RestartStrategy::Rolling | RestartStrategy::Graceful) => {
            let message = format!(
                "nothing would replace the pod {name}: it has no controller; strategy: recreate creates it anew"
            );
            Err(Refusal::new(Reason::BarePod, message))
        }
    }
}

fn restart_workload(
    snapshot: &Snapshot,
    workload: &Object,
    settings: &RestartAction,
) -> Result<Vec<Step>, Refusal> {
    if settings.strategy == RestartStrategy::Recreate {
        return recreate(snapshot, workload);
    }
    let with_grace = settings.strategy == RestartStrategy::Graceful;
    if settings.max_concurrent.is_some() || with_grace || waves::is_on_delete(workload) {
        return waves::evict_all(snapshot, workload, settings);
    }
    waves::offender_is_reached(snapshot, workload)?;
    Ok(vec![roll(snapshot, workload)])
}

/// Asks for a pod to be evicted.
pub(super) fn evict(pod: &Object, grace: Option<u32>) -> Step {
    let with_grace =
        grace.map_or_else(String::new, |seconds| format!(" with {seconds} s of grace"));
    let call = format!("evict {}{with_grace}", pod.target);
    Step {
        grace_period_seconds: grace,
        ..step(Verb::Evict, &pod.target, call)
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
    let from = match waves::partition(workload) {
        0 => String::new(),
        first => format!(", ordinals from {first} on"),
    };
    let call = format!("restart the rollout of {}{from}", workload.target);
    changing(snapshot, workload, call, changes)
}

/// Takes every pod of a workload away, waits until the last is gone, and gives them back.
fn recreate(snapshot: &Snapshot, workload: &Object) -> Result<Vec<Step>, Refusal> {
    let title = workload.title();
    let (Some(replicas), "Deployment" | "StatefulSet") =
        (&workload.workload, workload.target.kind.as_str())
    else {
        let message = format!("{title} has no count of replicas to take down and up again");
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    };
    if let Some(autoscaler) = &snapshot.autoscaler {
        let name = &autoscaler.target.name;
        let message = format!("the HorizontalPodAutoscaler {name} owns the replicas of {title}");
        return Err(Refusal::new(Reason::AutoscalerOwnsReplicas, message));
    }
    let count = replicas.desired;
    if count == 0 {
        let message = format!("{title} has no replicas");
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    let mut steps = scale::scaling(snapshot, workload, (count, 0));
    for down in steps.iter_mut().filter(|step| step.verb == Verb::Scale) {
        down.wait = Some(Wait::Empty);
    }
    let up = scale::scaling(snapshot, workload, (0, count));
    let up = up.into_iter().filter(|step| step.verb == Verb::Scale);
    steps.extend(up.map(|step| Step {
        completes: true,
        wait: Some(Wait::Settled),
        ..step
    }));
    Ok(steps)
}

#[cfg(test)]
mod tests;
