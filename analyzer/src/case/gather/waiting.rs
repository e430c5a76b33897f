//! Containers that wait.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{ContainerState, ObjectState};

use super::{
    Draft,
    tick::Tick,
    view::{View, every_container, is_queued},
};
use crate::evidence::{Fact, Waiting};

/// Waiting containers of the pods that stand for an owner.
pub(super) fn of<'a>(view: &View<'a>, _: &Tick<'a>) -> Vec<Draft> {
    let of_pods = view.placed().flat_map(|(place, pod)| {
        let waiting = every_container(pod).into_iter();
        let waiting = waiting.filter(|(_, container)| container.state == "waiting");
        let told = waiting
            .map(move |(init, container)| draft(pod, container, init).later(view.place, place));
        told.collect::<Vec<_>>()
    });
    of_pods.collect()
}

fn draft(pod: &ObjectState, container: &ContainerState, init: bool) -> Draft {
    let worth = match container.reason.as_str() {
        // It is the turn of an init container.
        "PodInitializing" => 50,
        reason if is_queued(reason) => 76,
        _ => 96,
    };
    let fact = Waiting {
        container: container.name.clone(),
        init,
        reason: container.reason.clone(),
        message: container.message.clone(),
    };
    Draft::new(
        worth,
        &pod.target,
        since(pod, container),
        Fact::Waiting(fact),
    )
}

/// Since when it waits: since it ended, else since its pod has a node, else since there is a pod.
fn since(pod: &ObjectState, container: &ContainerState) -> Timestamp {
    let ended = container
        .last_termination
        .as_ref()
        .and_then(|end| end.finished_at);
    let scheduled = || {
        let condition = pod.condition("PodScheduled");
        condition
            .filter(|condition| condition.status == "True")?
            .since
    };
    ended
        .or_else(scheduled)
        .or(pod.created_at)
        .unwrap_or(pod.observed_at)
}
