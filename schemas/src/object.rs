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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// For a `ReplicaSet` or `ControllerRevision`: one revision of its owner's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionState>,
    /// For a Job: what became of its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobState>,
    /// For a Service: whom it sends to, and who is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceState>,
    /// For a `PersistentVolumeClaim`: whether it has its volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimState>,
    /// For a `ResourceQuota`: what may be used, and what is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaState>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What the controller says, cut to 512 bytes; only where the status means trouble.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
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
    /// Init containers, in their order; told only while one of them is not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<ContainerState>,
    /// Objects in the pod's namespace without which it cannot start, by reference alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Reference>,
    /// Services that the pod's environment names, as far as such Services exist. The
    /// environment itself is never told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ServiceName>,
}

/// A reference to an object in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// `ConfigMap`, `Secret` or `PersistentVolumeClaim`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// How it is used: `env`, `volume` or `imagePull`.
    pub via: String,
    /// Whether the pod starts without it.
    #[serde(default)]
    pub optional: bool,
}

/// A Service by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
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
    /// What the kubelet says of a waiting container, cut to 256 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How it ended last, if it ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_termination: Option<Termination>,
    /// Which probes it has.
    #[serde(default, skip_serializing_if = "Probes::is_empty")]
    pub probes: Probes,
}

/// Probes of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Restarts the container when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Takes the pod out of its Services when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// Holds the other two back until it passed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
}

impl Probes {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.liveness.is_none() && self.readiness.is_none() && self.startup.is_none()
    }
}

/// How patient a probe is; what it asks is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds before the first.
    pub initial_delay_seconds: u32,
    /// Seconds between two.
    pub period_seconds: u32,
    /// Seconds until one counts as failed.
    pub timeout_seconds: u32,
    /// Failures in a row that count.
    pub failure_threshold: u32,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// Allocatable CPU in cores.
    pub cpu_allocatable_cores: f64,
    /// Allocatable memory in bytes.
    pub memory_allocatable_bytes: f64,
    /// Whether pods are kept off it.
    pub unschedulable: bool,
    /// What keeps pods off it that do not tolerate it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

/// What keeps pods off a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    pub key: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
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
    /// Replicas there are.
    #[serde(default)]
    pub current_replicas: i32,
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

/// One revision of a workload's template: enough to say what changed from one to the next, and no values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionState {
    /// Its number, growing with each rollout.
    pub number: i64,
    /// Label value by which the pods of the revision are told apart: `pod-template-hash` or `controller-revision-hash`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// The template, field by field: images and resources as they are, environment,
    /// commands and everything else as a keyed digest that says whether it is the same.
    pub template: BTreeMap<String, String>,
    /// Pods wanted of the revision; absent where its object does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Ready pods of the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
}

/// What became of a Job's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobState {
    /// Under way.
    pub active: i32,
    /// Done.
    pub succeeded: i32,
    /// Failed.
    pub failed: i32,
    /// Failures after which it is given up.
    pub backoff_limit: i32,
}

/// Whom a Service sends to, and who is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceState {
    /// Labels of the pods it sends to; empty: endpoints are kept by hand, or elsewhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Endpoints that are ready.
    pub ready: u32,
    /// Endpoints that are not.
    pub not_ready: u32,
}

/// Whether a claim has its volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimState {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Its storage class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub storage_class: String,
}

/// What may be used in a namespace, and what is, by resource, in base units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaState {
    /// What may be used.
    pub hard: BTreeMap<String, f64>,
    /// What is used.
    pub used: BTreeMap<String, f64>,
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
