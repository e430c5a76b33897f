//! One action explained: what is on record about it, in the order in which it matters.
//!
//! In: the action, with its policy, target and Events as far as they exist. Out: an
//! [`Explanation`], which is printed as a story or as JSON.
//!
//! Pure: no IO, no clock.

use actuator::{gather::approved_at, object::Object};
use analyzer::actions;
use jiff::Timestamp;
use schemas::{
    action::{
        Approval, GuardVerdict, HealingAction, HealingActionStatus, Phase, TriggerReading,
        Verification,
    },
    diagnosis::Diagnosis,
    policy::HealingPolicy,
    step::Step,
};
use serde::Serialize;

use super::{
    moments::{Moment, moments},
    rung::{Rung, rung},
};
use crate::{ask::Known, decide::standing::until};

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The action.
    pub(crate) action: HealingAction,
    /// Its policy.
    pub(crate) policy: Known<HealingPolicy>,
    /// What has the target's name now.
    pub(crate) target: Known<Object>,
    /// The actions of its namespace.
    pub(crate) others: Known<Vec<HealingAction>>,
    /// What the Events about it say.
    pub(crate) events: Known<Vec<Told>>,
}

/// What one Event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    /// When.
    pub(crate) at: Timestamp,
    /// Why, in a word.
    pub(crate) reason: String,
    /// Why, in a sentence.
    pub(crate) note: String,
}

/// One action explained.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) target: Aim,
    pub(crate) seen: Option<TriggerReading>,
    pub(crate) diagnosis: Option<Diagnosis>,
    pub(crate) policy: Under,
    pub(crate) rung: Rung,
    pub(crate) approval: Consent,
    /// What each guard said when it was last judged, the answer that decided first.
    pub(crate) guards: Vec<GuardVerdict>,
    /// Whether the first of the guards is why the action is where it is.
    pub(crate) guard_decided: bool,
    pub(crate) digest: Option<String>,
    pub(crate) plan: Vec<Step>,
    pub(crate) undo: Vec<Step>,
    pub(crate) attempts: u32,
    pub(crate) timeline: Vec<Moment>,
    pub(crate) verification: Option<Verification>,
    pub(crate) events: Vec<Told>,
    pub(crate) next: String,
    pub(crate) unknown: Vec<String>,
}

/// What the action is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Aim {
    pub(crate) target: String,
    pub(crate) namespace: String,
    pub(crate) uid: Option<String>,
    pub(crate) owner: Option<String>,
    /// What has become of it: `there`, `gone`, `replaced` or `unknown`.
    pub(crate) now: String,
}

/// The policy that allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Under {
    pub(crate) name: String,
    /// `there`, `gone` or `unknown`.
    pub(crate) now: String,
    pub(crate) mode: Option<String>,
}

/// Whether a person had to agree, and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consent {
    /// In a sentence.
    pub(crate) answer: String,
    /// What was decided, by whom.
    pub(crate) decision: Option<Approval>,
    /// When, by the API server's clock.
    pub(crate) at: Option<Timestamp>,
}

/// Explains the action of `facts`.
pub(crate) fn explain(facts: &Facts) -> Explanation {
    let action = &facts.action;
    let status = actions::status(action);
    let (namespace, name) = actions::name_of(action);
    let rung = rung(facts);
    let (guards, guard_decided) = deciding_first(&status);
    Explanation {
        target: aim(facts, &namespace, &status),
        policy: Under {
            name: action.spec.policy_name.clone(),
            now: facts.policy.word().to_owned(),
            mode: facts.policy.get().map(mode),
        },
        approval: Consent {
            answer: consent(action, &status),
            decision: action.spec.approval.clone(),
            at: approved_at(action),
        },
        next: next(action, &status, &rung),
        unknown: unknown(facts, &status),
        timeline: moments(action),
        rung,
        namespace,
        name,
        phase: status.phase,
        reason: status.reason,
        message: status.message,
        dry_run: action.spec.dry_run,
        seen: action.spec.trigger.clone(),
        diagnosis: action.spec.diagnosis.clone(),
        guards,
        guard_decided,
        digest: status.digest,
        plan: status.plan,
        undo: status.undo,
        attempts: status.attempts,
        verification: status.verification,
        events: facts.events.get().cloned().unwrap_or_default(),
    }
}

/// A policy's mode as it is spelt.
pub(crate) fn mode(policy: &HealingPolicy) -> String {
    let text = serde_json::to_value(policy.spec.mode);
    let text = text.ok().and_then(|text| Some(text.as_str()?.to_owned()));
    text.unwrap_or_default()
}

fn aim(facts: &Facts, namespace: &str, status: &HealingActionStatus) -> Aim {
    let wanted = &facts.action.spec.target_resource;
    let uid = wanted.uid.clone().or_else(|| status.target_uid.clone());
    let now = match &facts.target {
        Known::Is(found) if uid.as_ref().is_some_and(|uid| *uid != found.target.uid) => "replaced",
        known @ (Known::Is(_) | Known::Gone | Known::Unknown(_)) => known.word(),
    };
    Aim {
        target: format!("{}/{}", wanted.kind, wanted.name),
        namespace: wanted
            .namespace
            .clone()
            .unwrap_or_else(|| namespace.to_owned()),
        owner: status.owner.clone(),
        now: now.to_owned(),
        uid,
    }
}

/// The guards' answers, what decides first; and whether that is why the action is where it is.
pub(crate) fn deciding_first(status: &HealingActionStatus) -> (Vec<GuardVerdict>, bool) {
    let decided = |verdict: &GuardVerdict| {
        let same = verdict.reason.is_some() && verdict.reason == status.reason;
        verdict.verdict != "Allow" && same
    };
    let strength = |verdict: &GuardVerdict| match verdict.verdict.as_str() {
        "Deny" => 0,
        "Await" => 1,
        "Defer" => 2,
        _ => 3,
    };
    let mut guards = status.verdicts.clone();
    guards.sort_by_key(|verdict| (!decided(verdict), strength(verdict)));
    let has_decided = guards.first().is_some_and(decided);
    (guards, has_decided)
}

fn consent(action: &HealingAction, status: &HealingActionStatus) -> String {
    use schemas::action::Decision;
    if let Some(approval) = &action.spec.approval {
        let by = &approval.approved_by;
        let why = approval.reason.as_ref().map(|why| format!(": {why}"));
        let why = why.unwrap_or_default();
        return match approval.decision {
            Decision::Approved if status.reason.as_deref() == Some("ApprovalTimeout") => {
                format!("{by} approved it, but too late{why}")
            }
            Decision::Approved => format!("{by} approved it{why}"),
            Decision::Rejected => format!("{by} rejected it{why}"),
        };
    }
    let condition = status.conditions.iter().find(|c| c.type_ == "Approved");
    match condition.map(|condition| condition.reason.as_str()) {
        Some("NotRequired") => "nobody had to: the policy lets it act by itself".to_owned(),
        _ if status.reason.as_deref() == Some("ApprovalTimeout") => {
            "nobody did before the wait ended".to_owned()
        }
        Some(_) => match until(status) {
            Some(until) => format!("nobody has yet; it waits until {until}"),
            None => "nobody has".to_owned(),
        },
        None => "it was not judged yet, so nobody was asked".to_owned(),
    }
}

/// What happens next, and what a person can do.
fn next(action: &HealingAction, status: &HealingActionStatus, rung: &Rung) -> String {
    let (namespace, name) = actions::name_of(action);
    let until = |status: &HealingActionStatus| {
        let until = status.next_attempt_at;
        until.map_or_else(String::new, |until| format!(" (not before {until})"))
    };
    let ladder = match &rung.next {
        Some(next) => format!("the next rung, {next}, is tried while the trigger holds"),
        None => "no rung is left that is known of: a person should look at it".to_owned(),
    };
    match status.phase {
        Phase::Pending => format!("it is judged again{}", until(status)),
        Phase::AwaitingApproval => format!(
            "a person decides: kubeskippy approve {name} -n {namespace}, or kubeskippy reject"
        ),
        Phase::Approved => "the change is made in a moment".to_owned(),
        Phase::InProgress => format!("the calls that are left are made{}", until(status)),
        Phase::Verifying => "the effect is awaited, and a change that does not help is taken back where it can be".to_owned(),
        Phase::Succeeded => {
            "the target rests; when the trigger fires anew, a new action answers".to_owned()
        }
        Phase::Failed | Phase::RolledBack if action.spec.trigger.is_some() => ladder,
        Phase::Failed | Phase::RolledBack => {
            "nothing by itself: it was asked for by hand".to_owned()
        }
        Phase::Denied | Phase::Cancelled => {
            "nothing for this episode; when the trigger resolves and fires anew, a new action answers".to_owned()
        }
    }
}

/// What cannot be told, and why.
fn unknown(facts: &Facts, status: &HealingActionStatus) -> Vec<String> {
    let spec = &facts.action.spec;
    let (namespace, name) = actions::name_of(&facts.action);
    let mut unknown = Vec::new();
    match &facts.policy {
        Known::Is(_) => {}
        Known::Gone => unknown.push(format!(
            "what the policy {} said: it is gone",
            spec.policy_name
        )),
        Known::Unknown(why) => unknown.push(format!("the policy {}: {why}", spec.policy_name)),
    }
    if let Some(why) = facts.target.unknown() {
        unknown.push(format!("what has become of the target: {why}"));
    }
    if let Some(why) = facts.others.unknown() {
        unknown.push(format!("which actions came before: {why}"));
    }
    if spec.trigger.is_none() {
        unknown.push("what was seen: the action was created by hand".to_owned());
    }
    if status.verdicts.is_empty() {
        unknown.push("what the guards say: no actuator has judged it".to_owned());
    }
    if spec.approval.is_some() && approved_at(&facts.action).is_none() {
        unknown.push("when it was decided: managedFields do not say".to_owned());
    }
    match &facts.events {
        Known::Is(events) if !events.is_empty() => {}
        Known::Is(_) | Known::Gone => unknown.push(
            "what the Events said: none is left (the API server keeps them for an hour)".to_owned(),
        ),
        Known::Unknown(why) => unknown.push(format!("what the Events said: {why}")),
    }
    unknown.push(format!(
        "what the guards said in earlier passes: the status keeps the last answers, the journal all that were news (kubeskippy journal show --action {name} -n {namespace})"
    ));
    unknown
}
