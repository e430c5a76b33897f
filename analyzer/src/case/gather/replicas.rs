//! Replicas of a workload, and of the workload that a budget or an autoscaler in trouble is about.
//!
//! Pure: no IO, no clock.

use schemas::object::ObjectState;

use super::{Draft, tick::Tick, view::View};
use crate::evidence::Fact;

/// Replica counts of an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let states = view.owner.into_iter().filter_map(|owner| {
        let own = owner.replicas.is_some().then_some(owner);
        own.or_else(|| governed(owner, tick))
    });
    let drafts = states.filter_map(|state| {
        let replicas = state.replicas?;
        let short = replicas.ready < replicas.desired || replicas.current != replicas.desired;
        let worth = if short { 87 } else { 58 };
        // A count does not say since when it is so; what is known is when it was seen.
        let fact = Fact::Replicas(replicas);
        Some(Draft::new(worth, &state.target, state.observed_at, fact).later(view.place, 0))
    });
    drafts.collect()
}

/// The workload that a budget covers, or that an autoscaler scales.
pub(super) fn governed<'a>(owner: &'a ObjectState, tick: &Tick<'a>) -> Option<&'a ObjectState> {
    let inventory = tick.sources.inventory;
    let namespace = owner.target.namespace.as_str();
    if let Some(scaler) = &owner.autoscaler {
        return inventory.find(&scaler.scales_kind, namespace, &scaler.scales_name);
    }
    let labels = &owner.budget.as_ref()?.match_labels;
    let mut pods = inventory.in_namespace("Pod", namespace);
    let covered = pods.find(|pod| {
        let mut asked = labels.iter();
        !labels.is_empty() && asked.all(|(key, value)| pod.labels.get(key) == Some(value))
    })?;
    inventory.get(&covered.top_owner().uid)
}
