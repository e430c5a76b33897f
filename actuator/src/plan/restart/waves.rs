//! Evicting a workload's pods, so many at a time.
//!
//! Pure: no IO, no clock.

use schemas::{
    policy::RestartAction,
    step::{Step, Wait},
};
use serde_json::Value;

use super::{Refusal, evict};
use crate::{object::Object, reason::Reason, snapshot::Snapshot};

/// Most pods that one plan evicts: it is kept in the action's status, which etcd bounds.
const MOST_PODS: usize = 200;

/// Evicts every pod of the workload that an update would reach, the sick ones
/// first, and waits after each wave until every replica is ready again.
pub(super) fn evict_all(
    snapshot: &Snapshot,
    workload: &Object,
    settings: &RestartAction,
) -> Result<Vec<Step>, Refusal> {
    offender_is_reached(snapshot, workload)?;
    let first = partition(workload);
    let mut pods: Vec<_> = snapshot
        .pods
        .iter()
        .filter(|pod| !pod.terminating && ordinal(&pod.target.name).is_none_or(|at| at >= first))
        .collect();
    let title = workload.title();
    if pods.is_empty() {
        let message = format!("{title} has no pods to replace");
        return Err(Refusal::new(Reason::NothingToDo, message));
    }
    if pods.len() > MOST_PODS {
        let count = pods.len();
        let message = format!(
            "{title} has {count} pods, and one action evicts {MOST_PODS} at most: restart its rollout instead"
        );
        return Err(Refusal::new(Reason::UnsupportedTarget, message));
    }
    // As a StatefulSet's controller does it: the highest ordinal first.
    let rank =
        |pod: &Object| ordinal(&pod.target.name).filter(|_| first > 0 || is_ordered(workload));
    pods.sort_by_key(|pod| {
        (
            pod.ready,
            std::cmp::Reverse(rank(pod)),
            pod.target.name.clone(),
        )
    });
    let at_once = settings.max_concurrent.unwrap_or(1).max(1);
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX);
    let waves = pods.chunks(at_once).flat_map(|wave| {
        let last = wave.len().saturating_sub(1);
        let steps = wave.iter().enumerate().map(move |(index, pod)| Step {
            wait: (index == last).then_some(Wait::Settled),
            ..evict(pod, settings.grace_period_seconds)
        });
        steps.collect::<Vec<_>>()
    });
    Ok(waves.collect())
}

/// Turns down a restart that would leave the sick pod as it is, because it lies below the partition.
pub(super) fn offender_is_reached(snapshot: &Snapshot, workload: &Object) -> Result<(), Refusal> {
    let first = partition(workload);
    let sick = snapshot.offender.as_ref().map(|pod| &pod.target.name);
    match sick.and_then(|name| Some((name, ordinal(name)?))) {
        Some((name, at)) if at < first => {
            let title = workload.title();
            let message = format!(
                "a restart of {title} does not reach {name}: its updates begin with ordinal {first}"
            );
            Err(Refusal::new(Reason::NothingToDo, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// The first ordinal that an update of a StatefulSet reaches; 0 for other kinds.
pub(super) fn partition(workload: &Object) -> u64 {
    let path = "/spec/updateStrategy/rollingUpdate/partition";
    let first = workload.content.pointer(path).and_then(Value::as_u64);
    first.filter(|_| is_ordered(workload)).unwrap_or(0)
}

/// Whether a workload's pods are only replaced when they are deleted.
pub(super) fn is_on_delete(workload: &Object) -> bool {
    let kind = workload.content.pointer("/spec/updateStrategy/type");
    kind.and_then(Value::as_str) == Some("OnDelete")
}

fn is_ordered(workload: &Object) -> bool {
    workload.target.kind == "StatefulSet"
}

/// The number at the end of a StatefulSet's pod's name.
fn ordinal(pod: &str) -> Option<u64> {
    pod.rsplit_once('-')?.1.parse().ok()
}
