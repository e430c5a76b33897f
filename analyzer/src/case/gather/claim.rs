//! Volume claims of pods that have not started, and claims that are in trouble themselves.
//!
//! Pure: no IO, no clock.

use schemas::{object::ObjectState, target::Target};

use super::{Draft, tick::Tick, view::View};
use crate::evidence::Fact;

/// Claims of a pod that are looked at.
pub(super) const MOST: usize = 4;

/// Claims of the pods that stand for an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let own = view.owner.filter(|owner| owner.claim.is_some());
    let own = own.and_then(|state| draft(view.target(), state));
    let of_pods = view.placed().flat_map(|(place, pod)| {
        let claims = needed(pod)
            .filter_map(|name| tick.sources.inventory.claim(&pod.target.namespace, name));
        let waits = pod.pod.as_ref().is_some_and(|pod| pod.phase == "Pending");
        let drafts = claims
            .filter(move |_| waits)
            .filter_map(|state| draft(&pod.target, state));
        drafts
            .map(move |draft| draft.later(view.place, place))
            .collect::<Vec<_>>()
    });
    own.into_iter().chain(of_pods).collect()
}

/// The names of the claims that a pod needs.
pub(super) fn needed(pod: &ObjectState) -> impl Iterator<Item = &str> {
    let needs = pod.pod.iter().flat_map(|pod| &pod.needs);
    let claims = needs.filter(|need| need.kind == "PersistentVolumeClaim");
    claims.map(|need| need.name.as_str()).take(MOST)
}

fn draft(about: &Target, state: &ObjectState) -> Option<Draft> {
    let claim = state.claim.as_ref()?;
    let worth = if claim.phase == "Bound" { 43 } else { 94 };
    let fact = Fact::Claim {
        name: state.target.name.clone(),
        phase: claim.phase.clone(),
        storage_class: claim.storage_class.clone(),
    };
    let since = state.created_at.unwrap_or(state.observed_at);
    Some(Draft::new(worth, about, since, fact))
}
