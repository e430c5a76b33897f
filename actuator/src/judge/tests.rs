use super::*;
use crate::{
    snapshot::Past,
    testing::{NOW, ended, past, snapshot},
};
use jiff::SignedDuration;
use proptest::prelude::*;
use schemas::{action::Phase, policy::Mode};
use serde_json::json;

#[test]
fn every_guard_answers_even_when_the_first_says_no() {
    let mut snapshot = snapshot();
    snapshot.policy = None;
    snapshot.target = None;
    let judgement = judge(&snapshot, NOW);
    assert_eq!(judgement.verdicts.len(), 16);
    assert!(matches!(
        judgement.verdict,
        Verdict::Deny {
            reason: Reason::PolicyNotFound,
            ..
        }
    ));
}

#[test]
fn a_forbidden_target_is_denied_rather_than_cancelled() {
    let mut snapshot = snapshot();
    snapshot.action.namespace = "kube-system".to_owned();
    snapshot.target = None;
    let judgement = judge(&snapshot, NOW);
    assert!(matches!(
        judgement.verdict,
        Verdict::Deny {
            reason: Reason::ProtectedNamespace,
            ..
        }
    ));
}

#[test]
fn a_person_is_asked_while_the_target_rests() {
    let mut snapshot = snapshot();
    snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
    snapshot.history = vec![past("other", NOW)];
    let judgement = judge(&snapshot, NOW);
    assert!(matches!(judgement.verdict, Verdict::Await { .. }));
}

#[test]
fn who_is_merely_told_is_not_limited() {
    use schemas::policy::Remedy;
    let mut snapshot = snapshot();
    snapshot.history = vec![past("other", NOW)];
    assert!(!judge(&snapshot, NOW).is_allowed());
    let notify = crate::testing::named_action("tell", Remedy::Notify);
    let policy = snapshot.policy.as_mut().unwrap();
    policy.spec.actions = vec![notify.clone()];
    snapshot.action.spec.action = notify;
    assert!(judge(&snapshot, NOW).is_allowed());
    snapshot.paused = Some("quiet".to_owned());
    assert!(!judge(&snapshot, NOW).is_allowed());
}

/// The guards that do not allow the action of `snapshot`.
fn objectors(snapshot: &Snapshot) -> Vec<String> {
    let judgement = judge(snapshot, NOW);
    let verdicts = judgement.verdicts.iter();
    let objecting = verdicts.filter(|answer| answer.verdict != "Allow");
    let objectors = objecting.map(|answer| answer.guard.clone()).collect();
    assert!(!judgement.is_allowed());
    objectors
}

#[test]
fn one_guard_alone_withholds_the_permit() {
    let mut cold = snapshot();
    cold.acting_since = None;
    assert_eq!(objectors(&cold), ["warmup"]);
    let mut stormy = snapshot();
    stormy.limits.storm_pods = 1;
    stormy.population.namespace = 2;
    assert_eq!(objectors(&stormy), ["storm"]);
    let mut narrow = snapshot();
    let rules = &mut narrow.policy.as_mut().unwrap().spec.safety_rules;
    rules.max_unavailable = serde_json::from_value(json!(0)).unwrap();
    assert_eq!(objectors(&narrow), ["blast_radius"]);
    let mut failing = snapshot();
    let long_ago = NOW - SignedDuration::from_hours(2);
    failing.history = vec![ended(Phase::Failed, long_ago); 3];
    assert_eq!(objectors(&failing), ["strikes"]);
    let mut broken = snapshot();
    let elsewhere = Past {
        target_uid: None,
        owner_uid: None,
        ..ended(Phase::Failed, NOW)
    };
    broken.history = vec![elsewhere; 5];
    assert_eq!(objectors(&broken), ["breaker"]);
}

proptest! {
    /// Spoils a good case in any combination of ways.
    #[test]
    fn there_is_a_permit_exactly_when_every_guard_allows(spoil in any::<[bool; 8]>()) {
        let mut snapshot = snapshot();
        let [paused, foreign, marked, stale, bare, manual, rolling, busy] = spoil;
        if paused {
            snapshot.paused = Some(String::new());
        }
        if foreign {
            snapshot.action.spec.action.name = "unknown".to_owned();
        }
        if marked {
            snapshot.namespace_marks.insert(schemas::PROTECTED.to_owned(), String::new());
        }
        if stale {
            let old = NOW - SignedDuration::from_mins(3);
            snapshot.observation.as_mut().unwrap().evaluated_at = old;
        }
        if bare {
            snapshot.target.as_mut().unwrap().controller = None;
        }
        if manual {
            snapshot.policy.as_mut().unwrap().spec.mode = Mode::Manual;
        }
        if rolling {
            snapshot.owners[1].workload.as_mut().unwrap().settled = false;
        }
        if busy {
            snapshot.history = vec![past("other", NOW)];
        }
        let judgement = judge(&snapshot, NOW);
        let all_allow = judgement.verdicts.iter().all(|v| v.verdict == "Allow");
        prop_assert_eq!(all_allow, !spoil.contains(&true));
        prop_assert_eq!(judgement.is_allowed(), all_allow);
        prop_assert_eq!(judgement.into_permit().is_some(), all_allow);
    }
}
