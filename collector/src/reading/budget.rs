//! `PodDisruptionBudget` → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::object::{BudgetState, ObjectState};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions};
use crate::kind::Kind;

/// A `PodDisruptionBudget`.
pub type Budget = Watched<Spec, Status>;

/// The wanted parts of a budget's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    selector: Option<Selector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<serde_json::Value>,
}

/// The wanted parts of a budget's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    disruptions_allowed: i32,
    conditions: Vec<Condition>,
}

/// What is told of a disruption budget.
pub fn read(budget: &Budget, now: Timestamp) -> ObjectState {
    // Labels alone would claim too many pods where expressions narrow them.
    let labels = budget
        .spec
        .selector
        .as_ref()
        .filter(|selector| selector.match_expressions.is_empty())
        .map(|selector| selector.match_labels.clone());
    ObjectState {
        conditions: conditions(&budget.status.conditions),
        budget: Some(BudgetState {
            match_labels: labels.unwrap_or_default(),
            disruptions_allowed: budget.status.disruptions_allowed,
        }),
        ..base(Kind::Budget, &budget.metadata, now)
    }
}
