//! What is told about a transition: the alert and the journal's line.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemas::{
    action::{
        Approval, Baseline, Feedback, GuardVerdict, HealingActionStatus, Phase, TriggerReading,
        Verification,
    },
    alert::{self, Alert, AlertKind},
    diagnosis::Diagnosis,
    digest,
    outcome::{Identity, Lesson},
    policy::Severity,
    step::Step,
    target::Target,
};
use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;

/// Longest note that the API server takes in an Event, in bytes.
const LONGEST_NOTE: usize = 1024;

/// One line of the audit trail: a transition and all that it rested on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The cluster's name.
    pub cluster: String,
    /// Namespace of the action.
    pub namespace: String,
    /// Name of the action.
    pub action: String,
    /// UID of the action.
    pub action_uid: String,
    /// Name of the policy.
    pub policy: String,
    /// Name of the trigger; empty for an action by hand.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trigger: String,
    /// The target as `Kind/name`.
    pub target: String,
    /// UID of the target.
    pub target_uid: String,
    /// The phase that was left.
    pub from: String,
    /// The phase that was reached.
    pub phase: String,
    /// Why.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What each guard said.
    pub verdicts: Vec<GuardVerdict>,
    /// The planned calls, with every field that they change.
    pub plan: Vec<Step>,
    /// The calls that take the change back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Step>,
    /// Digest of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Who said yes or no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What verification saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// How things stood before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What was seen that called for the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<TriggerReading>,
    /// What people think of the diagnosis so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<Feedback>,
    /// The cause, who named it and who else was asked; told with the end alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// What the action teaches, once it has ended; the lines of older actuators have none.
    #[serde(default, skip_serializing_if = "Lesson::is_empty")]
    pub lesson: Lesson,
    /// Digests of what the transition was decided on; none when it is told late, after a
    /// crash, because that is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Digests of what a decision rested on: who has the inputs can show that they are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Of the action's spec.
    pub action: String,
    /// Of the policy's spec; none without a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Of the analyzer's last report on the target; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<String>,
    /// Of UID and resource version of every object that was read, sorted.
    pub objects: String,
    /// Of UID, phase, start and end of every other action, sorted.
    pub history: String,
}

/// Digests what the judgement of `snapshot` rested on.
pub fn evidence(snapshot: &Snapshot) -> Evidence {
    let objects = snapshot
        .target
        .iter()
        .chain(&snapshot.owners)
        .chain(&snapshot.offender)
        .chain(&snapshot.pods)
        .chain(&snapshot.autoscaler)
        .chain(&snapshot.touched);
    let objects: BTreeSet<_> = objects
        .map(|object| format!("{} {}", object.target.uid, object.resource_version))
        .collect();
    let instant = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let history: BTreeSet<_> = snapshot
        .history
        .iter()
        .map(|past| {
            let (start, end) = (instant(past.started_at), instant(past.finished_at));
            format!("{} {} {start} {end}", past.uid, past.phase.as_str())
        })
        .collect();
    Evidence {
        action: of_json(&snapshot.action.spec),
        policy: snapshot.policy.as_ref().map(|it| of_json(&it.spec)),
        observation: snapshot.observation.as_ref().map(of_json),
        objects: digest::hex(objects),
        history: digest::hex(history),
    }
}

/// The digest of a value as JSON, which our types write the same each time.
fn of_json<T: Serialize>(value: &T) -> String {
    // What came as JSON can be written as JSON; a value that cannot has the digest of nothing.
    let text = serde_json::to_vec(value).unwrap_or_default();
    digest::hex([text])
}

/// The journal's line about the action of `snapshot` having reached `status`.
pub fn entry(snapshot: &Snapshot, status: &HealingActionStatus, cluster: &str) -> Entry {
    let action = &snapshot.action;
    let trigger = action.spec.trigger.as_ref();
    Entry {
        cluster: cluster.to_owned(),
        namespace: action.namespace.clone(),
        action: action.name.clone(),
        action_uid: action.uid.clone(),
        policy: action.spec.policy_name.clone(),
        trigger: trigger.map(|t| t.name.clone()).unwrap_or_default(),
        target: status.target.clone().unwrap_or_default(),
        target_uid: status.target_uid.clone().unwrap_or_default(),
        from: action.status.phase.as_str().to_owned(),
        phase: status.phase.as_str().to_owned(),
        reason: status.reason.clone().unwrap_or_default(),
        message: status.message.clone().unwrap_or_default(),
        verdicts: status.verdicts.clone(),
        plan: status.plan.clone(),
        undo: status.undo.clone(),
        digest: status.digest.clone(),
        approval: action.spec.approval.clone(),
        verification: status.verification.clone(),
        baseline: status.baseline.clone(),
        reading: action.spec.trigger.clone(),
        feedback: action.spec.feedback.clone(),
        diagnosis: action
            .spec
            .diagnosis
            .clone()
            .filter(|_| status.phase.is_final()),
        lesson: lesson(snapshot, status),
        evidence: Some(evidence(snapshot)),
    }
}

/// What the action of `snapshot` teaches, having reached `status`.
fn lesson(snapshot: &Snapshot, status: &HealingActionStatus) -> Lesson {
    let action = &snapshot.action;
    let identity = Identity {
        uid: &action.uid,
        namespace: &action.namespace,
        name: &action.name,
        generation: action.generation.unwrap_or_default(),
    };
    Lesson::read(identity, &action.spec, status)
}

/// The alert about the action of `snapshot` having reached `status`; none while it merely waits.
pub fn alert(snapshot: &Snapshot, status: &HealingActionStatus, cluster: &str) -> Option<Alert> {
    let action = &snapshot.action;
    let trigger = action.spec.trigger.as_ref();
    let policy = snapshot.policy.as_ref();
    let policy_uid = policy.map(|policy| policy.uid.clone()).unwrap_or_default();
    // What the policy wants people to be told is said when they are told first.
    let told = action.spec.action.notify_action.clone().unwrap_or_default();
    let says = told.message.filter(|_| status.phase == Phase::InProgress);
    let severity = told.severity.or_else(|| trigger.map(|t| t.severity));
    Some(Alert {
        kind: kind(status.phase)?,
        cluster: cluster.to_owned(),
        fingerprint: fingerprint(snapshot, &policy_uid),
        namespace: action.namespace.clone(),
        policy: action.spec.policy_name.clone(),
        policy_uid,
        trigger: trigger.map(|t| t.name.clone()).unwrap_or_default(),
        severity: severity.unwrap_or(Severity::Info),
        target: offender(snapshot),
        value: trigger.and_then(|t| t.value),
        threshold: trigger.and_then(|t| t.threshold),
        operator: trigger.and_then(|t| t.operator),
        starts_at: trigger.map(|t| t.since).or(action.created_at),
        fired_at: trigger.map(|t| t.fired_at),
        ends_at: status.finished_at,
        action: action.name.clone(),
        reason: status.reason.clone().unwrap_or_default(),
        message: says.or_else(|| status.message.clone()).unwrap_or_default(),
    })
}

const fn kind(phase: Phase) -> Option<AlertKind> {
    match phase {
        Phase::Pending => None,
        Phase::AwaitingApproval => Some(AlertKind::ActionAwaitingApproval),
        Phase::Approved => Some(AlertKind::ActionApproved),
        Phase::InProgress => Some(AlertKind::ActionExecuting),
        Phase::Verifying => Some(AlertKind::ActionVerifying),
        Phase::Succeeded => Some(AlertKind::ActionSucceeded),
        Phase::Failed => Some(AlertKind::ActionFailed),
        Phase::RolledBack => Some(AlertKind::ActionRolledBack),
        Phase::Denied => Some(AlertKind::ActionDenied),
        Phase::Cancelled => Some(AlertKind::ActionCancelled),
    }
}

/// The fingerprint of the trigger that called for the action, so that receivers
/// see one story; an action by hand is a story of its own.
fn fingerprint(snapshot: &Snapshot, policy_uid: &str) -> String {
    let trigger = snapshot.action.spec.trigger.as_ref();
    match (trigger, snapshot.offender_uid()) {
        (Some(trigger), Some(uid)) => alert::fingerprint(policy_uid, &trigger.name, uid),
        (Some(_), None) | (None, _) => alert::fingerprint(policy_uid, "", &snapshot.action.uid),
    }
}

/// Names the episode, as the alerts about it do.
pub fn episode(snapshot: &Snapshot) -> String {
    let policy_uid = snapshot.policy.as_ref().map_or("", |p| p.uid.as_str());
    let trigger = snapshot.action.spec.trigger.as_ref();
    let since = trigger.map(|t| t.since).or(snapshot.action.created_at);
    let since = since.map(Timestamp::as_millisecond);
    let since = since.map(|at| at.to_string()).unwrap_or_default();
    format!("{}/{since}", fingerprint(snapshot, policy_uid))
}

/// The object that breached the trigger, or the target of an action by hand.
fn offender(snapshot: &Snapshot) -> Target {
    let action = &snapshot.action;
    let wanted = &action.spec.target_resource;
    let trigger = action.spec.trigger.as_ref();
    let kind = trigger.and_then(|t| t.offender_kind.clone());
    let name = trigger.and_then(|t| t.offender_name.clone());
    let kind = kind.unwrap_or_else(|| wanted.kind.clone());
    let api_version = crate::object::api_resource(&kind).map(|known| known.api_version);
    Target {
        api_version: api_version
            .or_else(|| wanted.api_version.clone())
            .unwrap_or_default(),
        kind,
        namespace: wanted
            .namespace
            .clone()
            .unwrap_or_else(|| action.namespace.clone()),
        name: name.unwrap_or_else(|| wanted.name.clone()),
        uid: snapshot
            .offender_uid()
            .or(snapshot.pinned_uid())
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Whether a phase is worth a warning.
pub const fn is_bad(phase: Phase) -> bool {
    matches!(phase, Phase::Failed | Phase::Denied | Phase::RolledBack)
}

/// A message cut to what an Event may hold.
pub fn note(message: &str) -> String {
    let mut note = String::new();
    for letter in message.chars() {
        if note.len() + letter.len_utf8() > LONGEST_NOTE {
            break;
        }
        note.push(letter);
    }
    note
}

#[cfg(test)]
mod tests;
