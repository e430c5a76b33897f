//! `HealingPolicy`: what to watch, what counts as trouble, and what may be done about it.
//!
//! The doc comments of the fields are user documentation: they become the
//! descriptions that `kubectl explain` prints.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

mod ai;
mod remedy;
mod resize;
mod safety;
mod trigger;

pub use ai::{AdvisorState, Ai, AiBudget, AiMode, CaseSummary, Learning};
pub use remedy::{
    Action, Autoscaler, CordonAction, CordonOperation, CustomAction, DeleteAction, Direction,
    JobTemplate, NotifyAction, PatchAction, PatchChange, PatchOperation, PatchType, Propagation,
    Remedy, RestartAction, RestartStrategy, RollbackAction, ScaleAction, Webhook,
};
pub use resize::{Recommended, ResizeAction};
pub use safety::{Breaker, Freeze, MaintenanceWindow, ProtectedResource, SafetyRules, Weekday};
pub use trigger::{
    ConditionStatus, ConditionTrigger, EventTrigger, EventType, MetricTrigger, PredictiveTrigger,
    Severity, Trigger, TriggerType,
};

/// A HealingPolicy says which objects to watch, which triggers count as
/// trouble, which actions may heal it, and within which limits. It acts in its
/// own namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kubeskippy.io",
    version = "v1alpha1",
    kind = "HealingPolicy",
    plural = "healingpolicies",
    shortname = "hp",
    category = "kubeskippy",
    namespaced,
    derive = "PartialEq",
    status = "HealingPolicyStatus",
    doc = "Which objects to watch, what counts as trouble, what may heal it, and within which limits.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets"),
    printcolumn(name = "Evaluating", type_ = "integer", json_path = ".status.pending"),
    printcolumn(name = "Fired", type_ = "integer", json_path = ".status.firing"),
    printcolumn(name = "Worst", type_ = "string", json_path = ".status.worst"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Evaluated",
        type_ = "date",
        json_path = ".status.lastEvaluated",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    )
)]
#[x_kube(validation = Rule::new("self.actions.all(a, has(a.name) && a.name != '')")
    .message("every action of a policy needs a name: write actions: [{name: restart-pods, type: restart}]"))]
#[x_kube(validation = Rule::new("self.actions.all(a, self.actions.exists_one(b, has(b.name) && has(a.name) && b.name == a.name))")
    .message("two actions have the same name: give each action its own"))]
#[x_kube(validation = Rule::new("self.actions.all(a, !has(a.triggers) || a.triggers.all(n, self.triggers.exists(t, t.name == n)))")
    .message("an action names a trigger that the policy does not have: write one of the names under triggers"))]
#[x_kube(validation = Rule::new("self.mode == 'monitor' || size(self.actions) > 0")
    .message("a policy without actions can only watch: add an action, or set mode: monitor"))]
#[serde(rename_all = "camelCase")]
pub struct HealingPolicySpec {
    /// Which objects to watch. Without any field: every pod in the policy's namespace.
    #[serde(default)]
    pub selector: Selector,

    /// What counts as trouble. Each trigger is evaluated for each target on
    /// its own: the pod that leaks is the pod that is healed.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(min = 1, max = 32))]
    pub triggers: Vec<Trigger>,

    /// What may be done about it: a ladder. The action with the highest
    /// priority is tried first, the next only when the one before was verified
    /// as not having helped.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub actions: Vec<Action>,

    /// Limits that hold whatever the triggers say.
    #[serde(default)]
    pub safety_rules: SafetyRules,

    /// How far the policy goes by itself. `automatic` waits for approval all
    /// the same before delete, patch, and scaling below the present count,
    /// unless the action says `requiresApproval: false`.
    #[serde(default)]
    pub mode: Mode,

    /// How causes are found, and what a model is asked. Without it built-in rules name the cause,
    /// no model is asked, and the ladder decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<Ai>,

    /// What the policy is measured against in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
}

/// Which objects a policy watches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Namespaces to watch. Empty: the policy's own. Others are honoured only
    /// for a policy in KubeSkippy's system namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub namespaces: Vec<String>,

    /// Labels that an object must carry. Empty: every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,

    /// Kinds of objects to watch. Empty: pods, acted on through their owner
    /// where an action is about a workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub resources: Vec<ResourceFilter>,
}

/// One kind of objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceFilter {
    /// Group and version, such as `v1` or `apps/v1`. Empty: the usual one of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub api_version: Option<String>,

    /// Kind, such as `Pod`, `Deployment`, `StatefulSet`, `DaemonSet`, `Node`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,

    /// Names that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub exclude_names: Vec<String>,
}

/// How far a policy goes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Findings and alerts only; no HealingAction is created.
    Monitor,
    /// Actions are planned and tried on the API server as a dry run; nothing changes.
    Dryrun,
    /// Every action waits for a person's approval.
    Manual,
    /// What the policy says is done.
    #[default]
    Automatic,
}

/// What a policy is measured against.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// Time from a trigger's first breach to verified recovery that reports count as in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heal_within: Option<Duration>,
}

/// What the analyzer last saw of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealingPolicyStatus {
    /// Generation of the spec that was last evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Accepted` (the spec makes sense) and `Ready` (it is evaluated over fresh data), with reasons.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Objects that the selector matches.
    #[serde(default)]
    pub targets: u32,

    /// Targets on which a trigger's condition holds, but not yet for its duration.
    #[serde(default)]
    pub pending: u32,

    /// Targets on which a trigger fired.
    #[serde(default)]
    pub firing: u32,

    /// The worst reading now, such as `web-x2/app 86.2 > 85`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<String>,

    /// Event time of the last evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_evaluated: Option<Timestamp>,

    /// Targets on which a trigger is pending or firing, the worst first, at most 50.
    #[serde(default)]
    pub active_triggers: Vec<ActiveTrigger>,

    /// Triggers that cannot be evaluated for some targets, and why.
    #[serde(default)]
    pub no_data: Vec<NoData>,

    /// Owners on which the last actions did not help, so that nothing more is tried, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_human: Vec<String>,

    /// Owners that are healed again and again, the worst first: the fault itself is still there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healing_debt: Vec<HealingDebt>,

    /// What is wrong now: findings that belong together, with their cause; the worst first, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseSummary>,

    /// Whether each model that the policy asks can be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisors: Vec<AdvisorState>,

    /// Actions proposed under this policy so far, as counted on the bus and from existing objects.
    #[serde(default)]
    pub actions_proposed: u64,

    /// When the last action was proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action: Option<Timestamp>,
}

/// A trigger that is pending or firing on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTrigger {
    /// Name of the trigger.
    pub trigger: String,
    /// `EVALUATING` while the condition holds, but not yet for its duration; then `FIRED`.
    pub state: String,
    /// Kind of the target.
    pub kind: String,
    /// Namespace of the target.
    #[serde(default)]
    pub namespace: String,
    /// Name of the target.
    pub name: String,
    /// UID of the target.
    pub uid: String,
    /// The value seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// When the condition became true, in event time.
    pub since: Timestamp,
    /// When it fired, in event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// Why no action follows, when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// An owner that was healed several times within a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealingDebt {
    /// The owner as `Kind/name`.
    pub owner: String,
    /// How often it was healed within the last day.
    pub heals: u32,
    /// When first within that day.
    pub first_healed: Timestamp,
    /// When last.
    pub last_healed: Timestamp,
    /// Seconds from trouble to verified recovery, all together.
    pub unhealthy_seconds: u64,
}

/// A trigger that has no data for some targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoData {
    /// Name of the trigger.
    pub trigger: String,
    /// How many targets it has no data for.
    pub targets: u32,
    /// One of them.
    pub example: String,
    /// Why, such as `no memory limit is set`.
    pub reason: String,
}
