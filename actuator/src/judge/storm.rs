//! When too large a share is sick at once, the trouble is not in the pods.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Verdict;
use crate::{
    reason::Reason,
    snapshot::{Past, RECHECK, Snapshot},
};

/// Holds new actions back while too large a share of the namespace's or the
/// cluster's pods is sick: a node, the network or a release is the likely
/// cause, and replacing pods adds load to it. A pod is sick as long as an action about it
/// waits or runs, and for a while after (`--storm-quiet-seconds`), so that healing resumes only after a quiet while.
/// What a person asks for by hand goes on.
pub(super) fn storm(snapshot: &Snapshot, now: Timestamp) -> Verdict {
    if snapshot.is_reserved() || snapshot.is_dry_run() || snapshot.action.spec.trigger.is_none() {
        return Verdict::Allow;
    }
    let namespace = snapshot.action.namespace.as_str();
    let scopes = [
        (
            format!("the namespace {namespace}"),
            Some(namespace),
            snapshot.population.namespace,
        ),
        ("the cluster".to_owned(), None, snapshot.population.cluster),
    ];
    for (scope, namespace, pods) in scopes {
        let sick = sick(snapshot, namespace, now);
        let limits = &snapshot.limits;
        let share =
            sick.saturating_mul(100) >= pods.saturating_mul(u64::from(limits.storm_percent));
        if share && sick >= u64::from(limits.storm_pods) {
            let message = format!(
                "{sick} of {pods} pods of {scope} are sick at once: nothing more is tried until that ends"
            );
            let until = now.saturating_add(RECHECK).unwrap_or(Timestamp::MAX);
            return Verdict::defer(Reason::Storm, until, message);
        }
    }
    Verdict::Allow
}

/// How many pods are sick, this action's own among them.
fn sick(snapshot: &Snapshot, namespace: Option<&str>, now: Timestamp) -> u64 {
    let is_sick = |past: &&Past| {
        let ended = past.finished_at.filter(|_| past.phase.is_final());
        ended.is_none_or(|ended| now.duration_since(ended) < snapshot.limits.storm_quiet)
    };
    let in_scope = |past: &&Past| namespace.is_none_or(|namespace| past.namespace == namespace);
    let history = snapshot.history.iter().filter(in_scope).filter(is_sick);
    let mut pods: BTreeSet<&str> = history
        .filter_map(|past| past.offender_uid.as_deref())
        .collect();
    pods.extend(snapshot.offender_uid());
    u64::try_from(pods.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        snapshot::Population,
        testing::{NOW, ended, past, snapshot},
    };
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use schemas::action::Phase;

    /// `sick` of `pods` are, this action's own among them.
    fn sick_of(sick: u64, pods: u64) -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.population = Population {
            namespace: pods,
            cluster: pods * 10,
        };
        snapshot.history = (1..sick)
            .map(|number| Past {
                offender_uid: Some(format!("sick-{number}")),
                ..past("other", NOW)
            })
            .collect();
        snapshot
    }

    #[test]
    fn it_ends_five_minutes_after_the_last_action_about_it() {
        let mut snapshot = sick_of(15, 30);
        for past in &mut snapshot.history {
            *past = Past {
                offender_uid: past.offender_uid.clone(),
                ..ended(Phase::Cancelled, NOW)
            };
        }
        let almost = NOW + snapshot.limits.storm_quiet - SignedDuration::from_secs(1);
        assert!(matches!(storm(&snapshot, almost), Verdict::Defer { .. }));
        assert_eq!(
            storm(&snapshot, NOW + snapshot.limits.storm_quiet),
            Verdict::Allow
        );
    }

    #[test]
    fn one_pod_that_many_policies_complain_about_is_one() {
        let mut snapshot = sick_of(15, 30);
        for past in &mut snapshot.history {
            past.offender_uid = Some("the-one".to_owned());
        }
        assert_eq!(storm(&snapshot, NOW), Verdict::Allow);
    }

    #[test]
    fn the_cluster_has_a_storm_of_its_own() {
        let mut snapshot = sick_of(40, 400);
        assert_eq!(storm(&snapshot, NOW), Verdict::Allow);
        snapshot.population.cluster = 100;
        assert!(matches!(storm(&snapshot, NOW), Verdict::Defer { .. }));
    }

    proptest! {
        #[test]
        fn it_takes_both_the_share_and_the_number(sick in 1u64..60, more in 0u64..200) {
            let pods = sick + more;
            let held = storm(&sick_of(sick, pods), NOW) != Verdict::Allow;
            prop_assert_eq!(held, sick >= 10 && sick * 100 >= pods * 30);
        }
    }
}
