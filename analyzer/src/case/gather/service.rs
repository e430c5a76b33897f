//! Services that select an owner's pods, that the case is about, or that its pods call in vain.
//!
//! Pure: no IO, no clock.

use schemas::object::ObjectState;

use super::{Draft, tick::Tick, view::View};
use crate::evidence::Fact;

/// Services that are told of each kind.
const MOST: usize = 2;

/// Services of an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let inventory = tick.sources.inventory;
    let first = view.pods.first().copied();
    let own = view.owner.filter(|owner| owner.service.is_some());
    let selecting = first
        .into_iter()
        .flat_map(|pod| inventory.services_selecting(pod));
    let selecting = selecting.take(MOST);
    let called = first.into_iter().flat_map(|pod| tick.behind.empty(pod));
    let called = called.take(MOST);
    let all = own.into_iter().chain(selecting).chain(called);
    all.filter_map(|state| draft(view, tick, state)).collect()
}

fn draft(view: &View<'_>, tick: &Tick<'_>, state: &ObjectState) -> Option<Draft> {
    let service = state.service.as_ref()?;
    let selected = tick.behind.selected(state)?;
    let fact = Fact::Service {
        ready: service.ready,
        not_ready: service.not_ready,
        selected,
        selects: !service.selector.is_empty(),
    };
    let worth = match (service.ready, selected) {
        (0, 0) if !service.selector.is_empty() => 95,
        (0, _) => 77,
        _ => 39,
    };
    // An endpoint's going does not tell when it went.
    Some(Draft::new(worth, &state.target, state.observed_at, fact).later(view.place, 0))
}
