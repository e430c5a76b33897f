//! Whether a person must agree, and whether one did.
//!
//! An approval is worth exactly the change it was given for: it carries the
//! digest of the plan, and another plan needs another action.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::{
    action::Decision,
    policy::{Action, Mode, Remedy},
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
    if is_approved(snapshot, Some(plan)) {
        return Verdict::Allow;
    }
    if let Some(approval) = decision {
        let message = format!(
            "{} approved another change than the one that is planned now ({}): create another HealingAction",
            approval.approved_by, plan.digest
        );
        return Verdict::deny(Reason::DigestMismatch, message);
    }
    let timeout = policy.spec.safety_rules.approval_timeout;
    let asked = snapshot.action.status.judged_at.unwrap_or(now);
    let until = asked
        .saturating_add(timeout.get())
        .unwrap_or(Timestamp::MAX);
    if now >= until {
        let message = format!("nobody approved it within {timeout}");
        return Verdict::deny(Reason::ApprovalTimeout, message);
    }
    let message = format!("waits for approval of the change {}", plan.digest);
    Verdict::Await { message, until }
}

/// Whether a person said yes to this very change.
pub(super) fn is_approved(snapshot: &Snapshot, plan: Option<&Plan>) -> bool {
    let approval = snapshot.action.spec.approval.as_ref();
    approval.zip(plan).is_some_and(|(approval, plan)| {
        approval.decision == Decision::Approved
            && approval.digest.as_deref() == Some(plan.digest.as_str())
    })
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
        || snapshot.rule().is_none_or(|rule| rule_requires(rule, plan))
}

fn rule_requires(rule: &Action, plan: Option<&Plan>) -> bool {
    let always = rule
        .delete_action
        .as_ref()
        .is_some_and(|delete| delete.force || delete.strip_finalizers);
    always
        || rule.requires_approval.unwrap_or_else(|| {
            let removes = matches!(rule.kind, Remedy::Delete | Remedy::Patch);
            removes || plan.is_some_and(Plan::shrinks)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::plan,
        testing::{NOW, snapshot},
    };
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use schemas::action::Approval;

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

    proptest! {
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
