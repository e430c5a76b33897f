//! What the collector tells of one Kubernetes object.
//!
//! A projection made for judging health: labels, owner chain, limits,
//! conditions, restarts. Environment values, annotations (other than
//! KubeSkippy's own), commands and the contents of Secrets and `ConfigMaps` are
//! never part of it.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// The state of one object at one instant, or that it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectState {
    /// Which object.
    #[serde(flatten)]
    pub target: Target,
    /// When the collector saw it so.
    pub observed_at: Timestamp,
    /// Whether the object no longer exists; the rest is then its last known state.
    #[serde(default)]
    pub deleted: bool,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Whether its deletion has begun.
    #[serde(default)]
    pub terminating: bool,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations under `kubeskippy.io/`, and no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Controlling owners, the nearest first, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
    /// Conditions from the object's status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ObjectCondition>,
    /// For a pod: where it runs and what its containers do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodState>,
    /// For a workload: how many replicas it wants and has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// For a node: what it can give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeState>,
    /// For an autoscaler: what it scales, and how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<AutoscalerState>,
    /// For a disruption budget: what it covers and allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetState>,
}

/// A controlling owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name, in the namespace of what it owns.
    pub name: String,
    /// UID.
    pub uid: String,
}

/// One condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCondition {
    /// Type, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Machine-readable reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What is particular to a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Reason of the pod's phase, such as `Evicted`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Node it was bound to; empty before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub qos: String,
    /// Containers, init containers left out.
    pub containers: Vec<ContainerState>,
}

/// One container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// Name.
    pub name: String,
    /// Image reference.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Limits and requests.
    #[serde(default)]
    pub resources: Resources,
    /// Restarts since the pod was created.
    pub restarts: u32,
    /// Whether its readiness probe passes.
    pub ready: bool,
    /// `waiting`, `running`, `terminated`, or empty when not yet known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Reason of that state, such as `CrashLoopBackOff`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How it ended last, if it ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_termination: Option<Termination>,
}

/// Limits and requests of a container; absent where none is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// CPU limit in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_cores: Option<f64>,
    /// Memory limit in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<f64>,
    /// CPU request in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_request_cores: Option<f64>,
    /// Memory request in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_request_bytes: Option<f64>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// `OOMKilled`, `Error`, `Completed`, …
    pub reason: String,
    /// Exit code.
    pub exit_code: i32,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Replica counts of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Wanted by the spec.
    pub desired: i32,
    /// Existing.
    pub current: i32,
    /// Ready.
    pub ready: i32,
    /// Of the newest revision.
    pub updated: i32,
    /// Whether the controller has seen the newest spec.
    pub observed: bool,
}

/// What is particular to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// Allocatable CPU in cores.
    pub cpu_allocatable_cores: f64,
    /// Allocatable memory in bytes.
    pub memory_allocatable_bytes: f64,
    /// Whether pods are kept off it.
    pub unschedulable: bool,
}

/// What is particular to a `HorizontalPodAutoscaler`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalerState {
    /// Kind of what it scales.
    pub scales_kind: String,
    /// Name of what it scales.
    pub scales_name: String,
    /// Fewest replicas.
    pub min_replicas: i32,
    /// Most replicas.
    pub max_replicas: i32,
    /// Wanted replicas now.
    pub desired_replicas: i32,
}

/// What is particular to a `PodDisruptionBudget`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetState {
    /// Labels that select the pods it covers (`matchLabels` only; empty when it uses expressions).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Evictions it would allow now.
    pub disruptions_allowed: i32,
}

impl ObjectState {
    /// The top-most known controlling owner, or the object itself when nothing controls it.
    pub fn top_owner(&self) -> Owner {
        self.owners.last().cloned().unwrap_or_else(|| Owner {
            api_version: self.target.api_version.clone(),
            kind: self.target.kind.clone(),
            name: self.target.name.clone(),
            uid: self.target.uid.clone(),
        })
    }

    /// The condition of type `kind`, if the object has one.
    pub fn condition(&self, kind: &str) -> Option<&ObjectCondition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// Whether the object's `Ready` condition is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready")
            .is_some_and(|ready| ready.status == "True")
    }
}
