//! Disruption budgets that cover an owner's pods.
//!
//! Pure: no IO, no clock.

use schemas::object::ObjectState;

use super::{Draft, tick::Tick, view::View};
use crate::evidence::Fact;

/// Budgets that cover the first pod of an owner, or the one that the case is about.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let inventory = tick.sources.inventory;
    let first = view.pods.first().copied().into_iter();
    let covering = first.flat_map(|pod| inventory.budgets_covering(pod));
    let own = view.owner.filter(|owner| owner.budget.is_some());
    let all = own.into_iter().chain(covering).take(2);
    all.filter_map(|state| draft(view, state)).collect()
}

fn draft(view: &View<'_>, state: &ObjectState) -> Option<Draft> {
    let allowed = state.budget.as_ref()?.disruptions_allowed;
    let worth = if allowed > 0 { 36 } else { 68 };
    let fact = Fact::Budget {
        name: state.target.name.clone(),
        allowed,
    };
    let closed = state
        .condition("DisruptionAllowed")
        .and_then(|condition| condition.since);
    let since = closed.unwrap_or(state.observed_at);
    Some(Draft::new(worth, view.target(), since, fact).later(view.place, 0))
}
