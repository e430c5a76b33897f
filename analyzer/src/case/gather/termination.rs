//! How containers ended last.
//!
//! Pure: no IO, no clock.

use schemas::object::{ContainerState, ObjectState};

use super::{
    Draft,
    tick::Tick,
    view::{View, every_container},
};
use crate::evidence::{Fact, Termination};

/// Ends of containers of the pods that stand for an owner, and of pods that the kubelet evicted.
pub(super) fn of<'a>(view: &View<'a>, _: &Tick<'a>) -> Vec<Draft> {
    let of_pods = view.placed().flat_map(|(place, pod)| {
        let ends = every_container(pod).into_iter();
        let ends = ends.filter_map(|(_, container)| ended(pod, container));
        let all = ends.chain(evicted(pod));
        all.map(move |draft| draft.later(view.place, place))
            .collect::<Vec<_>>()
    });
    of_pods.collect()
}

fn ended(pod: &ObjectState, container: &ContainerState) -> Option<Draft> {
    let end = container.last_termination.as_ref()?;
    let well = end.exit_code == 0 && end.reason != "OOMKilled";
    let worth = match container.restarts {
        _ if end.reason == "OOMKilled" => 95,
        // An init container that is done, or a process that ends well and is begun anew once.
        0 | 1 if well => return None,
        _ => 90,
    };
    let fact = Termination {
        container: container.name.clone(),
        reason: end.reason.clone(),
        exit_code: end.exit_code,
        restarts: container.restarts,
    };
    let since = end.finished_at.unwrap_or(pod.observed_at);
    Some(Draft::new(
        worth,
        &pod.target,
        since,
        Fact::Termination(fact),
    ))
}

fn evicted(pod: &ObjectState) -> Option<Draft> {
    let state = pod.pod.as_ref()?;
    let fact = Termination {
        container: String::new(),
        reason: state.reason.clone(),
        exit_code: 0,
        restarts: 0,
    };
    let since = pod.condition("Ready").and_then(|ready| ready.since);
    let since = since.unwrap_or(pod.observed_at);
    (state.reason == "Evicted").then(|| Draft::new(90, &pod.target, since, Fact::Termination(fact)))
}
