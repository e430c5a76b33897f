//! What happened when, as far as an action's status says it.
//!
//! Pure: no IO, no clock.

use actuator::gather::approved_at;
use jiff::Timestamp;
use schemas::{
    action::{Decision, HealingAction},
    step::Step,
};
use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moment {
    /// When.
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) what: String,
}

/// Everything that is on record with its time, the first first.
pub(super) fn moments(action: &HealingAction) -> Vec<Moment> {
    let status = action.status.clone().unwrap_or_default();
    let mut moments = Vec::new();
    let mut note = |at: Option<Timestamp>, what: String| {
        moments.extend(at.map(|at| Moment { at, what }));
    };
    if let Some(trigger) = &action.spec.trigger {
        let what = format!("the condition of {} became true", trigger.name);
        note(Some(trigger.since), what);
        note(Some(trigger.fired_at), format!("{} fired", trigger.name));
    }
    let created = action.metadata.creation_timestamp.as_ref();
    note(created.map(|at| at.0), "the action was created".to_owned());
    note(
        status.judged_at,
        "it was judged for the first time".to_owned(),
    );
    if let Some(approval) = &action.spec.approval {
        let decided = match approval.decision {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
        };
        let what = format!("{} {decided} it", approval.approved_by);
        note(approved_at(action), what);
    }
    note(
        status.started_at,
        "the intent to act was recorded".to_owned(),
    );
    for step in &status.plan {
        calls(step, "", &mut note);
    }
    for step in &status.undo {
        calls(step, "to take it back: ", &mut note);
    }
    if let Some(seen) = &status.verification {
        let object = seen.object.as_deref().unwrap_or("the target");
        if let Some(value) = seen.value {
            note(
                seen.sampled_at,
                format!("{object} was measured: {value:.1}"),
            );
        }
        note(seen.settled_at, "everything had come to rest".to_owned());
    }
    let reason = status.reason.as_deref().unwrap_or("no reason on record");
    note(
        status.finished_at,
        format!("it ended as {} ({reason})", status.phase),
    );
    moments.sort_by_key(|moment| moment.at);
    moments
}

fn calls(step: &Step, why: &str, note: &mut impl FnMut(Option<Timestamp>, String)) {
    note(step.called_at, format!("{why}called: {}", step.call));
    if step.done_at != step.called_at {
        note(step.done_at, format!("{why}seen done: {}", step.call));
    }
}
