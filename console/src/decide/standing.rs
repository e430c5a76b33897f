//! Whether there is anything to decide about an action, and if not, why.
//!
//! The API server asks the same once more when the decision is written; here the
//! answer comes before a person is bothered, and in more words.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::action::{Decision, HealingAction, HealingActionStatus, Phase};

/// Why there is nothing to decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Settled {
    /// Somebody was faster.
    #[error("{by} {decision} it already, and a decision is written once")]
    Decided {
        /// Who.
        by: String,
        /// What.
        decision: &'static str,
    },
    /// Nobody decided in time.
    #[error(
        "it waited for approval until {until} and has expired; when its trigger fires anew, a new action asks"
    )]
    Expired {
        /// When the wait ended.
        until: String,
    },
    /// It has begun.
    #[error("it is {0} already: what has begun cannot be decided about any more")]
    Begun(Phase),
    /// It has ended.
    #[error("it has ended as {phase}{why}: there is nothing left to decide")]
    Ended {
        /// As what.
        phase: Phase,
        /// Why, with what joins it to the sentence.
        why: String,
    },
    /// No person is asked, or not yet.
    #[error("it does not wait for approval: it is {phase}{why}")]
    NotAsked {
        /// Where it is.
        phase: Phase,
        /// Why, with what joins it to the sentence.
        why: String,
    },
}

/// Whether `decision` about `action` has a meaning at `now`.
pub(crate) fn standing(
    action: &HealingAction,
    decision: Decision,
    now: Timestamp,
) -> Result<(), Settled> {
    let none = HealingActionStatus::default();
    let status = action.status.as_ref().unwrap_or(&none);
    let phase = status.phase;
    if status.reason.as_deref() == Some("ApprovalTimeout") {
        return Err(Settled::Expired {
            until: status.finished_at.or(until(status)).map_or_else(
                || "the end of its approval timeout".to_owned(),
                |at| at.to_string(),
            ),
        });
    }
    if phase.is_final() {
        let why = because(status);
        return Err(Settled::Ended { phase, why });
    }
    if let Some(approval) = &action.spec.approval {
        let decision = match approval.decision {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
        };
        let by = approval.approved_by.clone();
        return Err(Settled::Decided { by, decision });
    }
    if matches!(phase, Phase::InProgress | Phase::Verifying) {
        return Err(Settled::Begun(phase));
    }
    if let Some(until) = until(status).filter(|until| *until <= now) {
        let until = until.to_string();
        return Err(Settled::Expired { until });
    }
    // A no is heard before anybody is asked; a yes needs a plan and a question.
    let asked = phase == Phase::AwaitingApproval && status.digest.is_some();
    if asked || decision == Decision::Rejected {
        return Ok(());
    }
    let why = because(status);
    Err(Settled::NotAsked { phase, why })
}

/// Until when a person is waited for, if one is.
pub(crate) fn until(status: &HealingActionStatus) -> Option<Timestamp> {
    let mut verdicts = status.verdicts.iter();
    verdicts
        .find(|verdict| verdict.guard == "approval" && verdict.verdict == "Await")?
        .until
}

fn because(status: &HealingActionStatus) -> String {
    let words: Vec<_> = [&status.reason, &status.message]
        .into_iter()
        .flatten()
        .map(|text| crate::print::plain(text))
        .collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(" ({})", words.join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, waiting};
    use schemas::action::Approval;

    fn ask(action: &HealingAction) -> Result<(), Settled> {
        standing(action, Decision::Approved, NOW)
    }

    fn in_phase(phase: Phase, reason: &str) -> HealingAction {
        let mut action = waiting("web");
        let status = action.status.as_mut().unwrap();
        status.phase = phase;
        status.reason = Some(reason.to_owned());
        action
    }

    #[test]
    fn what_waits_can_be_decided() {
        assert_eq!(ask(&waiting("web")), Ok(()));
    }

    #[test]
    fn a_decision_is_written_once() {
        let mut action = waiting("web");
        action.spec.approval = Some(Approval {
            decision: Decision::Rejected,
            approved_by: "bo".to_owned(),
            digest: None,
            reason: None,
        });
        let error = ask(&action).unwrap_err();
        assert!(
            error.to_string().starts_with("bo rejected it already"),
            "{error}"
        );
    }

    #[test]
    fn what_has_expired_says_so_before_and_after_the_actuator_wrote_it_down() {
        let mut action = waiting("web");
        action.status.as_mut().unwrap().verdicts[0].until = Some(NOW);
        assert!(matches!(ask(&action), Err(Settled::Expired { .. })));
        let cancelled = in_phase(Phase::Cancelled, "ApprovalTimeout");
        assert!(matches!(ask(&cancelled), Err(Settled::Expired { .. })));
    }

    #[test]
    fn what_has_begun_or_ended_is_past_deciding() {
        let begun = in_phase(Phase::Verifying, "AwaitingRecovery");
        assert_eq!(ask(&begun), Err(Settled::Begun(Phase::Verifying)));
        let ended = ask(&in_phase(Phase::Succeeded, "Recovered")).unwrap_err();
        assert!(
            ended.to_string().contains("Succeeded (Recovered"),
            "{ended}"
        );
    }

    #[test]
    fn a_no_is_heard_early_and_a_yes_is_not() {
        let early = in_phase(Phase::Pending, "Cooldown");
        assert!(matches!(ask(&early), Err(Settled::NotAsked { .. })));
        assert_eq!(standing(&early, Decision::Rejected, NOW), Ok(()));
    }
}
