//! What a human, or another system, is told.
//!
//! Alerts are CloudEvents on `kubeskippy.<cluster>.alerts.…`. The fingerprint
//! names the episode's subject (policy, trigger, target) and stays the same
//! from pending to resolved, so that receivers can group and close.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{envelope::Envelope, operator::Operator, policy::Severity, target::Target};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlertKind {
    /// A trigger's condition became true; it is being evaluated.
    TriggerPending,
    /// The condition held for the trigger's duration.
    TriggerFiring,
    /// The condition is false again, or its target is gone.
    TriggerResolved,
    /// A healing action was created.
    ActionProposed,
    /// The action waits for a person.
    ActionAwaitingApproval,
    /// A person said yes.
    ActionApproved,
    /// A guard or a person said no.
    ActionDenied,
    /// The change is being made.
    ActionExecuting,
    /// The change was made; its effect is awaited.
    ActionVerifying,
    /// The target was seen recovered.
    ActionSucceeded,
    /// The change failed, or did not help.
    ActionFailed,
    /// The change was undone.
    ActionRolledBack,
    /// The action was not needed any more.
    ActionCancelled,
    /// Findings that belong together: something new is wrong.
    CaseOpened,
    /// Its cause is known, or known better.
    CaseDiagnosed,
    /// None of its findings is left.
    CaseResolved,
    /// The last actions on an owner did not help: a person should look at it.
    PolicyNeedsHuman,
    /// An owner is healed again and again: the fault itself is still there.
    PolicyHealingDebt,
}

impl AlertKind {
    /// The CloudEvents type.
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::TriggerPending => "io.kubeskippy.trigger.pending.v1",
            Self::TriggerFiring => "io.kubeskippy.trigger.firing.v1",
            Self::TriggerResolved => "io.kubeskippy.trigger.resolved.v1",
            Self::ActionProposed => "io.kubeskippy.action.proposed.v1",
            Self::ActionAwaitingApproval => "io.kubeskippy.action.awaitingapproval.v1",
            Self::ActionApproved => "io.kubeskippy.action.approved.v1",
            Self::ActionDenied => "io.kubeskippy.action.denied.v1",
            Self::ActionExecuting => "io.kubeskippy.action.executing.v1",
            Self::ActionVerifying => "io.kubeskippy.action.verifying.v1",
            Self::ActionSucceeded => "io.kubeskippy.action.succeeded.v1",
            Self::ActionFailed => "io.kubeskippy.action.failed.v1",
            Self::ActionRolledBack => "io.kubeskippy.action.rolledback.v1",
            Self::ActionCancelled => "io.kubeskippy.action.cancelled.v1",
            Self::CaseOpened => "io.kubeskippy.case.opened.v1",
            Self::CaseDiagnosed => "io.kubeskippy.case.diagnosed.v1",
            Self::CaseResolved => "io.kubeskippy.case.resolved.v1",
            Self::PolicyNeedsHuman => "io.kubeskippy.policy.needshuman.v1",
            Self::PolicyHealingDebt => "io.kubeskippy.policy.healingdebt.v1",
        }
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What happened.
    pub kind: AlertKind,
    /// The cluster's name.
    pub cluster: String,
    /// The same for every alert about this policy, trigger and target.
    pub fingerprint: String,
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub policy: String,
    /// UID of the policy; empty in alerts of actions whose policy is gone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy_uid: String,
    /// Name of the trigger; empty for an action that a person created.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trigger: String,
    /// How bad.
    pub severity: Severity,
    /// The offender.
    pub target: Target,
    /// The value that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How it is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    /// When the condition became true, in event time. It names the episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When the trigger fired, in event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// The healing action, in alerts about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// A CamelCase reason from a bounded set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// The fingerprint of a policy's trigger on a target.
pub fn fingerprint(policy_uid: &str, trigger: &str, target_uid: &str) -> String {
    crate::digest::short([policy_uid, trigger, target_uid], 16)
}

impl Alert {
    /// Wraps the alert for the bus. The id is derived from what the alert says
    /// happened, so that a second program, or a replay, publishes the same id.
    pub fn envelope(self, program: &str, time: Timestamp) -> Envelope<Self> {
        let episode = self
            .starts_at
            .map(|at| at.as_millisecond().to_string())
            .unwrap_or_default();
        let identity = [
            self.kind.event_type(),
            &self.cluster,
            &self.fingerprint,
            &episode,
            &self.action,
            &self.reason,
        ];
        let id = crate::digest::short(identity, 32);
        let source = format!("/kubeskippy/{}/{program}", self.cluster);
        let trace = crate::envelope::traceparent(&format!("{}/{episode}", self.fingerprint));
        let subject = self.target.to_string();
        Envelope::new(id, source, self.kind.event_type().to_owned(), time, self)
            .about(subject)
            .traced(Some(trace))
    }
}
