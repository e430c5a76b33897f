//! Why something is wrong: the failure modes that KubeSkippy knows, and what an
//! action says of its cause.
//!
//! A diagnosis is made of evidence with identifiers, says who made it, what
//! else was considered, and what its confidence rests on. Its texts are for
//! people; programs go by the failure mode and the identifiers.
//!
//! Pure: no IO, no clock.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something is wrong, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The cause, in a phrase.
    #[schemars(length(max = 256))]
    pub cause: String,

    /// The cause as one of the known failure modes, such as `memory-leak`; absent when none fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub failure_mode: Option<String>,

    /// The object that the cause lies with, as `Kind/name`, where that is not the target or its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub owner: Option<String>,

    /// The case: the findings that belong together. Actions of one case share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub case: Option<String>,

    /// Digest of the case's structure without names and numbers: cases that look alike share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub fingerprint: Option<String>,

    /// The cause, in a few sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub explanation: Option<String>,

    /// How sure, from 0 to 1, calibrated on verified outcomes where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: Option<f64>,

    /// How sure whoever says so claims to be, from 0 to 1. It decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub stated_confidence: Option<f64>,

    /// How many verified outcomes `confidence` rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_on: Option<u32>,

    /// Who says so: `policy`, `rule/<name>`, `recall`, or `model/<name>`.
    #[schemars(length(max = 128))]
    pub source: String,

    /// What the action is expected to do, from how it did in like cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub expected_effect: Option<String>,

    /// What is expected when nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub if_nothing_is_done: Option<String>,

    /// What it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub evidence: Vec<Evidence>,

    /// What else it could be, and why that was thought less likely.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub alternatives: Vec<Alternative>,

    /// Every advisor that was asked, in order, and what came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub consulted: Vec<Consulted>,

    /// Whether only text that an attacker could have written supports it.
    #[serde(default)]
    pub tainted: bool,
}

/// One piece of evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Identifier within the diagnosis: `E1`, `E2`, …
    #[schemars(length(max = 16))]
    pub id: String,
    /// Where it comes from: `control-plane`, `metric` or `text`.
    #[schemars(length(max = 32))]
    pub provenance: String,
    /// The object it is about, as `Kind/name`, where that is not the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub about: Option<String>,
    /// What it says, with its numbers.
    #[schemars(length(max = 512))]
    pub statement: String,
    /// Its values over time, where it is a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}

/// Values over time at equal steps, for people to look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Unit of the values: `percent`, `bytes`, `cores`, `count`, `boolean`, or as the trigger has it.
    #[schemars(length(max = 32))]
    pub unit: String,
    /// Event time of the first value.
    pub from: Timestamp,
    /// Seconds from one value to the next.
    pub step_seconds: u32,
    /// The values; a gap is `null`.
    #[schemars(length(max = 48))]
    pub values: Vec<Option<f64>>,
    /// What they are compared with, such as a limit or a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// Another possible cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// The cause.
    #[schemars(length(max = 256))]
    pub cause: String,
    /// The cause as one of the known failure modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub failure_mode: Option<String>,
    /// Why it was thought less likely.
    #[schemars(length(max = 512))]
    pub why_not: String,
}

/// What came of asking one advisor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consulted {
    /// The advisor: `rules`, `recall`, or `model/<name>`.
    #[schemars(length(max = 128))]
    pub source: String,
    /// A CamelCase word from a bounded set: `Agreed`, `Differed`, `TimedOut`, `Unavailable`, `OverBudget`, …
    #[schemars(length(max = 63))]
    pub outcome: String,
    /// What it said, in a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub said: Option<String>,
    /// The cause that it named, as a failure mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub failure_mode: Option<String>,
    /// How sure it claimed to be, from 0 to 1. It decides nothing; it is compared with what is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub stated_confidence: Option<f64>,
}

/// Where a piece of evidence comes from, and so how far it can be trusted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Status and spec fields that only the control plane and node agents may write.
    ControlPlane,
    /// A measurement.
    Metric,
    /// Text that an attacker could have written: logs, event notes, labels, names.
    Text,
}

impl Provenance {
    /// As evidence spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Metric => "metric",
            Self::Text => "text",
        }
    }
}

macro_rules! failure_modes {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal, $title:literal;)+) => {
        /// A way in which a workload, or what it stands on, fails.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum FailureMode {
            $($(#[doc = $doc])+ #[serde(rename = $id)] $name,)+
        }

        impl FailureMode {
            /// Every failure mode.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The failure mode as objects and messages spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// The failure mode in a phrase.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

failure_modes! {
    /// Containers crash since a rollout that changed configuration, not the image.
    BadConfiguration = "bad-configuration", "containers crash since their configuration changed";
    /// Containers crash or never become ready since a rollout that changed the image or the code.
    BadRollout = "bad-rollout", "the new revision does not work";
    /// The image does not exist, or its name is wrong.
    BadImage = "bad-image", "the image cannot be pulled: it does not exist";
    /// The registry refuses: the pull secret is missing or wrong.
    ImagePullSecret = "image-pull-secret", "the image cannot be pulled: the credentials are missing or wrong";
    /// A ConfigMap or Secret that a container needs does not exist.
    MissingReference = "missing-reference", "a ConfigMap or Secret that it needs does not exist";
    /// Containers crash again and again, and nothing tells why.
    CrashLoop = "crash-loop", "containers crash again and again";
    /// Killed for want of memory as soon as it works: the limit is too small.
    OutOfMemory = "out-of-memory", "the memory limit is too small for what it does";
    /// Memory grows without end.
    MemoryLeak = "memory-leak", "memory grows without end";
    /// Memory rises and falls as garbage is collected: nothing is wrong.
    GarbageCollection = "garbage-collection", "memory rises and falls as garbage is collected";
    /// The CPU limit holds it back.
    CpuThrottling = "cpu-throttling", "the CPU limit holds it back";
    /// Readiness comes and goes.
    ReadinessFlapping = "readiness-flapping", "readiness comes and goes";
    /// A liveness probe kills what works.
    ProbeFailing = "probe-failing", "a probe fails although the process runs";
    /// A rollout does not come to its end.
    StuckRollout = "stuck-rollout", "a rollout does not come to its end";
    /// The autoscaler wants more replicas than it may have.
    AutoscalerAtMaximum = "autoscaler-at-maximum", "the autoscaler is at its maximum and wants more";
    /// A disruption budget allows no eviction, so that nothing moves.
    DisruptionBudgetDeadlock = "disruption-budget-deadlock", "a disruption budget allows no eviction at all";
    /// A node is not ready.
    NodeNotReady = "node-not-ready", "its node is not ready";
    /// Many nodes are not ready at once.
    NodesNotReady = "nodes-not-ready", "many nodes are not ready at once";
    /// A node has run out of disk, memory or processes.
    NodePressure = "node-pressure", "its node runs out of a resource";
    /// No node lets the pod on: taints, selectors or affinities.
    UnschedulableTaint = "unschedulable-taint", "no node accepts it: taints, selectors or affinities";
    /// No node has room.
    UnschedulableResources = "unschedulable-resources", "no node has room for it";
    /// The namespace's quota allows no more pods.
    QuotaExceeded = "quota-exceeded", "the quota of the namespace is used up";
    /// A claim has no volume.
    UnboundVolume = "unbound-volume", "a volume claim is not bound";
    /// A Job has failed as often as it may.
    JobBackoff = "job-backoff", "a Job failed as often as it may";
    /// A Service has no ready endpoint, because it selects nothing.
    ServiceWithoutEndpoints = "service-without-endpoints", "a Service selects no pod";
    /// What it depends on has failed first.
    DependencyFailure = "dependency-failure", "what it depends on has failed first";
    /// Another workload on the node takes what it needs.
    NoisyNeighbour = "noisy-neighbour", "another workload on its node takes what it needs";
    /// It recovers by itself.
    Transient = "transient", "it is recovering by itself";
}

/// A text that names no failure mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no failure mode")]
pub struct UnknownFailureMode(pub String);

impl FromStr for FailureMode {
    type Err = UnknownFailureMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|mode| mode.as_str() == text);
        found
            .copied()
            .ok_or_else(|| UnknownFailureMode(text.to_owned()))
    }
}

impl fmt::Display for FailureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_mode_is_read_as_it_is_written() {
        for mode in FailureMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(*mode));
            let json = serde_json::to_string(mode).unwrap();
            assert_eq!(json, format!("{:?}", mode.as_str()));
        }
        assert!("Memory-Leak".parse::<FailureMode>().is_err());
    }
}
