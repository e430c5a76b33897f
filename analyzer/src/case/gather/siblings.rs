//! How the other pods of an owner are, and of which revision.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::object::ObjectState;

use super::{Draft, rollout::hash_of, tick::Tick, view::View};
use crate::{evidence::Fact, inventory};

/// The pods of an owner: how many there are, are in trouble, and are of the newest revision.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let inventory = tick.sources.inventory;
    let target = view.target();
    let newest = inventory.revisions_of(&target.uid).into_iter().next();
    let hash = newest
        .and_then(|state| state.revision.as_ref())
        .map(|one| one.hash.as_str());
    let hash = hash.filter(|hash| !hash.is_empty());
    let found: BTreeSet<&str> = view
        .ailing
        .sick()
        .iter()
        .map(|(state, _)| state.target.uid.as_str())
        .collect();
    let is_sick =
        |pod: &ObjectState| found.contains(pod.target.uid.as_str()) || !inventory::is_ready(pod);
    // Where no revision is known, all are of the only one.
    let is_newest = |pod: &ObjectState| hash.is_none_or(|hash| hash_of(pod) == Some(hash));
    let (mut pods, mut sick, mut of_newest, mut sick_of_newest) = (0_u32, 0, 0, 0);
    for pod in inventory
        .pods_of(&target.uid)
        .filter(|pod| inventory::is_alive(pod))
    {
        pods += 1;
        of_newest += u32::from(is_newest(pod));
        sick += u32::from(is_sick(pod));
        sick_of_newest += u32::from(is_sick(pod) && is_newest(pod));
    }
    if pods == 0 || target.kind == "Pod" || target.kind == "Node" {
        return Vec::new();
    }
    let worth = if pods > 1 { 83 } else { 42 };
    let fact = Fact::Siblings {
        pods,
        sick,
        sick_of_newest,
        of_newest,
    };
    vec![Draft::new(worth, target, view.since(), fact).later(view.place, 0)]
}
