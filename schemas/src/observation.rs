//! What the analyzer last saw of the target of an open action.
//!
//! Verification reads it: whether the trigger's value is back, on the target
//! itself or on its replacement. It is a reading, not an opinion: a series that
//! has no data says so.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{operator::Operator, target::Target};

/// One evaluation of one trigger over the target of an action and its siblings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// UID of the policy.
    pub policy_uid: String,
    /// Name of the trigger.
    pub trigger: String,
    /// Event time of the evaluation.
    pub evaluated_at: Timestamp,
    /// How values are compared with the threshold.
    pub operator: Operator,
    /// The threshold.
    pub threshold: f64,
    /// One reading per object: the target, if it still exists, and every object with the same top-most owner.
    pub readings: Vec<Reading>,
}

/// What was seen of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The object.
    pub target: Target,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// The trigger's value; absent when the object exists but has no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Event time of the newest sample behind the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Timestamp>,
    /// Whether the value breaches the threshold.
    pub breaching: bool,
    /// Whether the object is ready.
    pub ready: bool,
}
