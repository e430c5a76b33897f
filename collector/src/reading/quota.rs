//! `ResourceQuota` → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::object::{ObjectState, QuotaState};
use serde::Deserialize;

use super::{Watched, base, quantity};
use crate::kind::Kind;

/// A `ResourceQuota`.
pub type Quota = Watched<Spec, Status>;

/// Nothing of a quota's spec is wanted: what is enforced stands in its status.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Spec {}

/// The wanted parts of a quota's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    hard: BTreeMap<String, String>,
    used: BTreeMap<String, String>,
}

/// What is told of a quota.
pub fn read(quota: &Quota, now: Timestamp) -> ObjectState {
    ObjectState {
        quota: Some(QuotaState {
            hard: numbers(&quota.status.hard),
            used: numbers(&quota.status.used),
        }),
        ..base(Kind::Quota, &quota.metadata, now)
    }
}

/// Quantities by resource; what is no quantity is left out.
fn numbers(of: &BTreeMap<String, String>) -> BTreeMap<String, f64> {
    of.iter()
        .filter_map(|(resource, text)| Some((resource.clone(), quantity(Some(text))?)))
        .collect()
}
