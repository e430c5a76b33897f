use super::*;
use crate::testing::{NOW, executed, pod};

fn outcome(snapshot: &Snapshot, now: Timestamp) -> Option<Reason> {
    match verify(snapshot, now) {
        Check::Waiting(_) => None,
        Check::Done(reason, verification) => {
            assert_eq!(verification.outcome, reason.as_str());
            Some(reason)
        }
    }
}

const TIMEOUT: SignedDuration = SignedDuration::from_mins(5);

#[test]
fn a_ready_replacement_whose_value_is_back_recovered() {
    assert_eq!(outcome(&executed(), NOW), Some(Reason::Recovered));
}

#[test]
fn a_value_sampled_before_the_change_proves_nothing() {
    let mut snapshot = executed();
    let before = snapshot.action.status.executed_at;
    snapshot.observation.as_mut().unwrap().readings[0].sampled_at = before;
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(
        outcome(&snapshot, NOW + TIMEOUT),
        Some(Reason::Inconclusive)
    );
}

#[test]
fn without_data_the_outcome_is_inconclusive_and_never_success() {
    let mut snapshot = executed();
    snapshot.observation = None;
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(
        outcome(&snapshot, NOW + TIMEOUT),
        Some(Reason::Inconclusive)
    );
}

#[test]
fn a_replacement_that_breaches_again_did_not_recover() {
    let mut snapshot = executed();
    snapshot.observation.as_mut().unwrap().readings[0].breaching = true;
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(
        outcome(&snapshot, NOW + TIMEOUT),
        Some(Reason::NotRecovered)
    );
}

#[test]
fn a_replacement_that_is_missing_or_not_ready_did_not_recover() {
    let mut absent = executed();
    absent.pods.clear();
    let mut unready = executed();
    unready.pods[0].ready = false;
    let mut short = executed();
    let owner = short.owners.last_mut().unwrap();
    owner.workload.as_mut().unwrap().ready = 0;
    for snapshot in [absent, unready, short] {
        assert_eq!(outcome(&snapshot, NOW), None);
        assert_eq!(
            outcome(&snapshot, NOW + TIMEOUT),
            Some(Reason::NotRecovered)
        );
    }
}

#[test]
fn an_older_sibling_is_no_replacement() {
    let mut snapshot = executed();
    let mut sibling = pod("web-2", "sibling");
    sibling.created_at = Some(NOW - SignedDuration::from_hours(1));
    snapshot.pods = vec![sibling];
    assert_eq!(outcome(&snapshot, NOW), None);
}

#[test]
fn an_action_by_hand_is_over_when_the_replacement_is_ready() {
    let mut snapshot = executed();
    snapshot.action.spec.trigger = None;
    snapshot.observation = None;
    assert_eq!(outcome(&snapshot, NOW), Some(Reason::Recovered));
}

#[test]
fn a_policy_can_do_without_the_health_check_but_not_without_readiness() {
    let mut snapshot = executed();
    let rules = &mut snapshot.policy.as_mut().unwrap().spec.safety_rules;
    rules.require_health_check = false;
    snapshot.observation = None;
    assert_eq!(outcome(&snapshot, NOW), Some(Reason::Recovered));
    snapshot.pods[0].ready = false;
    assert_eq!(outcome(&snapshot, NOW), None);
}
