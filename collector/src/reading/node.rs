//! Node → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::object::{NodeState, ObjectState};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions, quantity};
use crate::kind::Kind;

/// A node.
pub type Node = Watched<Spec, Status>;

/// The wanted parts of a node's spec.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    unschedulable: bool,
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
            ..NodeState::default()
        });
    ObjectState {
        conditions: conditions(&node.status.conditions),
        node: state,
        ..base(Kind::Node, &node.metadata, now)
    }
}
