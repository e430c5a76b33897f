//! The life of an action as a state machine.
//!
//! In: the status, and what was seen. Out: the next status, or none when
//! nothing is to be written. A final phase is never left. The same function
//! runs in production, in tests and in replays.
//!
//! ```text
//! Pending ─► AwaitingApproval ─► Approved ─► InProgress ─► Verifying ─► Succeeded | Failed | RolledBack
//!    └──────────────┴───────────────┴───────────┴─► Denied | Cancelled | Failed
//! ```
//!
//! A change that did not help goes from `Verifying` back to `InProgress`, once,
//! while it is taken back.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{HealingActionStatus, Phase},
    step::{Step, Verb},
};

use crate::{
    judge::{Judgement, Verdict},
    reason::Reason,
    snapshot::RECHECK,
    verify::Check,
};

mod conditions;

pub use conditions::settle;

/// How long an action may try to make its change, where it does not say so itself. A disruption budget that
/// refuses for longer than this is a matter for people; the action says so.
pub(crate) const EXECUTION_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// What a pass of the reconciler saw.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The guards were asked.
    Judged(&'a Judgement),
    /// The change was tried on the API server, which would accept it.
    Tried,
    /// The API server accepted the call.
    Made,
    /// The call was found made when the object was read back.
    Found,
    /// What the last call was to bring about is there, or no call is left.
    Arrived,
    /// What the last call was to bring about is not there yet.
    Waits(String),
    /// The object is not as it was judged, and why.
    Overtaken(String),
    /// A call was refused, or its answer was lost; it may be tried again.
    Held(Reason, String),
    /// A call was refused for good.
    Refused(Reason, String),
    /// The effect was looked at.
    Checked(&'a Check),
}

/// A step in the life of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The phase afterwards, which may be the one before.
    pub to: Phase,
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
    /// When to look again; at once when absent and the phase is not final.
    pub until: Option<Timestamp>,
}

impl Transition {
    pub(crate) fn new(to: Phase, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            to,
            reason,
            message,
            until: None,
        }
    }

    fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }
}

/// What follows for an action of `status` from what was seen at `now`; `None`
/// when that has no meaning in its phase.
pub fn step(status: &HealingActionStatus, seen: &Seen<'_>, now: Timestamp) -> Option<Transition> {
    match status.phase {
        Phase::Pending | Phase::AwaitingApproval | Phase::Approved => before(status, seen),
        Phase::InProgress => during(status, seen, now),
        Phase::Verifying => after(status, seen, now),
        Phase::Succeeded | Phase::Failed | Phase::RolledBack | Phase::Denied | Phase::Cancelled => {
            None
        }
    }
}

fn before(status: &HealingActionStatus, seen: &Seen<'_>) -> Option<Transition> {
    match seen {
        Seen::Judged(judgement) => Some(judged(status.phase, judgement)),
        Seen::Tried => Some(Transition::new(
            Phase::Cancelled,
            Reason::DryRun,
            "a dry run: the API server would accept the change; nothing was changed",
        )),
        // Only a dry run can be refused before the intent is recorded.
        Seen::Refused(_, why) => Some(Transition::new(
            Phase::Cancelled,
            Reason::DryRun,
            format!("a dry run: the change would be refused: {why}"),
        )),
        Seen::Held(..)
        | Seen::Made
        | Seen::Found
        | Seen::Arrived
        | Seen::Waits(_)
        | Seen::Overtaken(_)
        | Seen::Checked(_) => None,
    }
}

fn judged(phase: Phase, judgement: &Judgement) -> Transition {
    let said_yes = phase == Phase::AwaitingApproval && judgement.approved;
    match &judgement.verdict {
        Verdict::Deny { reason, message } => {
            Transition::new(reason.ends_in(), *reason, message.clone())
        }
        Verdict::Allow | Verdict::Defer { .. } if said_yes => Transition::new(
            Phase::Approved,
            Reason::Approved,
            "a person approved the change",
        ),
        Verdict::Await { message, until } => {
            let wait = Transition::new(
                Phase::AwaitingApproval,
                Reason::ApprovalRequired,
                message.clone(),
            );
            wait.until(*until)
        }
        Verdict::Defer {
            reason,
            message,
            until,
        } => {
            let stays = if phase == Phase::Approved {
                Phase::Approved
            } else {
                Phase::Pending
            };
            Transition::new(stays, *reason, message.clone()).until(*until)
        }
        Verdict::Allow => Transition::new(
            Phase::InProgress,
            Reason::Executing,
            "every guard let the change pass; it is being made",
        ),
    }
}

/// The calls that are under way: those that take the change back, once there are any.
pub fn running(status: &HealingActionStatus) -> &[Step] {
    if status.undo.is_empty() {
        &status.plan
    } else {
        &status.undo
    }
}

fn during(status: &HealingActionStatus, seen: &Seen<'_>, now: Timestamp) -> Option<Transition> {
    Some(match seen {
        Seen::Made => went_on(status, Reason::Executed, accepted(status)),
        Seen::Found => went_on(status, Reason::EffectFound, "the change was found made"),
        Seen::Arrived => went_on(status, Reason::Executed, "every call was made"),
        Seen::Waits(why) => held(status, (Reason::AwaitingStep, why), recheck(now), now),
        Seen::Overtaken(why) => stopped(status, (Phase::Cancelled, Reason::Overtaken), why),
        Seen::Refused(_, why) if !status.undo.is_empty() => {
            Transition::new(Phase::Failed, Reason::UndoFailed, why.clone())
        }
        Seen::Refused(reason, why) => Transition::new(Phase::Failed, *reason, why.clone()),
        Seen::Held(reason, why) => {
            let until = pause(status.attempts, now);
            held(status, (*reason, why), until, now)
        }
        Seen::Judged(judgement) => match &judgement.verdict {
            Verdict::Deny { reason, message } => {
                stopped(status, (reason.ends_in(), *reason), message)
            }
            Verdict::Defer {
                reason,
                message,
                until,
            } => held(status, (*reason, message), *until, now),
            Verdict::Await { message, until } => {
                held(status, (Reason::ApprovalRequired, message), *until, now)
            }
            Verdict::Allow => return None,
        },
        Seen::Tried | Seen::Checked(_) => return None,
    })
}

/// Who said that the call was made.
fn accepted(status: &HealingActionStatus) -> &'static str {
    let current = running(status).iter().find(|step| step.done_at.is_none());
    match current.map(|step| step.verb) {
        Some(Verb::Call) => "the webhook answered that it was done",
        Some(_) | None => "the API server accepted the change",
    }
}

/// After a call: the next one, the wait for what it brings about, or verification.
fn went_on(status: &HealingActionStatus, reason: Reason, what: &str) -> Transition {
    let mut left = running(status).iter().filter(|step| step.done_at.is_none());
    let current = left.next();
    if let Some(step) = current.filter(|step| step.wait.is_some() && step.called_at.is_none()) {
        let message = format!("{what}: {}; what it brings about is awaited", step.call);
        return Transition::new(Phase::InProgress, Reason::AwaitingStep, message);
    }
    if let Some(next) = left.next() {
        let message = format!("{what}; next: {}", next.call);
        return Transition::new(Phase::InProgress, Reason::StepDone, message);
    }
    let message = format!("{what}; its effect is awaited");
    Transition::new(Phase::Verifying, reason, message)
}

/// Ends what cannot go on. What was changed already is looked at before the end.
fn stopped(status: &HealingActionStatus, end: (Phase, Reason), why: &str) -> Transition {
    if !status.undo.is_empty() {
        let message = format!("the change is not taken back: {why}");
        return Transition::new(Phase::Failed, Reason::SpecDrift, message);
    }
    if status.plan.iter().any(|step| step.called_at.is_some()) {
        let message = format!("the calls that are left are not made: {why}");
        return Transition::new(Phase::Verifying, Reason::Stopped, message);
    }
    Transition::new(end.0, end.1, why)
}

/// Waits, unless it has waited for too long.
fn held(
    status: &HealingActionStatus,
    (reason, why): (Reason, &str),
    until: Timestamp,
    now: Timestamp,
) -> Transition {
    let undo = status.undo.first().and_then(|step| step.began_at);
    let since = |began: Timestamp| began.saturating_add(EXECUTION_LIMIT);
    let limit = match (undo, status.deadline) {
        (Some(began), _) => since(began).ok(),
        (None, Some(deadline)) => Some(deadline),
        (None, None) => since(status.started_at.unwrap_or(now)).ok(),
    };
    if limit.is_none_or(|limit| now < limit) {
        return Transition::new(Phase::InProgress, reason, why).until(until);
    }
    let (reason, what) = if undo.is_some() {
        (Reason::UndoFailed, "the change was not taken back in time")
    } else {
        (
            Reason::ExecutionTimeout,
            "the change could not be made in time",
        )
    };
    Transition::new(Phase::Failed, reason, format!("{what}: {why}"))
}

fn recheck(now: Timestamp) -> Timestamp {
    now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX)
}

fn after(status: &HealingActionStatus, seen: &Seen<'_>, now: Timestamp) -> Option<Transition> {
    let Seen::Checked(check) = seen else {
        return None;
    };
    let (Check::Waiting(verification) | Check::Done(_, verification)) = check;
    let message = verification.message.clone().unwrap_or_default();
    let waiting = if status.undo.is_empty() {
        Reason::AwaitingRecovery
    } else {
        Reason::Undoing
    };
    Some(match check {
        Check::Waiting(_) => {
            Transition::new(Phase::Verifying, waiting, message).until(recheck(now))
        }
        Check::Done(reason @ (Reason::Recovered | Reason::Contained), _) => {
            Transition::new(Phase::Succeeded, *reason, message)
        }
        Check::Done(Reason::Undone, _) => {
            Transition::new(Phase::RolledBack, Reason::Undone, message)
        }
        Check::Done(reason, _) => Transition::new(Phase::Failed, *reason, message),
    })
}

/// When to try again after `attempts` refusals: 5 s, doubled each time, at most
/// 2 min, so that a disruption budget that opens is used soon.
fn pause(attempts: u32, now: Timestamp) -> Timestamp {
    let seconds = 5i64.saturating_mul(1 << attempts.min(10)).min(120);
    now.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
