//! The life of an action as one pure function.
//!
//! In: all that is known ([`Snapshot`], with the status recorded so far) and an
//! instant. Out: what to do next, which is to record a status or to make one
//! call. The answer to a call goes through [`answered`]. Production, tests and
//! the model checker run this very code; what is left to the driver is reading,
//! writing and waiting.
//!
//! A call is made only after its intent is on record, and only after the object
//! was read back and shows that the call was not made yet.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::{HealingActionStatus, Phase},
    step::{Step, Verb},
};

use crate::{
    judge::{Judgement, Permit, judge, let_finish},
    landed::{Arrived, Landed, arrived, landed},
    progress::{Seen, Transition, running, settle, step},
    reason::Reason,
    snapshot::Snapshot,
    undo::{Undo, undo},
    verify::{verify, verify_undo},
};

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Record this.
    Record(Box<Outcome>),
    /// Record this, and then at once make the call, which cannot be read back.
    Claim(Box<Outcome>, Permit),
    /// Make this call, or try it.
    Call(Permit),
    /// Nothing.
    Nothing,
}

/// A status to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The status.
    pub status: HealingActionStatus,
    /// How it was reached.
    pub transition: Transition,
}

/// What follows for the action of `snapshot` at `now`.
pub fn next(snapshot: &Snapshot, now: Timestamp) -> Next {
    match snapshot.action.status.phase {
        Phase::Pending | Phase::AwaitingApproval | Phase::Approved => decide(snapshot, now),
        Phase::InProgress => act(snapshot, now),
        Phase::Verifying => {
            let check = if snapshot.action.status.undo.is_empty() {
                verify(snapshot, now)
            } else {
                verify_undo(snapshot, now)
            };
            record(snapshot, &Seen::Checked(&check), now)
        }
        Phase::Succeeded | Phase::Failed | Phase::RolledBack | Phase::Denied | Phase::Cancelled => {
            Next::Nothing
        }
    }
}

/// What is to be recorded after a call, or its trial, was answered.
pub fn answered(snapshot: &Snapshot, seen: &Seen<'_>, now: Timestamp) -> Option<Outcome> {
    if snapshot.action.status.phase == Phase::InProgress {
        return outcome(snapshot, seen, now);
    }
    // The guards' answers and the plan of a dry run belong to what is recorded.
    let judgement = judge(snapshot, now);
    let judged = outcome(snapshot, &Seen::Judged(&judgement), now)?;
    let before = &snapshot.action.status;
    let mut tried = snapshot.clone();
    tried.action.status = HealingActionStatus {
        phase: before.phase,
        started_at: before.started_at,
        baseline: None,
        ..judged.status
    };
    let seen = match seen {
        Seen::Made => &Seen::Tried,
        Seen::Held(reason, why) => &Seen::Refused(*reason, why.clone()),
        Seen::Overtaken(why) => &Seen::Refused(Reason::Overtaken, why.clone()),
        Seen::Judged(_)
        | Seen::Tried
        | Seen::Found
        | Seen::Arrived
        | Seen::Waits(_)
        | Seen::Refused(..)
        | Seen::Checked(_) => seen,
    };
    outcome(&tried, seen, now)
}

fn decide(snapshot: &Snapshot, now: Timestamp) -> Next {
    let judgement = judge(snapshot, now);
    if judgement.is_allowed() && snapshot.is_dry_run() {
        return judgement.into_permit().map_or(Next::Nothing, Next::Call);
    }
    record(snapshot, &Seen::Judged(&judgement), now)
}

/// Goes on with what was begun: the next call, or what an earlier one waits for.
fn act(snapshot: &Snapshot, now: Timestamp) -> Next {
    let status = &snapshot.action.status;
    let Some(current) = running(status).iter().find(|step| step.done_at.is_none()) else {
        return record(snapshot, &Seen::Arrived, now);
    };
    if current.called_at.is_some() {
        let seen = match arrived(snapshot, current) {
            Arrived::Yes => Seen::Arrived,
            Arrived::No(why) => Seen::Waits(why),
            Arrived::Never(why) => Seen::Refused(Reason::ExecutionFailed, why),
        };
        return record(snapshot, &seen, now);
    }
    match landed(snapshot, current) {
        Landed::Yes => record(snapshot, &Seen::Found, now),
        Landed::Overtaken(why) => record(snapshot, &Seen::Overtaken(why), now),
        Landed::Unknown => {
            let why = format!("it is not known whether this was done: {}", current.call);
            record(snapshot, &Seen::Refused(Reason::AnswerLost, why), now)
        }
        Landed::No if current.completes || !status.undo.is_empty() => {
            let_finish(snapshot, current).map_or(Next::Nothing, Next::Call)
        }
        Landed::No => allowed(snapshot, current, judge(snapshot, now), now),
    }
}

fn allowed(snapshot: &Snapshot, current: &Step, judgement: Judgement, now: Timestamp) -> Next {
    if !judgement.is_allowed() {
        return record(snapshot, &Seen::Judged(&judgement), now);
    }
    let Some(permit) = judgement.into_permit() else {
        return Next::Nothing;
    };
    if current.verb != Verb::Call {
        return Next::Call(permit);
    }
    let mut status = snapshot.action.status.clone();
    for step in status.plan.iter_mut().filter(|step| *step == current) {
        step.began_at = Some(now);
    }
    let transition = Transition::new(Phase::InProgress, Reason::Executing, current.call.clone());
    Next::Claim(Box::new(Outcome { status, transition }), permit)
}

fn record(snapshot: &Snapshot, seen: &Seen<'_>, now: Timestamp) -> Next {
    outcome(snapshot, seen, now).map_or(Next::Nothing, |outcome| Next::Record(Box::new(outcome)))
}

/// What was seen, as a status. What is about to end as a failure is taken back
/// first, where it can be; what is not known to have failed is left alone.
fn outcome(snapshot: &Snapshot, seen: &Seen<'_>, now: Timestamp) -> Option<Outcome> {
    let mut transition = step(&snapshot.action.status, seen, now)?;
    let known = transition.reason != Reason::Inconclusive;
    let back = if transition.to == Phase::Failed && known {
        undo(snapshot, now)
    } else {
        Undo::Nothing
    };
    let mut drift = Vec::new();
    let mut taken_back = Vec::new();
    match back {
        Undo::Nothing => {}
        Undo::Steps(steps) => {
            let why = format!("{}; the change is taken back", transition.message);
            transition = Transition::new(Phase::InProgress, Reason::Undoing, why);
            taken_back = steps;
        }
        Undo::Drift(fields) => {
            let fields_text = fields.join(", ");
            transition.message = format!(
                "{}; the change is not taken back: somebody else has changed {fields_text} since",
                transition.message
            );
            drift = fields;
        }
    }
    let mut status = settle(snapshot, seen, &transition, now);
    if !taken_back.is_empty() {
        status.undo = taken_back;
        status.attempts = 0;
    }
    if !drift.is_empty() {
        let verification = status.verification.get_or_insert_default();
        verification.drift = drift;
    }
    Some(Outcome { status, transition })
}

#[cfg(test)]
mod model;
