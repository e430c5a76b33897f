use super::*;
use crate::testing::{NOW, past, snapshot};
use jiff::SignedDuration;
use proptest::prelude::*;
use schemas::policy::Mode;

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
