//! Service → [`ObjectState`]; its endpoints are counted elsewhere, in [`super::endpoints`].
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::object::{ObjectState, ServiceState};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions};
use crate::kind::Kind;

/// A Service.
pub type Service = Watched<Spec, Status>;

/// The wanted parts of a Service's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    selector: BTreeMap<String, String>,
}

/// The wanted parts of a Service's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    conditions: Vec<Condition>,
}

/// What is told of a Service, before its endpoints are counted.
pub fn read(service: &Service, now: Timestamp) -> ObjectState {
    ObjectState {
        conditions: conditions(&service.status.conditions),
        service: Some(ServiceState {
            selector: service.spec.selector.clone(),
            ..ServiceState::default()
        }),
        ..base(Kind::Service, &service.metadata, now)
    }
}
