//! `HorizontalPodAutoscaler` → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{AutoscalerState, ObjectState};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions};
use crate::kind::Kind;

/// A `HorizontalPodAutoscaler`.
pub type Autoscaler = Watched<Spec, Status>;

/// The wanted parts of an autoscaler's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    scale_target_ref: Scales,
    min_replicas: Option<i32>,
    max_replicas: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Scales {
    kind: String,
    name: String,
}

/// The wanted parts of an autoscaler's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    desired_replicas: i32,
    current_replicas: Option<i32>,
    conditions: Option<Vec<Condition>>,
}

/// What is told of an autoscaler.
pub fn read(autoscaler: &Autoscaler, now: Timestamp) -> ObjectState {
    let (spec, status) = (&autoscaler.spec, &autoscaler.status);
    ObjectState {
        conditions: conditions(status.conditions.as_deref().unwrap_or_default()),
        autoscaler: Some(AutoscalerState {
            scales_kind: spec.scale_target_ref.kind.clone(),
            scales_name: spec.scale_target_ref.name.clone(),
            // Where nothing is set the API server has filled in 1.
            min_replicas: spec.min_replicas.unwrap_or(1),
            max_replicas: spec.max_replicas,
            desired_replicas: status.desired_replicas,
            current_replicas: status.current_replicas.unwrap_or(0),
        }),
        ..base(Kind::Autoscaler, &autoscaler.metadata, now)
    }
}
