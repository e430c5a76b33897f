//! What a policy says of a resize, and of the sizes that are worked out for it.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// New CPU and memory for a container, in place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.requests) || has(self.limits) || has(self.increasePercent) || has(self.recommended)")
    .message("resizeAction needs requests, limits, increasePercent or recommended: write limits: {memory: 1Gi}"))]
#[x_kube(validation = Rule::new("!has(self.recommended) || !(has(self.requests) || has(self.limits) || has(self.increasePercent))")
    .message("recommended stands alone: leave out requests, limits and increasePercent"))]
#[serde(rename_all = "camelCase")]
pub struct ResizeAction {
    /// Which container. Empty: the offending one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub container: Option<String>,

    /// New requests, such as `{cpu: 500m, memory: 512Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,

    /// New limits, such as `{cpu: "1", memory: 1Gi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,

    /// Raise what is set now by this many percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 400))]
    pub increase_percent: Option<u32>,

    /// The size that covers what was seen, as the analyzer works it out; it
    /// writes the amounts into `requests` and `limits` of the `HealingAction`.
    /// Without enough samples nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<Recommended>,

    /// Never beyond these, such as `{memory: 4Gi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maximum: BTreeMap<String, String>,

    /// Also change the workload's template, so that new pods are born with the new size.
    #[serde(default = "yes")]
    pub follow_template: bool,

    /// Roll the workload when a pod cannot be resized in place.
    #[serde(default)]
    pub allow_rollout: bool,
}

/// A size made of what the containers of the owner used: the 90th percentile of
/// a decaying histogram, and never less than the highest value of the last day,
/// with a margin on top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recommended {
    /// Percent on top of what was seen.
    #[serde(default = "fifteen")]
    #[schemars(range(min = 0, max = 400))]
    pub margin_percent: u32,

    /// How many measurements there must be: 240 are an hour at 15 s.
    #[serde(default = "an_hour")]
    #[schemars(range(min = 1, max = 5760))]
    pub min_samples: u32,

    /// Never below these, such as `{cpu: 25m, memory: 64Mi}`. `maximum` wins over it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub minimum: BTreeMap<String, String>,

    /// Whether an amount may also become less than it is now.
    #[serde(default)]
    pub allow_decrease: bool,
}

impl Default for Recommended {
    fn default() -> Self {
        Self {
            margin_percent: fifteen(),
            min_samples: an_hour(),
            minimum: BTreeMap::new(),
            allow_decrease: false,
        }
    }
}

const fn yes() -> bool {
    true
}

/// The margin of the Vertical Pod Autoscaler's recommender.
const fn fifteen() -> u32 {
    15
}

const fn an_hour() -> u32 {
    240
}
