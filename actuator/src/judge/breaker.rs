//! Stops a policy that keeps failing.
//!
//! Closed: every action may pass. Open: none may, for a while after the last of
//! so many failures in a row. Half-open: one may try; its success closes the
//! breaker, its failure opens it again. All of this is derived from the history,
//! so a restart neither closes nor opens it.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::{Verdict, streak::streak};
use crate::{
    reason::Reason,
    snapshot::{Past, RECHECK, Snapshot},
};

/// Failures in a row that open the breaker of a policy that says nothing about it.
const FAILURES: u32 = 5;

/// How long it then stays open.
const RESET_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Holds new actions back while the policy's breaker is open. It stops harm and
/// nothing else: an action that has begun is carried to its end, verified and,
/// where that is called for, undone.
pub(super) fn breaker(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let Some(policy) = &snapshot.policy else {
        return Verdict::Allow;
    };
    if snapshot.is_reserved() || snapshot.is_dry_run() {
        return Verdict::Allow;
    }
    let rule = policy.spec.safety_rules.breaker.as_ref();
    let most = rule.map_or(FAILURES, |rule| rule.failures);
    let rest = rule.map_or(RESET_AFTER, |rule| rule.reset_after.get());
    let of_policy =
        |past: &&Past| past.namespace == snapshot.action.namespace && past.policy == policy.name;
    let row = streak(snapshot.history.iter().filter(of_policy));
    let Some(last) = row.last.filter(|_| row.failures >= most) else {
        return Verdict::Allow;
    };
    let failures = row.failures;
    let until = last.saturating_add(rest).unwrap_or(Timestamp::MAX);
    if now < until {
        let message = format!("{failures} actions of the policy failed in a row");
        return Verdict::defer(Reason::BreakerOpen, until, message);
    }
    let mut others = snapshot.history.iter().filter(of_policy);
    if others.any(Past::is_under_way) {
        let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
        let message =
            format!("after {failures} failures in a row, one action tries whether it helps again");
        return Verdict::defer(Reason::BreakerHalfOpen, until, message);
    }
    Verdict::Allow
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, ended, past, snapshot};
    use proptest::prelude::*;
    use schemas::action::Phase;

    fn failing(times: usize) -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.history = vec![ended(Phase::Failed, NOW); times];
        snapshot
    }

    #[test]
    fn it_opens_at_the_fifth_failure_and_lets_one_try_an_hour_later() {
        assert_eq!(breaker(&failing(4), NOW), Verdict::Allow);
        let mut snapshot = failing(5);
        let later = NOW + RESET_AFTER;
        assert!(matches!(
            breaker(&snapshot, NOW),
            Verdict::Defer { reason: Reason::BreakerOpen, until, .. } if until == later
        ));
        assert_eq!(breaker(&snapshot, later), Verdict::Allow);
        snapshot.history.push(past("the-one", later));
        assert!(matches!(
            breaker(&snapshot, later),
            Verdict::Defer {
                reason: Reason::BreakerHalfOpen,
                ..
            }
        ));
    }

    #[test]
    fn what_has_begun_is_never_stopped() {
        let mut snapshot = failing(9);
        snapshot.action.status.started_at = Some(NOW);
        assert_eq!(breaker(&snapshot, NOW), Verdict::Allow);
    }

    #[test]
    fn another_policys_failures_are_its_own() {
        let mut snapshot = failing(9);
        for past in &mut snapshot.history {
            past.policy = "other".to_owned();
        }
        assert_eq!(breaker(&snapshot, NOW), Verdict::Allow);
    }

    proptest! {
        /// Plays any sequence of wishes and outcomes, each action ending at once.
        #[test]
        fn no_hour_after_five_failures_in_a_row_sees_another_start(
            steps in proptest::collection::vec((1i64..2000, any::<bool>()), 1..80),
        ) {
            let mut snapshot = snapshot();
            let (mut now, mut row, mut last) = (NOW, 0, NOW);
            for (gap, helps) in steps {
                now += SignedDuration::from_secs(gap);
                let starts = breaker(&snapshot, now) == Verdict::Allow;
                prop_assert_eq!(starts, row < FAILURES || now >= last + RESET_AFTER);
                if starts {
                    let phase = if helps { Phase::Succeeded } else { Phase::Failed };
                    snapshot.history.push(ended(phase, now));
                    (row, last) = if helps { (0, now) } else { (row + 1, now) };
                }
            }
        }
    }
}
