//! Autoscalers of an owner.
//!
//! Pure: no IO, no clock.

use schemas::object::ObjectState;

use super::{Draft, tick::Tick, view::View};
use crate::evidence::{Autoscaler, Fact};

/// Autoscalers that scale an owner, or the one that the case is about.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let scaling = tick.sources.inventory.autoscalers_of(view.target());
    let own = view.owner.filter(|owner| owner.autoscaler.is_some());
    let all = scaling.chain(own).take(2);
    all.filter_map(|state| draft(view, state)).collect()
}

fn draft(view: &View<'_>, state: &ObjectState) -> Option<Draft> {
    let scaler = state.autoscaler.as_ref()?;
    // The same condition says that it is held at its minimum, which is no trouble.
    let told = state
        .condition("ScalingLimited")
        .filter(|condition| condition.status == "True" && condition.reason == "TooManyReplicas");
    let limited = told.is_some();
    let at_most = scaler.desired_replicas >= scaler.max_replicas;
    let worth = match (limited, at_most) {
        (true, _) => 92,
        (false, true) => 70,
        (false, false) => 45,
    };
    let fact = Autoscaler {
        name: state.target.name.clone(),
        max: scaler.max_replicas,
        desired: scaler.desired_replicas,
        limited,
    };
    let since = told
        .and_then(|condition| condition.since)
        .unwrap_or(state.observed_at);
    let draft = Draft::new(worth, view.target(), since, Fact::Autoscaler(fact));
    Some(draft.later(view.place, 0))
}
