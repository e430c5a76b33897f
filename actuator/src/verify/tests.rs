use super::*;
use crate::{
    plan::plan,
    testing::{NOW, acting, executed, named_action, pod, workload},
};
use schemas::{
    ACTED_BY,
    action::{HealingActionStatus, Phase},
    policy::{CordonAction, Remedy, ScaleAction},
    step::Step,
};
use serde_json::json;
use std::sync::Arc;

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
fn a_sick_node_is_kept_closed_and_one_that_got_well_recovered() {
    let mut node = workload("Node", "n1", "uid-1");
    (node.workload, node.target.namespace) = (None, String::new());
    let mut action = named_action("close", Remedy::Cordon);
    action.cordon_action = Some(CordonAction::default());
    let mut snapshot = acting(action, node);
    snapshot.action.spec.target_resource.namespace = None;
    snapshot.action.status = executed().action.status;
    snapshot.action.status.plan.clear();
    (snapshot.owners, snapshot.pods) = (Vec::new(), Vec::new());
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(outcome(&snapshot, NOW + TIMEOUT), Some(Reason::Contained));
    let reading = &mut snapshot.observation.as_mut().unwrap().readings[0];
    (reading.breaching, reading.value) = (false, Some(0.0));
    reading.sampled_at = Some(NOW + SignedDuration::from_secs(1));
    assert_eq!(outcome(&snapshot, NOW), Some(Reason::Recovered));
    let cordon = &mut snapshot.action.spec.action.cordon_action;
    cordon.as_mut().unwrap().operation = CordonOperation::Uncordon;
    snapshot.observation = None;
    assert_eq!(
        outcome(&snapshot, NOW + TIMEOUT),
        Some(Reason::Inconclusive)
    );
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

/// Two replicas were scaled to three half a minute ago.
fn scaled(count: i32) -> Snapshot {
    let mut action = named_action("more", Remedy::Scale);
    action.scale_action = Some(ScaleAction::default());
    let mut web = workload("Deployment", "web", "web-uid");
    let before = acting(action.clone(), web.clone());
    let at = NOW - SignedDuration::from_secs(30);
    let steps = plan(&before).unwrap().steps.into_iter().map(|step| Step {
        called_at: Some(at),
        done_at: Some(at),
        ..step
    });
    let annotations = json!({ ACTED_BY: "action-uid" });
    let content = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": count}});
    web.content = Arc::new(content);
    web.workload.as_mut().unwrap().desired = count;
    let mut snapshot = acting(action, web);
    snapshot.action.spec.trigger = None;
    snapshot.owners.clear();
    snapshot.action.status = HealingActionStatus {
        phase: Phase::Verifying,
        plan: steps.collect(),
        baseline: Some(baseline(&before)),
        started_at: Some(at),
        executed_at: Some(at),
        ..HealingActionStatus::default()
    };
    snapshot
}

fn ready(snapshot: &mut Snapshot, count: i32) {
    let target = snapshot.target.as_mut().unwrap();
    target.workload.as_mut().unwrap().ready = count;
}

#[test]
fn fewer_replicas_than_before_are_harm_and_a_change_that_can_be_undone_is_stopped_early() {
    let mut snapshot = scaled(3);
    ready(&mut snapshot, 2);
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(
        outcome(&snapshot, NOW + TIMEOUT),
        Some(Reason::NotRecovered)
    );
    ready(&mut snapshot, 1);
    assert_eq!(outcome(&snapshot, NOW), None);
    assert_eq!(outcome(&snapshot, NOW + TIMEOUT / 2), Some(Reason::Harmed));
    ready(&mut snapshot, 3);
    assert_eq!(outcome(&snapshot, NOW), Some(Reason::Recovered));
}

#[test]
fn what_somebody_else_changed_back_says_nothing_about_the_change() {
    let mut snapshot = scaled(2);
    ready(&mut snapshot, 2);
    let Check::Done(reason, seen) = verify(&snapshot, NOW) else {
        panic!("still waiting");
    };
    assert_eq!(
        (reason, seen.outcome.as_str()),
        (Reason::SpecDrift, "Inconclusive")
    );
    assert_eq!(seen.drift, ["spec.replicas"]);
}

#[test]
fn of_an_object_that_stays_only_readings_after_it_came_to_rest_count() {
    let mut snapshot = scaled(2);
    let target = snapshot.target.as_mut().unwrap();
    let content =
        json!({"metadata": {"annotations": {ACTED_BY: "action-uid"}}, "spec": {"replicas": 3}});
    target.content = Arc::new(content);
    snapshot.action.spec.trigger = executed().action.spec.trigger;
    snapshot.pods.truncate(1);
    let mut seen = executed().observation.unwrap();
    seen.readings[0]
        .target
        .uid
        .clone_from(&snapshot.pods[0].target.uid);
    seen.readings[0].sampled_at = Some(NOW - SignedDuration::from_secs(5));
    snapshot.observation = Some(seen);
    let trigger = snapshot.action.spec.trigger.as_mut().unwrap();
    trigger.offender_kind = Some("Pod".to_owned());
    let Check::Waiting(seen) = verify(&snapshot, NOW) else {
        panic!("not waiting");
    };
    assert_eq!(
        (seen.outcome.as_str(), seen.settled_at),
        ("Inconclusive", Some(NOW))
    );
    snapshot.action.status.verification = Some(seen);
    let later = NOW + SignedDuration::from_secs(15);
    let readings = &mut snapshot.observation.as_mut().unwrap().readings;
    readings[0].sampled_at = Some(later);
    assert_eq!(outcome(&snapshot, later), Some(Reason::Recovered));
}
