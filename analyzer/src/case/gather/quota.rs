//! Quotas of an owner's namespace that are used up, or nearly.
//!
//! Pure: no IO, no clock.

use super::{Draft, tick::Tick, view::View};
use crate::evidence::{Fact, exhausted};

/// Resources of quotas that are told.
const MOST: usize = 4;

/// What is used up in the namespace of an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let lacks_pods = view.owner.is_some_and(|owner| {
        let short = owner
            .replicas
            .is_some_and(|replicas| replicas.current < replicas.desired);
        let failed = owner
            .condition("ReplicaFailure")
            .is_some_and(|failure| failure.status == "True");
        short || failed || owner.quota.is_some()
    });
    let worth = if lacks_pods { 93 } else { 38 };
    let quotas = tick.sources.inventory.quotas(&view.target().namespace);
    let drafts = quotas.flat_map(|state| {
        let used_up = state.quota.iter().flat_map(exhausted);
        used_up.map(move |(resource, used, hard)| {
            let fact = Fact::Quota {
                name: state.target.name.clone(),
                resource: resource.to_owned(),
                used,
                hard,
            };
            Draft::new(worth, &state.target, state.observed_at, fact).later(view.place, 0)
        })
    });
    drafts.take(MOST).collect()
}
