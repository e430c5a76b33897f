//! `PersistentVolumeClaim` → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{ClaimState, ObjectState};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions};
use crate::kind::Kind;

/// A `PersistentVolumeClaim`.
pub type Claim = Watched<Spec, Status>;

/// The wanted parts of a claim's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    storage_class_name: Option<String>,
}

/// The wanted parts of a claim's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    phase: Option<String>,
    conditions: Vec<Condition>,
}

/// What is told of a claim.
pub fn read(claim: &Claim, now: Timestamp) -> ObjectState {
    let (spec, status) = (&claim.spec, &claim.status);
    ObjectState {
        conditions: conditions(&status.conditions),
        claim: Some(ClaimState {
            // The API server writes the phase with the object.
            phase: status.phase.clone().unwrap_or_else(|| "Pending".to_owned()),
            storage_class: spec.storage_class_name.clone().unwrap_or_default(),
        }),
        ..base(Kind::Claim, &claim.metadata, now)
    }
}
