//! The status that a transition leaves: times, conditions, verdicts.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{Decision, HealingActionStatus, Phase},
    condition::{self, Setting, action},
    step::Step,
};

use super::{EXECUTION_LIMIT, Seen, Transition};
use crate::{
    judge::{Judgement, Verdict},
    reason::Reason,
    snapshot::Snapshot,
    verify::{Check, baseline},
};

/// The status of the action in `snapshot` after `transition`.
pub fn settle(
    snapshot: &Snapshot,
    seen: &Seen<'_>,
    transition: &Transition,
    now: Timestamp,
) -> HealingActionStatus {
    let generation = snapshot.action.generation;
    let mut status = identified(snapshot);
    status.judged_at.get_or_insert(now);
    status.phase = transition.to;
    status.reason = Some(transition.reason.as_str().to_owned());
    status.message = Some(transition.message.clone());
    status.next_attempt_at = transition.until;
    let mut settings = Vec::new();
    match seen {
        Seen::Judged(judgement) => {
            status.verdicts.clone_from(&judgement.verdicts);
            // Once begun, the plan is what was begun.
            if let (Some(plan), None) = (&judgement.plan, status.started_at) {
                status.digest = Some(plan.digest.clone());
                status.plan.clone_from(&plan.steps);
            }
            settings.push(allowed(judgement));
            settings.push(approved(snapshot, judgement));
        }
        Seen::Held(..) => status.attempts = status.attempts.saturating_add(1),
        Seen::Checked(Check::Waiting(verification) | Check::Done(_, verification)) => {
            status.verification = Some(verification.clone());
        }
        Seen::Made | Seen::Found => called(&mut status, now),
        Seen::Arrived => arrived(&mut status, now),
        Seen::Tried | Seen::Waits(_) | Seen::Overtaken(_) | Seen::Refused(..) => {}
    }
    if status.started_at.is_none() && transition.to == Phase::InProgress {
        status.started_at.get_or_insert(now);
        status.deadline = now.saturating_add(limit(snapshot)).ok();
        status.baseline.get_or_insert_with(|| baseline(snapshot));
    }
    if transition.to == Phase::Verifying {
        status.executed_at.get_or_insert(now);
    }
    if transition.to.is_final() {
        status.finished_at.get_or_insert(now);
    }
    settings.extend(by_phase(transition, status.executed_at.is_some()));
    if !status.undo.is_empty() {
        // What was executed stays executed while it is taken back.
        settings.retain(|setting| setting.kind != action::EXECUTED);
    }
    for setting in settings {
        condition::set(&mut status.conditions, setting, generation, now);
    }
    status
}

/// How long the calls of an action may take.
fn limit(snapshot: &Snapshot) -> SignedDuration {
    let action = &snapshot.action.spec.action;
    let node = action.cordon_action.as_ref().map(|node| node.timeout);
    let custom = action.custom_action.as_ref().map(|custom| custom.timeout);
    node.or(custom)
        .map_or(EXECUTION_LIMIT, schemas::duration::Duration::get)
}

/// Notes that the current call was made; without a wait it is done with that.
fn called(status: &mut HealingActionStatus, now: Timestamp) {
    if let Some(step) = current(status) {
        step.called_at.get_or_insert(now);
        if step.wait.is_none() {
            step.done_at = Some(now);
        }
    }
}

fn arrived(status: &mut HealingActionStatus, now: Timestamp) {
    if let Some(step) = current(status) {
        step.done_at = Some(now);
    }
}

fn current(status: &mut HealingActionStatus) -> Option<&mut Step> {
    let steps = if status.undo.is_empty() {
        &mut status.plan
    } else {
        &mut status.undo
    };
    steps.iter_mut().find(|step| step.done_at.is_none())
}

/// The status with the identity of its target, as it was first seen.
fn identified(snapshot: &Snapshot) -> HealingActionStatus {
    let mut status = snapshot.action.status.clone();
    let wanted = &snapshot.action.spec.target_resource;
    let title = || format!("{}/{}", wanted.kind, wanted.name);
    status.target.get_or_insert_with(title);
    if status.target_uid.is_some() {
        return status;
    }
    if let Some(target) = &snapshot.target
        && snapshot
            .pinned_uid()
            .is_none_or(|uid| uid == target.target.uid)
    {
        status.target_uid = Some(target.target.uid.clone());
        if let Some(owner) = snapshot.top_owner() {
            status.owner = Some(owner.title());
            status.owner_uid = Some(owner.target.uid.clone());
        }
    }
    status
}

fn allowed(judgement: &Judgement) -> Setting {
    let (status, reason, message) = match &judgement.verdict {
        Verdict::Allow => (
            Some(true),
            Reason::Allowed,
            "every guard let the action pass",
        ),
        Verdict::Await { message, .. } => (Some(false), Reason::ApprovalRequired, message.as_str()),
        Verdict::Defer {
            reason, message, ..
        }
        | Verdict::Deny { reason, message } => (Some(false), *reason, message.as_str()),
    };
    setting(action::ALLOWED, status, reason, message)
}

fn approved(snapshot: &Snapshot, judgement: &Judgement) -> Setting {
    let approval = snapshot.action.spec.approval.as_ref();
    let by =
        |verb: &str| approval.map_or_else(String::new, |a| format!("{verb} by {}", a.approved_by));
    let answer = judgement.verdicts.iter().find(|v| v.guard == "approval");
    let is_open = answer.is_some_and(|answer| answer.verdict == "Allow");
    if judgement.approved {
        return setting(
            action::APPROVED,
            Some(true),
            Reason::Approved,
            &by("approved"),
        );
    }
    if approval.is_some_and(|approval| approval.decision == Decision::Rejected) {
        return setting(
            action::APPROVED,
            Some(false),
            Reason::Rejected,
            &by("rejected"),
        );
    }
    if is_open {
        let message = "nobody has to agree";
        return setting(action::APPROVED, Some(true), Reason::NotRequired, message);
    }
    let message = answer.and_then(|answer| answer.message.as_deref());
    setting(
        action::APPROVED,
        Some(false),
        Reason::ApprovalRequired,
        message.unwrap_or_default(),
    )
}

/// The conditions that the phase alone determines.
fn by_phase(transition: &Transition, executed: bool) -> Vec<Setting> {
    let Transition {
        to,
        reason,
        message,
        until: _,
    } = transition;
    let of = |kind, status| setting(kind, status, *reason, message);
    let succeeded = match to {
        Phase::Succeeded => Some(true),
        Phase::Failed | Phase::RolledBack | Phase::Denied | Phase::Cancelled => Some(false),
        Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Approved
        | Phase::InProgress
        | Phase::Verifying => None,
    };
    let mut settings = vec![of(action::SUCCEEDED, succeeded)];
    match to {
        Phase::Failed if executed => {
            let known = (*reason != Reason::Inconclusive).then_some(false);
            settings.push(of(action::VERIFIED, known));
        }
        Phase::InProgress | Phase::Failed => settings.push(of(action::EXECUTED, Some(false))),
        Phase::Verifying => {
            let executed = matches!(
                reason,
                Reason::Executed | Reason::EffectFound | Reason::Stopped
            );
            if executed {
                settings.push(of(action::EXECUTED, Some(true)));
            }
            settings.push(of(action::VERIFIED, None));
        }
        Phase::Succeeded => settings.push(of(action::VERIFIED, Some(true))),
        Phase::RolledBack => settings.push(of(action::VERIFIED, Some(false))),
        Phase::Pending
        | Phase::AwaitingApproval
        | Phase::Approved
        | Phase::Denied
        | Phase::Cancelled => {}
    }
    settings
}

fn setting(kind: &'static str, status: Option<bool>, reason: Reason, message: &str) -> Setting {
    Setting {
        kind,
        status,
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
    }
}
