//! The life of an action as a state machine.
//!
//! In: the status, and what was seen. Out: the next status, or none when
//! nothing is to be written. A final phase is never left. The same function
//! runs in production, in tests and in replays.
//!
//! ```text
//! Pending ─► AwaitingApproval ─► Approved ─► InProgress ─► Verifying ─► Succeeded | Failed
//!    └──────────────┴───────────────┴───────────┴─► Denied | Cancelled | Failed
//! ```
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::action::{HealingActionStatus, Phase};

use crate::{
    judge::{Judgement, Verdict},
    reason::Reason,
    snapshot::RECHECK,
    verify::Check,
};

mod conditions;

pub use conditions::settle;

/// How long an action may try to make its change. A disruption budget that
/// refuses for longer than this is a matter for people; the action says so.
const EXECUTION_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// What a pass of the reconciler saw.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The guards were asked.
    Judged(&'a Judgement),
    /// The change was tried on the API server, which would accept it.
    Tried,
    /// The API server accepted every call.
    Made,
    /// The change was found made when it was read back.
    Found,
    /// The target is not as it was judged.
    Overtaken,
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
    fn new(to: Phase, reason: Reason, message: impl Into<String>) -> Self {
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
        Phase::Verifying => after(seen, now),
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
        Seen::Held(..) | Seen::Made | Seen::Found | Seen::Overtaken | Seen::Checked(_) => None,
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

fn during(status: &HealingActionStatus, seen: &Seen<'_>, now: Timestamp) -> Option<Transition> {
    let held = |reason: Reason, message: &str, until: Timestamp| {
        let started = status.started_at.unwrap_or(now);
        if now.duration_since(started) >= EXECUTION_LIMIT {
            let message = format!("the change could not be made in time: {message}");
            return Transition::new(Phase::Failed, Reason::ExecutionTimeout, message);
        }
        Transition::new(Phase::InProgress, reason, message).until(until)
    };
    Some(match seen {
        Seen::Made => Transition::new(
            Phase::Verifying,
            Reason::Executed,
            "the API server accepted the change; its effect is awaited",
        ),
        Seen::Found => Transition::new(
            Phase::Verifying,
            Reason::EffectFound,
            "the change was found made; its effect is awaited",
        ),
        Seen::Overtaken => Transition::new(
            Phase::Cancelled,
            Reason::Overtaken,
            "somebody else changed the target after it was judged",
        ),
        Seen::Refused(reason, why) => Transition::new(Phase::Failed, *reason, why.clone()),
        Seen::Held(reason, why) => held(*reason, why, pause(status.attempts, now)),
        Seen::Judged(judgement) => match &judgement.verdict {
            Verdict::Deny { reason, message } => {
                Transition::new(reason.ends_in(), *reason, message.clone())
            }
            Verdict::Defer {
                reason,
                message,
                until,
            } => held(*reason, message, *until),
            Verdict::Await { message, until } => held(Reason::ApprovalRequired, message, *until),
            Verdict::Allow => return None,
        },
        Seen::Tried | Seen::Checked(_) => return None,
    })
}

fn after(seen: &Seen<'_>, now: Timestamp) -> Option<Transition> {
    let Seen::Checked(check) = seen else {
        return None;
    };
    let (reason, verification) = match check {
        Check::Waiting(verification) => (Reason::AwaitingRecovery, verification),
        Check::Done(reason, verification) => (*reason, verification),
    };
    let message = verification.message.clone().unwrap_or_default();
    let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
    Some(match check {
        Check::Waiting(_) => Transition::new(Phase::Verifying, reason, message).until(until),
        Check::Done(Reason::Recovered, _) => Transition::new(Phase::Succeeded, reason, message),
        Check::Done(..) => Transition::new(Phase::Failed, reason, message),
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
