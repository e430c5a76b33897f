//! Conditions that mean trouble, or that changed while the trouble went on.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::object::{ObjectCondition, ObjectState};

use super::{Draft, tick::Tick, view::View};
use crate::evidence::{Condition, Fact};

/// How long a change is news.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

/// Conditions of the objects in trouble, and of the pods that stand for them.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let others = view.others().into_iter().map(|state| (0_u8, state));
    let all = others.chain(view.placed());
    all.flat_map(|(place, state)| {
        let conditions = state.conditions.iter();
        let told = conditions.filter_map(move |condition| {
            let worth = worth(view, tick, state, condition)?;
            Some(draft(state, condition, worth).later(view.place, place))
        });
        told.collect::<Vec<_>>()
    })
    .collect()
}

/// A condition as evidence.
fn draft(state: &ObjectState, condition: &ObjectCondition, worth: u8) -> Draft {
    let since = condition.since.unwrap_or(state.observed_at);
    let fact = Condition {
        kind: condition.kind.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    };
    Draft::new(worth, &state.target, since, Fact::Condition(fact))
}

fn worth(
    view: &View<'_>,
    tick: &Tick<'_>,
    state: &ObjectState,
    condition: &ObjectCondition,
) -> Option<u8> {
    let changed = condition
        .since
        .is_some_and(|since| since >= view.since() && tick.ago(since) <= LATELY);
    let status = condition.status.as_str();
    match (condition.kind.as_str(), status) {
        // A node's readiness and pressures are told as the node's.
        _ if state.target.kind == "Node" => None,
        ("ReplicaFailure" | "Failed" | "FailureTarget", "True") => Some(94),
        ("Progressing", "False") => Some(92),
        // The reason of a rollout that is done; any other means that one is under way.
        ("Progressing", "True") => (condition.reason != "NewReplicaSetAvailable").then_some(72),
        ("PodScheduled" | "DisruptionAllowed", "False") => Some(88),
        ("Ready", "True") => changed.then_some(78),
        ("Ready", _) => Some(84),
        ("DisruptionTarget" | "ScalingLimited", "True") => Some(80),
        ("Available" | "AbleToScale" | "ScalingActive", "False") => Some(64),
        ("Initialized" | "PodReadyToStartContainers", "False") => Some(40),
        _ => None,
    }
}
