//! Nodes: the one that is in trouble, or those that the sick pods are on.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::object::ObjectState;

use super::{Draft, tick::Tick};
use crate::{
    case::group::{Ailing, CORRELATION, Group, trouble},
    evidence::{Fact, Node, is_pressure},
};

/// Nodes of a case that are told.
const MOST: usize = 4;
/// Pods of an owner that are looked at for their nodes.
const MOST_PODS: usize = 64;
/// How long a pod may wait for a place after its node fell over.
const RESETTLING: SignedDuration = SignedDuration::from_mins(10);

/// The nodes of a case.
///
/// A node in trouble is told where it is what the case is about, or where most of the sick pods
/// are on such nodes and fell sick no sooner than those: what one pod among many is on explains
/// nothing. One that is well is told where every node is.
pub(super) fn of<'a>(group: &Group<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let own = group.ailing.iter().filter(|one| one.owner.kind == "Node");
    let own: Vec<&ObjectState> = own.filter_map(|one| tick.node(&one.owner.name)).collect();
    let mut hosts: BTreeMap<&str, (u32, &ObjectState)> = BTreeMap::new();
    let (mut pods, mut explained) = (0_u32, 0_u32);
    for (pod, since) in group.ailing.iter().flat_map(|one| sick(one, tick)) {
        let Some(node) = host(pod, since, tick) else {
            pods += u32::from(is_placed(pod));
            continue;
        };
        pods += 1;
        explained += u32::from(explains(node, since));
        hosts.entry(&node.target.name).or_insert((0, node)).0 += 1;
    }
    let most = explained > 0 && 2 * explained >= pods;
    let mut told: Vec<(u32, &ObjectState)> = hosts.into_values().collect();
    told.retain(|(_, node)| {
        if trouble(node).is_some() {
            most
        } else {
            tick.not_ready == 0
        }
    });
    told.sort_by_key(|(pods, node)| {
        (
            std::cmp::Reverse((trouble(node).is_some(), *pods)),
            &node.target.name,
        )
    });
    let room = if most { MOST } else { 1 };
    let own = own.into_iter().map(|node| (0, node)).take(MOST);
    let all = own.chain(told.into_iter().take(room));
    all.map(|(_, node)| draft(node, tick)).collect()
}

/// The sick pods of an owner; where the findings are not about pods, all of its pods.
fn sick<'a>(ailing: &Ailing<'a>, tick: &Tick<'a>) -> Vec<(&'a ObjectState, Timestamp)> {
    let mut pods = ailing.sick();
    pods.retain(|(state, _)| state.pod.is_some());
    if pods.is_empty() {
        let all = tick.sources.inventory.pods_of(&ailing.owner.uid);
        pods = all
            .map(|pod| (pod, ailing.since()))
            .take(MOST_PODS)
            .collect();
    }
    pods
}

fn is_placed(pod: &ObjectState) -> bool {
    pod.pod.as_ref().is_some_and(|pod| !pod.node.is_empty())
}

/// The node of a pod; of one that waits for a place, the node that fell over under its owner.
fn host<'a>(pod: &'a ObjectState, since: Timestamp, tick: &Tick<'a>) -> Option<&'a ObjectState> {
    let name = pod.pod.as_ref()?.node.as_str();
    if !name.is_empty() {
        return tick.node(name);
    }
    let owner = pod.top_owner();
    let siblings = tick.sources.inventory.pods_of(&owner.uid).take(MOST_PODS);
    let nodes = siblings.filter_map(|pod| tick.node(&pod.pod.as_ref()?.node));
    nodes
        .filter(|node| {
            let began = trouble(node).map(|(began, _)| began);
            began.is_some_and(|began| since.duration_since(began) <= RESETTLING)
        })
        .find(|node| explains(node, since))
}

/// Whether the trouble of a node began before what is put down to it.
fn explains(node: &ObjectState, since: Timestamp) -> bool {
    trouble(node).is_some_and(|(began, _)| since.duration_since(began) >= -CORRELATION)
}

fn draft(node: &ObjectState, tick: &Tick<'_>) -> Draft {
    let began = trouble(node);
    let ready = node.condition("Ready").map(|ready| ready.status.clone());
    let pressures = node
        .conditions
        .iter()
        .filter(|condition| is_pressure(condition));
    let fact = Node {
        name: node.target.name.clone(),
        ready: ready.unwrap_or_else(|| "Unknown".to_owned()),
        pressures: pressures.map(|condition| condition.kind.clone()).collect(),
        nodes: tick.nodes(),
        not_ready: tick.not_ready,
    };
    let worth = if began.is_some() { 98 } else { 37 };
    let since = began.map(|(began, _)| began);
    let ready_since = || node.condition("Ready").and_then(|ready| ready.since);
    let since = since.or_else(ready_since).unwrap_or(node.observed_at);
    Draft::new(worth, &node.target, since, Fact::Node(fact))
}
