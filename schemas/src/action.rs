//! `HealingAction`: one change to one object, proposed by the analyzer or a
//! person, and carried out by the actuator.
//!
//! The spec says what and why and cannot be changed once it exists, but for the
//! approval, which is written once, and what people think of the diagnosis. The status is its life.
//!
//! Pure: no IO, no clock.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    diagnosis::Diagnosis,
    operator::Operator,
    policy::{Action, Severity},
    step::Step,
};

/// A HealingAction is one change to one object: what, why, on whose authority.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kubeskippy.io",
    version = "v1alpha1",
    kind = "HealingAction",
    plural = "healingactions",
    shortname = "ha",
    category = "kubeskippy",
    namespaced,
    derive = "PartialEq",
    status = "HealingActionStatus",
    selectable = ".spec.policyName",
    doc = "One change to one object: what is done, why, on whose authority, and what became of it.",
    printcolumn(name = "Action", type_ = "string", json_path = ".spec.action.type"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Trigger", type_ = "string", json_path = ".spec.trigger.name"),
    printcolumn(name = "Value", type_ = "string", json_path = ".spec.trigger.reading"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyName",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        priority = 1
    )
)]
#[x_kube(validation = Rule::new("self.policyName == oldSelf.policyName && self.targetResource == oldSelf.targetResource && self.dryRun == oldSelf.dryRun")
    .message("the spec of a HealingAction cannot be changed, but for its approval: create another HealingAction"))]
#[x_kube(validation = Rule::new("self.action == oldSelf.action")
    .message("the action of a HealingAction cannot be changed: create another HealingAction"))]
#[x_kube(validation = Rule::new("has(self.trigger) == has(oldSelf.trigger) && (!has(self.trigger) || self.trigger == oldSelf.trigger)")
    .message("the trigger of a HealingAction cannot be changed: create another HealingAction"))]
#[x_kube(validation = Rule::new("has(self.diagnosis) == has(oldSelf.diagnosis) && (!has(self.diagnosis) || self.diagnosis == oldSelf.diagnosis)")
    .message("the diagnosis of a HealingAction cannot be changed: create another HealingAction"))]
#[x_kube(validation = Rule::new("!has(oldSelf.approval) || (has(self.approval) && self.approval == oldSelf.approval)")
    .message("an approval is written once and cannot be changed or taken back: reject or approve the next HealingAction"))]
#[serde(rename_all = "camelCase")]
pub struct HealingActionSpec {
    /// Name of the policy, in the same namespace, that allows the action.
    #[schemars(length(min = 1, max = 253))]
    pub policy_name: String,

    /// The object to act on.
    pub target_resource: TargetResource,

    /// What to do to it; it must be one of the policy's actions.
    pub action: Action,

    /// What was seen that called for it. Left out in an action that a person creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerReading>,

    /// Why, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,

    /// Plan it, and try it on the API server as a dry run, but change nothing.
    #[serde(default)]
    pub dry_run: bool,

    /// A person's yes or no. Written once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,

    /// What people think of the diagnosis, one word each; calibration and recall learn from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["by"])
    )]
    pub feedback: Vec<Feedback>,
}

/// The object to act on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetResource {
    /// Group and version. Left out: the usual one of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub api_version: Option<String>,

    /// Kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,

    /// Namespace. Left out: the action's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,

    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// UID. When given, an object that merely has the same name is not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub uid: Option<String>,
}

/// What was seen that called for the action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerReading {
    /// Name of the policy's trigger.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// How bad.
    #[serde(default)]
    pub severity: Severity,

    /// Value against threshold, for people: `86.2 > 85`.
    #[schemars(length(max = 128))]
    pub reading: String,

    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,

    /// The threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,

    /// How they are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,

    /// Kind of the offender, when it is not the target itself (a pod whose owner is acted on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub offender_kind: Option<String>,

    /// Name of the offender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub offender_name: Option<String>,

    /// UID of the offender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub offender_uid: Option<String>,

    /// When the condition became true, in event time. Policy, trigger, offender and this instant name the episode.
    pub since: Timestamp,

    /// When the trigger fired, in event time.
    pub fired_at: Timestamp,
}

/// A person's yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// `approved` or `rejected`.
    #[serde(default)]
    pub decision: Decision,

    /// Who decided: the user name that the API server knows.
    #[schemars(length(min = 1, max = 253))]
    pub approved_by: String,

    /// Digest of the planned change, as `status.digest` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub digest: Option<String>,

    /// For people: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// What one person thinks of the diagnosis of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// Who says so: the user name that the API server knows.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,

    /// `useful` or `wrong`.
    pub opinion: Opinion,

    /// The cause in that person's view, as a failure mode, where the diagnosis is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cause: Option<String>,

    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub comment: Option<String>,
}

/// Whether a diagnosis was of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Opinion {
    /// It named the cause.
    Useful,
    /// It did not.
    Wrong,
}

/// What a person decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Do it.
    #[default]
    Approved,
    /// Do not do it.
    Rejected,
}

/// The life of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealingActionStatus {
    /// Where the action is in its life; a summary of the conditions.
    #[serde(default)]
    pub phase: Phase,

    /// Why it is there, in a CamelCase word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why it is there, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The target as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,

    /// UID of the target as first seen; every write carries it as a precondition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_uid: Option<String>,

    /// Top-most owner of the target as `Kind/name`, by which its replacement is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,

    /// UID of that owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_uid: Option<String>,

    /// Digest of the planned change; an approval must carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,

    /// The planned change, call by call. It is recorded before the first call is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<Step>,

    /// The calls that take the change back, once it was seen not to help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Step>,

    /// How things stood when the intent was recorded; the effect is measured against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,

    /// `Allowed`, `Approved`, `Executed`, `Verified` and `Succeeded`, with reasons.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// What each guard said when the action was last judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<GuardVerdict>,

    /// When it was first judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<Timestamp>,

    /// When its intent to change something was recorded. Budgets count from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,

    /// Until when every call must have been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,

    /// When the API server had accepted every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed_at: Option<Timestamp>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,

    /// Before this instant it is not looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,

    /// Calls that were tried and refused so far.
    #[serde(default)]
    pub attempts: u32,

    /// What verification saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// What one guard said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardVerdict {
    /// The guard.
    pub guard: String,
    /// `Allow`, `Defer`, `Await` or `Deny`.
    pub verdict: String,
    /// CamelCase reason, when it is not `Allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The first instant at which a `Defer` can change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How things stood before a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Ready replicas of the target's top-most owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// The trigger's value on the offender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The trigger's values on siblings that the change leaves alone, by UID, at most 20.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub siblings: std::collections::BTreeMap<String, f64>,
}

/// How much better the target became than the siblings that were left alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Change of the trigger's value on the target, less its mean change on the siblings.
    pub estimate: f64,
    /// Lower bound of the 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper bound of the 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How many siblings it rests on.
    pub siblings: u32,
}

/// What verification saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// `Recovered`, `NotRecovered`, `Harmed` or `Inconclusive`; of a node that is kept closed, `Contained`.
    pub outcome: String,
    /// The object that was looked at: the target, or its replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The trigger's value there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Event time of that value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Timestamp>,
    /// Whether the object is ready.
    #[serde(default)]
    pub ready: bool,
    /// Since when everything the change set in motion has come to rest, and is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The effect of the change, where untreated siblings allow to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Fields of the change that somebody else has changed since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Where an action is in its life.
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
pub enum Phase {
    /// Not yet allowed: new, or held back by a guard that will let go.
    #[default]
    Pending,
    /// Waits for a person.
    AwaitingApproval,
    /// May run, and is about to.
    Approved,
    /// The change is being made.
    InProgress,
    /// The change was made; its effect is awaited.
    Verifying,
    /// The target was seen recovered.
    Succeeded,
    /// The change failed, or did not help.
    Failed,
    /// The change was undone.
    RolledBack,
    /// A guard or a person said no.
    Denied,
    /// Not needed, or not possible, any more.
    Cancelled,
}

impl Phase {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::RolledBack | Self::Denied | Self::Cancelled
        )
    }

    /// The phase as the status spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Approved => "Approved",
            Self::InProgress => "InProgress",
            Self::Verifying => "Verifying",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::RolledBack => "RolledBack",
            Self::Denied => "Denied",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of the action that answers an episode: the same in every analyzer
/// and every replay, so that the API server keeps one of two.
pub fn name(
    policy: &str,
    policy_uid: &str,
    trigger: &str,
    offender_uid: &str,
    episode: &str,
) -> String {
    let hash = crate::digest::short([policy_uid, trigger, offender_uid, episode], 10);
    let mut stem: String = policy.chars().take(52).collect();
    while stem.ends_with(['-', '.']) {
        stem.pop();
    }
    format!("{stem}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_for_the_same_episode_and_fits_a_label() {
        let of = |episode| name(&"p".repeat(200), "uid", "high-memory", "pod-uid", episode);
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        assert!(of("1").len() <= 63);
    }

    #[test]
    fn only_five_phases_are_final() {
        let all = [
            Phase::Pending,
            Phase::AwaitingApproval,
            Phase::Approved,
            Phase::InProgress,
            Phase::Verifying,
            Phase::Succeeded,
            Phase::Failed,
            Phase::RolledBack,
            Phase::Denied,
            Phase::Cancelled,
        ];
        assert_eq!(all.into_iter().filter(|phase| phase.is_final()).count(), 5);
    }
}
