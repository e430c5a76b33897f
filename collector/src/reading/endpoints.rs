//! `EndpointSlice` → how many endpoints it has.
//!
//! A slice is never told. It is kept to be counted for the Service that it names,
//! with two labels: that name, and the family of its addresses, since a Service
//! with two families has each endpoint twice.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use kube::core::ObjectMeta;
use schemas::object::{ObjectState, ServiceState};
use serde::Deserialize;

use super::base;
use crate::kind::Kind;

/// The label that names the Service, on the slice as the API server has it.
pub const SERVICE: &str = "kubernetes.io/service-name";
/// The family of the addresses: `IPv4`, `IPv6` or `FQDN`.
pub const FAMILY: &str = "addressType";

/// An `EndpointSlice`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slice {
    /// Metadata; pruned when it is turned into a state.
    pub metadata: ObjectMeta,
    #[serde(default)]
    address_type: String,
    /// The API server writes null where there is none.
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Endpoint {
    #[serde(default)]
    conditions: Conditions,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    terminating: Option<bool>,
}

/// What is kept of a slice.
///
/// An endpoint that does not say whether it is ready is, as the API has it. One
/// that ends is not counted among those that are not ready: it has been asked to.
pub fn read(slice: &Slice, now: Timestamp) -> ObjectState {
    let mut counted = ServiceState::default();
    for Endpoint { conditions } in slice.endpoints.iter().flatten() {
        if conditions.ready.unwrap_or(true) {
            counted.ready += 1;
        } else if conditions.terminating != Some(true) {
            counted.not_ready += 1;
        }
    }
    let mut state = base(Kind::EndpointSlice, &slice.metadata, now);
    state.annotations.clear();
    state.labels.retain(|label, _| label == SERVICE);
    let family = slice.address_type.clone();
    state.labels.insert(FAMILY.to_owned(), family);
    ObjectState {
        service: Some(counted),
        ..state
    }
}
