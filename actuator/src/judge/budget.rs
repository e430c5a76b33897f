//! How many actions may start within an hour, and run at once.
//!
//! What counts is what is durable: `status.startedAt` of every other action,
//! written before its effect. A restart forgets nothing, and an action that
//! failed, or that is still under way, has been counted.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};

use super::Verdict;
use crate::{
    reason::Reason,
    snapshot::{Past, RECHECK, Snapshot},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Holds an action back while the policy, its namespace or the cluster has
/// used up what an hour allows, or as many run as may.
pub(super) fn budget(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    let Some(policy) = &snapshot.policy else {
        return Verdict::Allow;
    };
    if snapshot.is_reserved() || snapshot.is_dry_run() {
        return Verdict::Allow;
    }
    let rules = &policy.spec.safety_rules;
    let namespace = &snapshot.action.namespace;
    let in_namespace = |past: &&Past| past.namespace == *namespace;
    let of_policy = |past: &&Past| in_namespace(past) && past.policy == policy.name;
    let history = || snapshot.history.iter();

    let running = history()
        .filter(of_policy)
        .filter(|p| p.is_under_way())
        .count();
    if exceeds(running, rules.max_concurrent) {
        let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
        let message = format!("{running} actions of the policy are under way");
        return Verdict::defer(Reason::MaxConcurrent, until, message);
    }
    let limits = &snapshot.limits;
    let spent = [
        (
            Reason::PolicyBudget,
            rules.max_actions_per_hour,
            starts(history().filter(of_policy), now),
        ),
        (
            Reason::NamespaceBudget,
            limits.namespace_per_hour,
            starts(history().filter(in_namespace), now),
        ),
        (
            Reason::ClusterBudget,
            limits.cluster_per_hour,
            starts(history(), now),
        ),
    ];
    let waits = spent.into_iter().filter_map(|(reason, limit, starts)| {
        let until = free_at(&starts, limit, now)?;
        Some((until, reason, limit))
    });
    match waits.max_by_key(|(until, ..)| *until) {
        None => Verdict::Allow,
        Some((until, reason, limit)) => {
            let message = format!("{limit} actions an hour are allowed, and were started");
            Verdict::defer(reason, until, message)
        }
    }
}

fn exceeds(count: usize, limit: u32) -> bool {
    u32::try_from(count).unwrap_or(u32::MAX) >= limit
}

/// When actions started within the last hour, the earliest first. A start in
/// the future, by another clock, counts.
fn starts<'a>(history: impl Iterator<Item = &'a Past>, now: Timestamp) -> Vec<Timestamp> {
    let mut starts: Vec<_> = history
        .filter_map(|past| past.started_at)
        .filter(|started| now.duration_since(*started) < HOUR)
        .collect();
    starts.sort_unstable();
    starts
}

/// When fewer than `limit` of `starts` lie within the hour; `None` when that is so now.
fn free_at(starts: &[Timestamp], limit: u32, now: Timestamp) -> Option<Timestamp> {
    if !exceeds(starts.len(), limit) {
        return None;
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let leaves = starts.get(starts.len() - limit).copied().unwrap_or(now);
    Some(leaves.saturating_add(HOUR).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, past, snapshot};
    use proptest::prelude::*;
    use schemas::action::Phase;

    fn ended(uid: &str, started: Timestamp) -> Past {
        Past {
            phase: Phase::Failed,
            finished_at: Some(started),
            ..past(uid, started)
        }
    }

    #[test]
    fn a_failed_action_was_spent_and_the_wait_ends_when_it_leaves_the_hour() {
        let mut snapshot = snapshot();
        let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
        rules.max_actions_per_hour = 1;
        let started = NOW - SignedDuration::from_mins(20);
        snapshot.history = vec![ended("a", started)];
        assert!(matches!(
            budget(&snapshot, NOW),
            Verdict::Defer { reason: Reason::PolicyBudget, until, .. } if until == started + HOUR
        ));
        assert_eq!(budget(&snapshot, started + HOUR), Verdict::Allow);
    }

    #[test]
    fn other_policies_count_against_the_namespace_and_the_cluster() {
        let mut snapshot = snapshot();
        let mut other = ended("a", NOW);
        other.policy = "other".to_owned();
        snapshot.history = vec![other.clone()];
        assert_eq!(budget(&snapshot, NOW), Verdict::Allow);
        snapshot.limits.namespace_per_hour = 1;
        assert!(matches!(budget(&snapshot, NOW), Verdict::Defer { .. }));
        other.namespace = "elsewhere".to_owned();
        snapshot.history = vec![other];
        assert_eq!(budget(&snapshot, NOW), Verdict::Allow);
        snapshot.limits.cluster_per_hour = 1;
        assert!(matches!(budget(&snapshot, NOW), Verdict::Defer { .. }));
    }

    #[test]
    fn no_more_run_at_once_than_may() {
        let mut snapshot = snapshot();
        snapshot.history = vec![past("a", NOW)];
        assert!(matches!(
            budget(&snapshot, NOW),
            Verdict::Defer {
                reason: Reason::MaxConcurrent,
                ..
            }
        ));
    }

    proptest! {
        /// Plays any sequence of wishes: each is started when the guard allows it.
        #[test]
        fn no_hour_ever_holds_more_than_the_budget(
            gaps in proptest::collection::vec(0i64..1500, 1..60),
            limit in 0u32..6,
        ) {
            let mut snapshot = snapshot();
            let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
            rules.max_actions_per_hour = limit;
            let mut now = NOW;
            for (step, gap) in gaps.into_iter().enumerate() {
                now += SignedDuration::from_secs(gap);
                if budget(&snapshot, now) == Verdict::Allow {
                    snapshot.history.push(ended(&step.to_string(), now));
                }
                let spent = starts(snapshot.history.iter(), now).len();
                prop_assert!(spent <= limit as usize);
            }
        }

        /// The instant that is named is neither too early nor needlessly late.
        #[test]
        fn the_wait_that_is_named_is_exact(ages in proptest::collection::vec(0i64..3600, 1..12), limit in 1u32..6) {
            let mut snapshot = snapshot();
            let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
            rules.max_actions_per_hour = limit;
            snapshot.history = ages.iter().map(|age| ended("x", NOW - SignedDuration::from_secs(*age))).collect();
            if let Verdict::Defer { until, .. } = budget(&snapshot, NOW) {
                prop_assert_eq!(budget(&snapshot, until), Verdict::Allow);
                prop_assert_ne!(budget(&snapshot, until - SignedDuration::from_secs(1)), Verdict::Allow);
            }
        }
    }
}
