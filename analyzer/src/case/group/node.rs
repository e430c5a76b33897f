//! Owners whose pods are sick because their node is.
//!
//! A node is in trouble while it is not ready, or while one of its pressure
//! conditions is true. Nodes that fall over within a few minutes are one
//! trouble, as when a zone or a switch fails. An owner belongs to it when most
//! of what is sick of it is there: one pod among many on a bad node explains
//! nothing of a crash loop everywhere.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::object::ObjectState;

use super::{Ailing, CORRELATION, Union};
use crate::{
    evidence::is_pressure,
    inventory::{self, Inventory},
};

/// How long after a node fell over its pods may still turn up elsewhere, waiting for a place:
/// taints are tolerated for 5 minutes by default, and the controllers take their time.
const RESETTLING: SignedDuration = SignedDuration::from_mins(10);

/// Nodes that fell over together.
type Outage = usize;

/// Nodes in trouble, by name: since when, and with which others.
type Bad<'a> = BTreeMap<&'a str, (Timestamp, Outage)>;

/// Joins the owners that suffer from the same nodes, and those nodes if they are in trouble themselves.
pub(super) fn join(ailing: &[Ailing<'_>], inventory: &Inventory, union: &mut Union) {
    let bad = bad(inventory);
    if bad.is_empty() {
        return;
    }
    let mut first: BTreeMap<Outage, usize> = BTreeMap::new();
    for (place, one) in ailing.iter().enumerate() {
        let outage = if one.owner.kind == "Node" {
            bad.get(one.owner.name.as_str()).map(|(_, outage)| *outage)
        } else {
            suffers(one, inventory, &bad)
        };
        if let Some(outage) = outage {
            union.join(place, *first.entry(outage).or_insert(place));
        }
    }
}

/// Since when a node is in trouble, if it is, and whether it is not even ready.
pub(in crate::case) fn trouble(node: &ObjectState) -> Option<(Timestamp, bool)> {
    let began = |since: Option<Timestamp>| since.unwrap_or(node.observed_at);
    if let Some(ready) = node.condition("Ready")
        && ready.status != "True"
    {
        return Some((began(ready.since), true));
    }
    let pressures = node.conditions.iter().filter(|one| is_pressure(one));
    let since = pressures.map(|one| began(one.since)).min();
    since.map(|since| (since, false))
}

fn bad(inventory: &Inventory) -> Bad<'_> {
    let mut nodes: Vec<(Timestamp, &str, bool)> = inventory
        .nodes()
        .filter_map(|node| {
            let (since, down) = trouble(node)?;
            Some((since, node.target.name.as_str(), down))
        })
        .collect();
    nodes.sort_unstable();
    let mut bad = Bad::new();
    let mut outage = 0;
    let mut last_down: Option<(Timestamp, Outage)> = None;
    for (since, name, down) in nodes {
        let with = last_down.filter(|(last, _)| down && since.duration_since(*last) <= CORRELATION);
        let of = with.map_or_else(
            || {
                outage += 1;
                outage
            },
            |(_, outage)| outage,
        );
        if down {
            last_down = Some((since, of));
        }
        bad.insert(name, (since, of));
    }
    bad
}

/// The outage that most of the sick pods of an owner suffer from.
fn suffers(one: &Ailing<'_>, inventory: &Inventory, bad: &Bad<'_>) -> Option<Outage> {
    let mut pods: Vec<(&ObjectState, Timestamp)> = one.sick();
    pods.retain(|(state, _)| state.pod.is_some());
    if pods.is_empty() {
        let unwell = inventory
            .pods_of(&one.owner.uid)
            .filter(|pod| !inventory::is_ready(pod));
        pods = unwell.map(|pod| (pod, one.since())).collect();
    }
    let mut sick: BTreeMap<Outage, usize> = BTreeMap::new();
    for (pod, since) in &pods {
        let placed = on(pod).and_then(|node| bad.get(node));
        let outage = match placed {
            Some((began, outage)) => explains(*began, *since).then_some(*outage),
            None if on(pod).is_none() => displaced(one, *since, inventory, bad),
            None => None,
        };
        if let Some(outage) = outage {
            *sick.entry(outage).or_default() += 1;
        }
    }
    let most = sick.into_iter().max_by_key(|(_, pods)| *pods);
    most.filter(|(_, count)| 2 * count > pods.len())
        .map(|(outage, _)| outage)
}

/// The node that a pod is bound to.
fn on(pod: &ObjectState) -> Option<&str> {
    let pod = pod.pod.as_ref()?;
    (!pod.node.is_empty()).then_some(pod.node.as_str())
}

/// Whether trouble that began at `since` may come of what began at `began`.
/// There is no end to it: a pod stays on a node that is down for as long as that is down.
fn explains(began: Timestamp, since: Timestamp) -> bool {
    since.duration_since(began) >= -CORRELATION
}

/// The outage that a pod without a place comes from: another pod of the owner is, or was a moment ago, on a bad node.
fn displaced(
    one: &Ailing<'_>,
    since: Timestamp,
    inventory: &Inventory,
    bad: &Bad<'_>,
) -> Option<Outage> {
    let nodes = inventory.pods_of(&one.owner.uid).filter_map(on);
    let fits = nodes
        .filter_map(|node| bad.get(node))
        .find(|(began, _)| explains(*began, since) && since.duration_since(*began) <= RESETTLING);
    fits.map(|(_, outage)| *outage)
}
