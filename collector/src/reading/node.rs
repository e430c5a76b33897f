//! Node → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::object::{NodeState, ObjectState, Taint};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions, quantity};
use crate::kind::Kind;

/// A node.
pub type Node = Watched<Spec, Status>;

/// The wanted parts of a node's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    unschedulable: bool,
    taints: Vec<Tainted>,
}

#[derive(Clone, Debug, Deserialize)]
struct Tainted {
    key: String,
    effect: String,
}

/// The wanted parts of a node's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    allocatable: BTreeMap<String, String>,
    conditions: Vec<Condition>,
}

/// What is told of a node.
pub fn read(node: &Node, now: Timestamp) -> ObjectState {
    let allocatable = |name: &str| quantity(node.status.allocatable.get(name));
    // A node that has not said yet what it can give has no state to divide by.
    let state = allocatable("cpu")
        .zip(allocatable("memory"))
        .map(|(cpu, memory)| NodeState {
            cpu_allocatable_cores: cpu,
            memory_allocatable_bytes: memory,
            unschedulable: node.spec.unschedulable,
            taints: taints(&node.spec.taints),
        });
    ObjectState {
        conditions: conditions(&node.status.conditions),
        node: state,
        ..base(Kind::Node, &node.metadata, now)
    }
}

/// The taints, in order, so that a reordering is not a change.
fn taints(found: &[Tainted]) -> Vec<Taint> {
    let taint = |Tainted { key, effect }: &Tainted| Taint {
        key: key.clone(),
        effect: effect.clone(),
    };
    let mut taints: Vec<_> = found.iter().map(taint).collect();
    taints.sort();
    taints
}
