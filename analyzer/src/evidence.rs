//! What is known about a case, piece by piece.
//!
//! Every piece has an identifier, says which object it is about, where it comes
//! from and since when it holds. Facts are typed: a rule reads numbers and
//! reason codes, never prose. Text that somebody could have written into the
//! cluster is marked as such, and nothing rests on it alone.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    diagnosis::Provenance,
    object::{ObjectCondition, Probes, QuotaState, Resources},
    policy::Remedy,
    target::Target,
};

pub mod describe;
pub mod shape;
pub mod template;

/// Identifier of a piece within its case: `E1`, `E2`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u16);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.0)
    }
}

/// Whether a field of a template is a container's image. Pull policy and pull secrets are not.
pub(crate) fn is_image(field: &str) -> bool {
    let last = field.rsplit(['.', '/']).next().unwrap_or(field);
    last.eq_ignore_ascii_case("image")
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its identifier within the case.
    pub id: Id,
    /// Which object it is about.
    pub about: Target,
    /// How far it can be trusted.
    pub provenance: Provenance,
    /// Since when it holds, in event time: the onset of a series, the first of some events,
    /// the instant of a change.
    pub since: Timestamp,
    /// What it says.
    pub fact: Fact,
}

/// What a piece of evidence says.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A trigger of a policy holds on the object.
    Finding(Finding),
    /// A measurement over time.
    Series(Measurement),
    /// Cluster events of one shape.
    Events(EventShape),
    /// A condition that means trouble, or that changed lately.
    Condition(Condition),
    /// How a container ended last, and how often it was restarted.
    Termination(Termination),
    /// A container, or init container, that waits.
    Waiting(Waiting),
    /// Limits, requests and probes of the container that matters most.
    Container(Container),
    /// A rollout: the newest revision, when it came, and what it changed.
    Rollout(Rollout),
    /// Replicas of a workload.
    Replicas(schemas::object::Replicas),
    /// An autoscaler of the owner.
    Autoscaler(Autoscaler),
    /// A disruption budget that covers the owner's pods.
    Budget {
        /// Name of the budget.
        name: String,
        /// Evictions it would allow now.
        allowed: i32,
    },
    /// The node that a pod runs on, or a node that is in trouble itself.
    Node(Node),
    /// Why a pod is not scheduled, as the scheduler counts it.
    Scheduling(Scheduling),
    /// A quota of the namespace that is used up, or nearly.
    Quota {
        /// Name of the quota.
        name: String,
        /// The resource, such as `pods` or `limits.memory`.
        resource: String,
        /// What is used.
        used: f64,
        /// What may be used.
        hard: f64,
    },
    /// A volume claim of a pod.
    Claim {
        /// Name of the claim.
        name: String,
        /// `Pending`, `Bound` or `Lost`.
        phase: String,
        /// Its storage class.
        storage_class: String,
    },
    /// A Service that selects the owner's pods, or that the case is about.
    Service {
        /// Ready endpoints.
        ready: u32,
        /// Endpoints that are not ready.
        not_ready: u32,
        /// Pods, ready or not, that its selector matches.
        selected: u32,
        /// Whether it has a selector.
        selects: bool,
    },
    /// A Job that failed.
    Job(schemas::object::JobState),
    /// The owner's pods call a Service of another owner.
    Dependency {
        /// The owner of the pods behind that Service; the Service itself where none is known.
        on: Target,
        /// When that owner's own trouble began, if it is in trouble.
        failed_at: Option<Timestamp>,
    },
    /// Another workload's use of the same node.
    Neighbour {
        /// The neighbour: the top-most owner of a pod, with which the cause lies.
        pod: Target,
        /// What it takes: `cpu` or `memory`.
        resource: String,
        /// Its share of what the node can give, from 0 to 1.
        share: f64,
        /// Its use over its own request; absent where it requests nothing.
        over_request: Option<f64>,
    },
    /// An action that was taken before on the same owner.
    PastAction {
        /// Name of the HealingAction.
        name: String,
        /// What it did.
        remedy: Remedy,
        /// Its phase, such as `Succeeded`.
        phase: String,
        /// When it ended.
        ended_at: Option<Timestamp>,
    },
    /// How the other pods of the owner are.
    Siblings {
        /// How many there are, the pods of the case included.
        pods: u32,
        /// How many of them are in trouble.
        sick: u32,
        /// How many of the sick ones are of the newest revision.
        sick_of_newest: u32,
        /// How many are of the newest revision.
        of_newest: u32,
    },
    /// Lines of a container's log, as shapes with counts.
    Log {
        /// Name of the container.
        container: String,
        /// Shapes, the most frequent first.
        shapes: Vec<(String, u32)>,
    },
}

/// A trigger that is pending or firing.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Namespace and name of the policy.
    pub policy: (String, String),
    /// Name of the trigger.
    pub trigger: String,
    /// What it reads: a query, an event's reason, a condition.
    pub subject: String,
    /// The value seen last.
    pub value: f64,
    /// What it is compared with.
    pub threshold: f64,
    /// When it fired; absent while it is pending.
    pub fired_at: Option<Timestamp>,
}

/// A measurement over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Which.
    pub metric: Metric,
    /// Container it is of; empty where it is of the whole object.
    pub container: String,
    /// What it is held against: the limit, or what the node can give.
    pub limit: Option<f64>,
    /// Its shape.
    pub shape: Shape,
    /// The values, the oldest first, thinned to at most 48; a gap is `None`.
    pub points: Vec<(Timestamp, Option<f64>)>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Memory in use, in bytes.
    MemoryBytes,
    /// CPU in use, in cores.
    CpuCores,
    /// Restarts of the container, as a count that only grows.
    Restarts,
    /// Whether it is ready: 1 or 0.
    Ready,
}

impl Metric {
    /// The unit, as evidence spells it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::MemoryBytes => "bytes",
            Self::CpuCores => "cores",
            Self::Restarts => "count",
            Self::Ready => "boolean",
        }
    }
}

/// What a series looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// How many values there are.
    pub count: u32,
    /// The newest value.
    pub last: f64,
    /// The median of the newest quarter: the level now.
    pub level: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Robust slope (Theil–Sen) in units per hour.
    pub slope_per_hour: f64,
    /// Share of the variance that a straight line explains, from 0 to 1.
    pub linearity: f64,
    /// Share of the steps that do not fall, from 0 to 1.
    pub rising: f64,
    /// Sudden falls by more than a fifth of the range that are not at a restart.
    pub drops: u32,
    /// Where the level changed most, by how much, and how sure that is (two-sample, from 0 to 1).
    pub change: Option<Change>,
    /// The period of a repeating pattern, if there is one, and how strong it is (autocorrelation).
    pub season: Option<(SignedDuration, f64)>,
    /// How often a two-valued series changes.
    pub flips: u32,
}

/// Where the level of a series changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The level after, less the level before.
    pub by: f64,
    /// How sure, from 0 to 1.
    pub confidence: f64,
}

/// Cluster events of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventShape {
    /// `Normal` or `Warning`.
    pub kind: String,
    /// The reason, such as `BackOff`. Whoever may create Events may write any.
    pub reason: String,
    /// Who reported it, as the Event says.
    pub reporter: String,
    /// The note with its variable parts replaced by `<*>`.
    pub template: String,
    /// Occurrences within the window.
    pub count: u64,
    /// When the last one came.
    pub last: Timestamp,
}

/// A condition of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Type, such as `Ready`.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Reason code.
    pub reason: String,
    /// What the controller says.
    pub message: String,
}

/// How a container ended last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Name of the container.
    pub container: String,
    /// `OOMKilled`, `Error`, `Completed`, …
    pub reason: String,
    /// Exit code.
    pub exit_code: i32,
    /// Restarts so far.
    pub restarts: u32,
}

/// A container that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Name of the container.
    pub container: String,
    /// Whether it is an init container.
    pub init: bool,
    /// Reason code, such as `ImagePullBackOff`, `CreateContainerConfigError`.
    pub reason: String,
    /// What the kubelet says, cut.
    pub message: String,
}

/// Limits, requests and probes of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Name of the container.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Limits and requests.
    pub resources: Resources,
    /// Probes.
    pub probes: Probes,
}

/// The newest rollout of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Number of the newest revision.
    pub revision: i64,
    /// Fields of the template that differ from the revision before, with the value before and after;
    /// empty where no earlier revision is known.
    pub changes: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Number of the revision before, if one is known.
    pub previous: Option<i64>,
    /// Ready pods of the revision before.
    pub previous_ready: Option<i32>,
    /// Whether every replica is of the newest revision and ready.
    pub complete: bool,
}

/// An autoscaler of the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Most replicas.
    pub max: i32,
    /// Replicas it wants now.
    pub desired: i32,
    /// Whether its `ScalingLimited` condition says that it wants more than it may have.
    pub limited: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it is ready: `True`, `False` or `Unknown`.
    pub ready: String,
    /// Pressure conditions that are true, such as `MemoryPressure`.
    pub pressures: Vec<String>,
    /// Nodes of the cluster.
    pub nodes: u32,
    /// How many of them are not ready.
    pub not_ready: u32,
}

/// Why a pod is not scheduled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// Nodes of the cluster, as the scheduler counts.
    pub nodes: u32,
    /// Nodes turned down for want of CPU, memory or another resource.
    pub insufficient: u32,
    /// Nodes turned down for a taint that the pod does not tolerate.
    pub tainted: u32,
    /// Nodes turned down by the pod's selector or affinity.
    pub unmatched: u32,
    /// Whether a volume claim that is not bound stands in the way.
    pub unbound: bool,
}

/// Whether a condition of a node says that it runs out of something.
pub fn is_pressure(condition: &ObjectCondition) -> bool {
    let kind = condition.kind.as_str();
    condition.status == "True" && (kind.ends_with("Pressure") || kind == "NetworkUnavailable")
}

/// The share of a quota from which on it counts as used up: what is refused next is rarely as small as the rest.
const NEARLY: f64 = 0.9;

/// Whether any resource of a quota is used up, or nearly.
pub fn is_used_up(quota: &QuotaState) -> bool {
    exhausted(quota).next().is_some()
}

/// The resources of a quota that are used up, or nearly: name, what is used, what may be used.
pub fn exhausted(quota: &QuotaState) -> impl Iterator<Item = (&str, f64, f64)> {
    quota.hard.iter().filter_map(|(resource, hard)| {
        let used = quota.used.get(resource).copied()?;
        (used >= NEARLY * hard).then_some((resource.as_str(), used, *hard))
    })
}
