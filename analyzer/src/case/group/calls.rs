//! Owners that fail because one that they call has failed, and Services with
//! the owners that they send to.
//!
//! Who calls whom is read off the environment of the pods, as far as it names
//! Services that exist. A call joins two owners only in one direction of time:
//! who calls fails when, or after, who is called does. That the dependency
//! comes before the one that depends on it is how causes are told from
//! symptoms along a call graph; see Chen et al., `CauseInfer` (INFOCOM 2014).
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::object::{ObjectState, ServiceName};

use super::{Ailing, Union};
use crate::inventory::Inventory;

/// Services by the namespace and one pair of their selector.
type BySelector<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a ObjectState>>;

/// Joins callers with the called, and Services with whom they select.
pub(super) fn join(ailing: &[Ailing<'_>], inventory: &Inventory, union: &mut Union) {
    let services = by_selector(inventory);
    let mut behind: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, one) in ailing.iter().enumerate() {
        if one.owner.kind == "Service" {
            let name = (one.owner.namespace.as_str(), one.owner.name.as_str());
            behind.entry(name).or_default().push(place);
        }
        for service in one
            .pod(inventory)
            .iter()
            .flat_map(|pod| selecting(&services, pod))
        {
            let name = (
                service.target.namespace.as_str(),
                service.target.name.as_str(),
            );
            behind.entry(name).or_default().push(place);
        }
    }
    for places in behind.values() {
        join_service(ailing, places, union);
    }
    for (place, one) in ailing.iter().enumerate() {
        let pod = one.pod(inventory).and_then(|state| state.pod.as_ref());
        for ServiceName { namespace, name } in pod.iter().flat_map(|pod| &pod.calls) {
            let called = behind.get(&(namespace.as_str(), name.as_str()));
            for &other in called.into_iter().flatten() {
                if other != place && ailing.get(other).is_some_and(|first| one.follows(first)) {
                    union.join(place, other);
                }
            }
        }
    }
}

/// A Service in trouble is one with the owners behind it, whichever was seen first.
fn join_service(ailing: &[Ailing<'_>], places: &[usize], union: &mut Union) {
    let of = |place: &usize| ailing.get(*place);
    let is_service = |place: &&usize| of(place).is_some_and(|one| one.owner.kind == "Service");
    let Some(service) = places.iter().find(is_service) else {
        return;
    };
    for other in places {
        if let (Some(one), Some(two)) = (of(service), of(other))
            && (one.follows(two) || two.follows(one))
        {
            union.join(*service, *other);
        }
    }
}

fn by_selector(inventory: &Inventory) -> BySelector<'_> {
    let mut services = BySelector::new();
    for state in inventory.of_kind("Service") {
        let selector = state.service.as_ref().map(|service| &service.selector);
        if let Some((key, value)) = selector.and_then(|selector| selector.first_key_value()) {
            let place = (
                state.target.namespace.as_str(),
                key.as_str(),
                value.as_str(),
            );
            services.entry(place).or_default().push(state);
        }
    }
    services
}

/// The Services that select a pod.
fn selecting<'a>(
    services: &'a BySelector<'a>,
    pod: &'a ObjectState,
) -> impl Iterator<Item = &'a ObjectState> {
    let namespace = pod.target.namespace.as_str();
    pod.labels
        .iter()
        .filter_map(move |(key, value)| services.get(&(namespace, key.as_str(), value.as_str())))
        .flatten()
        .copied()
        .filter(|service| selects(service, pod))
}

/// Whether a Service sends to a pod.
pub(in crate::case) fn selects(service: &ObjectState, pod: &ObjectState) -> bool {
    let selector = service.service.as_ref().map(|service| &service.selector);
    service.target.namespace == pod.target.namespace
        && selector.is_some_and(|selector| {
            let matches = |(key, value): (&String, &String)| pod.labels.get(key) == Some(value);
            !selector.is_empty() && selector.iter().all(matches)
        })
}
