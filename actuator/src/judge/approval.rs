//! Whether a person must agree, and whether one did.
//!
//! An approval is worth exactly the change it was given for: it carries the
//! digest of the plan, and another plan needs another action.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::Decision,
    condition::action::APPROVED,
    policy::{Action, Direction, Mode, Remedy},
    step::{Step, Verb},
};

use super::Verdict;
use crate::{plan::Plan, reason::Reason, snapshot::Snapshot};

/// Waits for a person where one must agree.
pub(super) fn approval(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> Verdict {
    let decision = snapshot.action.spec.approval.as_ref();
    if let Some(approval) = decision.filter(|a| a.decision == Decision::Rejected) {
        let message = match &approval.reason {
            Some(reason) => format!("rejected by {}: {reason}", approval.approved_by),
            None => format!("rejected by {}", approval.approved_by),
        };
        return Verdict::deny(Reason::Rejected, message);
    }
    if snapshot.is_dry_run() || !is_required(snapshot, plan) {
        return Verdict::Allow;
    }
    // The guards that found no plan or no policy have spoken already.
    let (Some(plan), Some(policy)) = (plan, snapshot.policy.as_ref()) else {
        return Verdict::Allow;
    };
    if is_approved(snapshot, Some(plan), now) {
        return Verdict::Allow;
    }
    if let Some(approval) = decision.filter(|_| is_about(snapshot, plan)) {
        let at = snapshot.action.approved_at;
        let at = at.map_or_else(String::new, |at| format!(" at {at}"));
        let message = format!(
            "{} approved it{at}, after the wait had ended at {}",
            approval.approved_by,
            ends(snapshot, now)
        );
        return Verdict::deny(Reason::ApprovalTimeout, message);
    }
    if let Some(approval) = decision {
        let message = format!(
            "{} approved another change than the one that is planned now ({}): create another HealingAction",
            approval.approved_by, plan.digest
        );
        return Verdict::deny(Reason::DigestMismatch, message);
    }
    let until = ends(snapshot, now);
    if now >= until {
        let timeout = policy.spec.safety_rules.approval_timeout;
        let message = format!("nobody approved it within {timeout}");
        return Verdict::deny(Reason::ApprovalTimeout, message);
    }
    let message = format!("waits for approval of the change {}", plan.digest);
    Verdict::Await { message, until }
}

/// Whether a person said yes to this very change, in time.
pub(super) fn is_approved(snapshot: &Snapshot, plan: Option<&Plan>, now: Timestamp) -> bool {
    plan.is_some_and(|plan| is_about(snapshot, plan) && came_in_time(snapshot, now))
}

/// Whether there is a yes, and it names this very change.
fn is_about(snapshot: &Snapshot, plan: &Plan) -> bool {
    let approval = snapshot.action.spec.approval.as_ref();
    approval.is_some_and(|approval| {
        approval.decision == Decision::Approved
            && approval.digest.as_deref() == Some(plan.digest.as_str())
    })
}

/// Whether the decision was written before the wait ended. What an actuator saw in time
/// is on record and stays good; what came while none ran is dated by the API server's clock,
/// and without a date it came too late.
fn came_in_time(snapshot: &Snapshot, now: Timestamp) -> bool {
    let action = &snapshot.action;
    let was_seen = action.status.conditions.iter().any(|condition| {
        condition.type_ == APPROVED
            && condition.status == "True"
            && condition.reason == Reason::Approved.as_str()
    });
    let until = ends(snapshot, now);
    let is_dated = action.approved_at.is_some_and(|at| at < until);
    snapshot.is_reserved() || was_seen || now < until || is_dated
}

/// When the wait for a person ends.
fn ends(snapshot: &Snapshot, now: Timestamp) -> Timestamp {
    let policy = snapshot.policy.as_ref();
    let timeout = policy.map_or(SignedDuration::ZERO, |policy| {
        policy.spec.safety_rules.approval_timeout.get()
    });
    let asked = snapshot.action.status.judged_at.unwrap_or(now);
    asked.saturating_add(timeout).unwrap_or(Timestamp::MAX)
}

/// Whether a person must agree. The policy's entry decides, never what the
/// action says of itself; without an entry a person must.
pub(super) fn is_required(snapshot: &Snapshot, plan: Option<&Plan>) -> bool {
    let Some(policy) = &snapshot.policy else {
        return true;
    };
    let tainted = snapshot.action.spec.diagnosis.as_ref();
    policy.spec.mode == Mode::Manual
        || tainted.is_some_and(|diagnosis| diagnosis.tainted)
        || snapshot.rule().is_none_or(|rule| {
            let takes_all = || plan.is_some_and(|plan| takes_the_only_one(snapshot, plan));
            rule_requires(rule, plan) || (rule.requires_approval.is_none() && takes_all())
        })
}

/// Whether a plan takes away the only replica of a StatefulSet while it is ready: nothing stands in for
/// it, and its identity and volume go with it. What is not ready serves nobody, and is replaced unasked.
fn takes_the_only_one(snapshot: &Snapshot, plan: &Plan) -> bool {
    let owner = snapshot.top_owner();
    let is_only = owner.is_some_and(|owner| {
        let workload = owner.workload.as_ref();
        owner.target.kind == "StatefulSet" && workload.is_some_and(|it| it.desired == 1)
    });
    let taken = |step: &Step| {
        let removes = matches!(step.verb, Verb::Evict | Verb::Delete);
        let pod = snapshot
            .pods
            .iter()
            .find(|pod| pod.target.uid == step.object.uid);
        removes && pod.is_some_and(|pod| pod.ready)
    };
    is_only && plan.steps.iter().any(taken)
}

fn rule_requires(rule: &Action, plan: Option<&Plan>) -> bool {
    let always = rule
        .delete_action
        .as_ref()
        .is_some_and(|delete| delete.force || delete.strip_finalizers);
    always
        || rule.requires_approval.unwrap_or_else(|| {
            let removes = matches!(rule.kind, Remedy::Delete | Remedy::Patch);
            let lowers = rule
                .scale_action
                .as_ref()
                .is_some_and(|scale| scale.direction == Direction::Down);
            removes || lowers || plan.is_some_and(Plan::shrinks)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, snapshot},
    };
    use proptest::prelude::*;
    use schemas::action::Approval;
    use serde_json::json;

    fn ask(snapshot: &Snapshot) -> Verdict {
        approval(snapshot, plan(snapshot).ok().as_ref(), NOW)
    }

    fn manual() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
        snapshot
    }

    fn decide(snapshot: &mut Snapshot, decision: Decision, digest: Option<String>) {
        snapshot.action.spec.approval = Some(Approval {
            decision,
            approved_by: "ada".to_owned(),
            digest,
            reason: None,
        });
    }

    #[test]
    fn a_manual_policy_waits_and_proceeds_on_the_digest_that_was_shown() {
        let mut snapshot = manual();
        assert!(matches!(ask(&snapshot), Verdict::Await { .. }));
        let digest = plan(&snapshot).unwrap().digest;
        decide(&mut snapshot, Decision::Approved, Some(digest));
        assert_eq!(ask(&snapshot), Verdict::Allow);
    }

    #[test]
    fn the_only_replica_of_a_stateful_set_is_taken_only_with_a_yes() {
        let mut snapshot = snapshot();
        let owner = snapshot.owners.last_mut().unwrap();
        owner.workload.as_mut().unwrap().desired = 1;
        assert_eq!(ask(&snapshot), Verdict::Allow, "a Deployment");
        snapshot.owners.last_mut().unwrap().target.kind = "StatefulSet".to_owned();
        assert!(matches!(ask(&snapshot), Verdict::Await { .. }));
        for pod in &mut snapshot.pods {
            pod.ready = false;
        }
        assert_eq!(ask(&snapshot), Verdict::Allow, "it is not ready");
    }

    #[test]
    fn a_rejection_counts_where_nobody_had_to_be_asked() {
        let mut snapshot = snapshot();
        assert_eq!(ask(&snapshot), Verdict::Allow);
        decide(&mut snapshot, Decision::Rejected, None);
        assert!(matches!(
            ask(&snapshot),
            Verdict::Deny {
                reason: Reason::Rejected,
                ..
            }
        ));
    }

    #[test]
    fn the_wait_for_a_person_ends() {
        let mut snapshot = manual();
        snapshot.action.status.judged_at = Some(NOW - SignedDuration::from_mins(60));
        assert!(matches!(
            ask(&snapshot),
            Verdict::Deny {
                reason: Reason::ApprovalTimeout,
                ..
            }
        ));
    }

    #[test]
    fn an_action_cannot_excuse_itself_from_approval() {
        let mut snapshot = snapshot();
        snapshot.policy.as_mut().unwrap().spec.actions[0].requires_approval = Some(true);
        snapshot.action.spec.action.requires_approval = Some(false);
        assert!(matches!(ask(&snapshot), Verdict::Await { .. }));
    }

    /// A yes to the planned change, which was asked for an hour and `over` before now.
    fn answered_late(over: i64, at: Option<i64>) -> Snapshot {
        let mut snapshot = manual();
        let digest = plan(&snapshot).unwrap().digest;
        decide(&mut snapshot, Decision::Approved, Some(digest));
        let end = NOW - SignedDuration::from_secs(over);
        snapshot.action.status.judged_at = Some(end - SignedDuration::from_mins(60));
        snapshot.action.approved_at = at.map(|at| end + SignedDuration::from_secs(at));
        snapshot
    }

    #[test]
    fn a_yes_that_came_too_late_is_none_and_says_when_it_came() {
        let late = ask(&answered_late(60, Some(5)));
        let Verdict::Deny { reason, message } = late else {
            panic!("{late:?}");
        };
        assert_eq!(reason, Reason::ApprovalTimeout);
        assert!(
            message.contains("ada approved it at 2030-01-01T11:59:05Z"),
            "{message}"
        );
        let undated = ask(&answered_late(60, None));
        assert!(matches!(undated, Verdict::Deny { .. }), "{undated:?}");
    }

    #[test]
    fn a_yes_that_was_seen_in_time_stays_good() {
        let mut snapshot = answered_late(60, Some(5));
        let seen = json!({
            "type": "Approved", "status": "True", "reason": "Approved", "message": "",
            "lastTransitionTime": "2030-01-01T11:00:00Z",
        });
        snapshot.action.status.conditions = vec![serde_json::from_value(seen).unwrap()];
        assert_eq!(ask(&snapshot), Verdict::Allow);
        let mut begun = answered_late(60, None);
        begun.action.status.started_at = Some(NOW);
        begun.action.status.plan = plan(&begun).unwrap().steps;
        assert_eq!(ask(&begun), Verdict::Allow);
    }

    proptest! {
        /// Whenever an actuator comes to look, before the end of the wait or after.
        #[test]
        fn a_yes_counts_exactly_when_it_was_written_in_time(over in -1800i64..100_000, at in -3600i64..100_000) {
            prop_assume!(at <= over, "what is written after now cannot be read now");
            let verdict = ask(&answered_late(over, Some(at)));
            let denied = matches!(verdict, Verdict::Deny { reason: Reason::ApprovalTimeout, .. });
            prop_assert_eq!(verdict == Verdict::Allow, at < 0);
            prop_assert_eq!(denied, at >= 0);
        }

        #[test]
        fn no_other_digest_opens_the_door(digest in proptest::option::of("[0-9a-f]{0,64}")) {
            let mut snapshot = manual();
            prop_assume!(digest != Some(plan(&snapshot).unwrap().digest));
            decide(&mut snapshot, Decision::Approved, digest);
            let denied = matches!(ask(&snapshot), Verdict::Deny { reason: Reason::DigestMismatch, .. });
            prop_assert!(denied);
        }
    }
}
