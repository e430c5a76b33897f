//! What may be done about trouble.
//!
//! Pure: no IO, no clock.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

use super::{ResizeAction, Severity};

/// One thing that may be done. The block named after the type holds its
/// parameters; types that need none may leave it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.type == 'restart' || !has(self.restartAction)").message("restartAction goes with type: restart"))]
#[x_kube(validation = Rule::new("(self.type == 'scale') == has(self.scaleAction)").message("type: scale goes with scaleAction, and only with it: write scaleAction: {direction: up, replicas: 1}"))]
#[x_kube(validation = Rule::new("(self.type == 'patch') == has(self.patchAction)").message("type: patch goes with patchAction, and only with it: write patchAction: {type: strategic, patch: '...'}"))]
#[x_kube(validation = Rule::new("self.type == 'delete' || !has(self.deleteAction)").message("deleteAction goes with type: delete"))]
#[x_kube(validation = Rule::new("(self.type == 'resize') == has(self.resizeAction)").message("type: resize goes with resizeAction, and only with it: write resizeAction: {limits: {memory: 1Gi}}"))]
#[x_kube(validation = Rule::new("self.type == 'rollback' || !has(self.rollbackAction)").message("rollbackAction goes with type: rollback"))]
#[x_kube(validation = Rule::new("self.type == 'cordon' || !has(self.cordonAction)").message("cordonAction goes with type: cordon"))]
#[x_kube(validation = Rule::new("self.type == 'notify' || !has(self.notifyAction)").message("notifyAction goes with type: notify"))]
#[x_kube(validation = Rule::new("(self.type == 'custom') == has(self.customAction)").message("type: custom goes with customAction, and only with it: write customAction: {job: {...}} or customAction: {webhook: {url: ...}}"))]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Name, unique in the policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub name: String,

    /// What is done.
    #[serde(rename = "type")]
    pub kind: Remedy,

    /// For people: what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// Which action is tried first: the one with the higher number.
    #[serde(default = "fifty")]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: i32,

    /// Whether a person must agree. Left out: the policy's mode decides, and
    /// delete, patch and scaling down wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_approval: Option<bool>,

    /// Names of the triggers that this action answers. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    pub triggers: Vec<String>,

    /// Parameters of `restart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_action: Option<RestartAction>,

    /// Parameters of `scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_action: Option<ScaleAction>,

    /// Parameters of `patch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_action: Option<PatchAction>,

    /// Parameters of `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_action: Option<DeleteAction>,

    /// Parameters of `resize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize_action: Option<ResizeAction>,

    /// Parameters of `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_action: Option<RollbackAction>,

    /// Parameters of `cordon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon_action: Option<CordonAction>,

    /// Parameters of `notify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_action: Option<NotifyAction>,

    /// Parameters of `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_action: Option<CustomAction>,
}

/// The kinds of remedies.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// Replace a pod, or roll a workload's pods.
    #[default]
    Restart,
    /// Change the number of replicas.
    Scale,
    /// Change fields.
    Patch,
    /// Delete the object.
    Delete,
    /// Change CPU and memory in place.
    Resize,
    /// Go back to an earlier revision.
    Rollback,
    /// Keep pods off a node, drain it, or let them on again.
    Cordon,
    /// Tell people, change nothing.
    Notify,
    /// Run a Job or call a webhook.
    Custom,
}

impl Remedy {
    /// The remedy as policies spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Resize => "resize",
            Self::Rollback => "rollback",
            Self::Cordon => "cordon",
            Self::Notify => "notify",
            Self::Custom => "custom",
        }
    }

    /// Whether taking it back gives the target what it had.
    pub const fn is_reversible(self) -> bool {
        match self {
            Self::Scale | Self::Patch | Self::Resize | Self::Rollback | Self::Cordon => true,
            Self::Restart | Self::Delete | Self::Notify | Self::Custom => false,
        }
    }
}

/// How pods are replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartAction {
    /// `rolling`: evict the pod, or restart the workload's rollout. `recreate`:
    /// also allowed for a pod without a controller, which is created anew from
    /// its own spec. `graceful`: as rolling, with the given grace period.
    #[serde(default)]
    pub strategy: RestartStrategy,

    /// How many pods of one workload may be replaced at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_concurrent: Option<u32>,

    /// Seconds a pod gets to end by itself. Left out: the pod's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub grace_period_seconds: Option<u32>,
}

/// How a restart proceeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestartStrategy {
    /// One by one, honouring disruption budgets.
    #[default]
    Rolling,
    /// Delete and create.
    Recreate,
    /// With an explicit grace period.
    Graceful,
}

/// How the number of replicas changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas")
    .message("minReplicas is above maxReplicas: swap them, or raise maxReplicas"))]
#[x_kube(validation = Rule::new("self.direction != 'absolute' || has(self.replicas)")
    .message("direction: absolute needs replicas: the count to scale to"))]
#[serde(rename_all = "camelCase")]
pub struct ScaleAction {
    /// `up` or `down` by `replicas`, or to exactly `replicas` with `absolute`.
    #[serde(default)]
    pub direction: Direction,

    /// The step, or with `absolute` the count. Left out: a step of 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: Option<i32>,

    /// Never fewer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub min_replicas: Option<i32>,

    /// Never more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub max_replicas: Option<i32>,

    /// What to do when an autoscaler owns the count: `refuse`, or `adjust` its bounds within minReplicas and maxReplicas.
    #[serde(default)]
    pub autoscaler: Autoscaler,
}

/// Which way to scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More replicas.
    #[default]
    Up,
    /// Fewer replicas.
    Down,
    /// Exactly so many.
    Absolute,
}

/// What to do when an autoscaler owns the number of replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Autoscaler {
    /// Leave the count alone and say who owns it.
    #[default]
    Refuse,
    /// Move the autoscaler's bounds instead.
    Adjust,
}

/// Which fields change, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.patch) != (has(self.patches) && size(self.patches) > 0)")
    .message("give either patch (text) or patches (a list), not both and not neither"))]
#[serde(rename_all = "camelCase")]
pub struct PatchAction {
    /// How `patch` is merged.
    #[serde(default, rename = "type")]
    pub kind: PatchType,

    /// The patch as JSON or YAML text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub patch: Option<String>,

    /// Changes by path, such as `spec.template.spec.containers[name=app].image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub patches: Vec<PatchChange>,

    /// The only field paths the patch may touch. Empty: those that `patches` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 512)))]
    pub fields: Vec<String>,
}

/// How a patch is merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PatchType {
    /// Lists are merged by their keys.
    #[default]
    Strategic,
    /// Lists are replaced (RFC 7396).
    Merge,
    /// A list of operations (RFC 6902).
    Json,
}

/// One change of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchChange {
    /// Which field; items of lists by key: `containers[name=app]`.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    /// `set` or `remove`.
    #[serde(default)]
    pub op: PatchOperation,
    /// The new value as JSON or YAML text, such as `512Mi`, `3` or `{"a": "b"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
}

/// What happens to a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PatchOperation {
    /// The field gets the value.
    #[default]
    Set,
    /// The field is removed.
    Remove,
}

/// How the object is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("(has(self.stripFinalizers) && self.stripFinalizers) == (has(self.finalizers) && size(self.finalizers) > 0)")
    .message("stripFinalizers: true goes with the names of those that may be removed, and only with them: write finalizers: [example.com/cleanup]"))]
#[serde(rename_all = "camelCase")]
pub struct DeleteAction {
    /// Seconds the object gets to end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub grace_period_seconds: Option<u32>,

    /// Delete at once, without waiting for the kubelet. Always waits for approval.
    #[serde(default)]
    pub force: bool,

    /// What happens to what the object owns.
    #[serde(default)]
    pub propagation_policy: Propagation,

    /// Remove those of the object's finalizers that `finalizers` names, once its deletion has hung for 5 minutes
    /// (`--hanging-seconds`); an object that is not being deleted is left alone. What the finalizer was to clean up stays. Always waits for approval.
    #[serde(default)]
    pub strip_finalizers: bool,

    /// The only finalizers that `stripFinalizers` may remove, by their full names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 316)))]
    pub finalizers: Vec<String>,
}

/// What happens to what a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Propagation {
    /// It is deleted afterwards.
    #[default]
    Background,
    /// It is deleted first.
    Foreground,
    /// It stays.
    Orphan,
}

/// Which revision to go back to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackAction {
    /// The revision. Left out: the last one that was healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub to_revision: Option<i64>,
}

/// What is done with a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CordonAction {
    /// `cordon`, `drain` or `uncordon`.
    #[serde(default)]
    pub operation: CordonOperation,

    /// How long a drain may take.
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
}

/// What is done with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CordonOperation {
    /// Keep new pods off it.
    #[default]
    Cordon,
    /// Keep new pods off it and evict those on it.
    Drain,
    /// Let pods on it again.
    Uncordon,
}

/// Whom to tell what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotifyAction {
    /// What to say, besides what the trigger says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,

    /// How bad it is. Left out: as bad as the trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// A Job to run or a webhook to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.job) != has(self.webhook)").message("customAction needs either job or webhook, not both"))]
#[serde(rename_all = "camelCase")]
pub struct CustomAction {
    /// A Job to run; it succeeds when the Job does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobTemplate>,

    /// A webhook to call, once; it succeeds when the answer is 2xx. An answer that is lost is never asked for
    /// again: the action fails and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// How long it may take. A webhook gets 30 s at most.
    #[serde(default = "five_minutes")]
    pub timeout: Duration,
}

/// A Job to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobTemplate {
    /// The Job's spec as JSON or YAML text, as under `spec` of a `batch/v1` Job.
    #[schemars(length(min = 1, max = 16384))]
    pub spec: String,
}

/// A webhook to call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Where to, as https. Addresses within the cluster, or private ones, are called only where the actuator's
    /// `--webhook-allow` names them.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://"))]
    pub url: String,

    /// Secret in KubeSkippy's namespace, mounted into the actuator, whose key `token` signs the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub secret_name: Option<String>,
}

fn fifty() -> i32 {
    50
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}
