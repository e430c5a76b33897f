use super::*;
use crate::testing::{acting, named_action, pod, workload};
use schemas::policy::Remedy;
use serde_json::json;
use std::sync::Arc;

fn snapshot_of(settings: RestartAction, object: &Object) -> Snapshot {
    let mut action = named_action("x", Remedy::Restart);
    action.restart_action = Some(settings);
    acting(action, object.clone())
}

fn plan(settings: RestartAction, object: &Object) -> Result<Vec<Step>, Refusal> {
    restart(&snapshot_of(settings, object), object)
}

fn with(strategy: RestartStrategy) -> RestartAction {
    RestartAction {
        strategy,
        ..RestartAction::default()
    }
}

#[test]
fn a_bare_pod_is_refused() {
    let mut bare = pod("web-1", "u");
    bare.controller = None;
    let refusal = plan(RestartAction::default(), &bare).unwrap_err();
    assert_eq!(refusal.reason, Reason::BarePod);
}

#[test]
fn a_bare_pod_is_recreated_from_what_was_asked_for() {
    let mut bare = pod("web-1", "u");
    bare.controller = None;
    bare.content = Arc::new(json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "nodeName": "node-1",
            "volumes": [{"name": "kube-api-access-x2"}, {"name": "data", "emptyDir": {}}],
            "containers": [{"name": "app", "volumeMounts": [{"name": "kube-api-access-x2"}]}],
        },
        "status": {"phase": "Running"},
    }));
    let steps = plan(with(RestartStrategy::Recreate), &bare).unwrap();
    assert_eq!(
        (steps[0].verb, steps[0].wait),
        (Verb::Evict, Some(Wait::Gone))
    );
    assert_eq!((steps[1].verb, steps[1].completes), (Verb::Create, true));
    let manifest: Value = serde_json::from_str(steps[1].body.as_ref().unwrap()).unwrap();
    let expected = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "shop", "labels": {"app": "web"},
            "annotations": {ACTED_BY: "action-uid"},
        },
        "spec": {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{"name": "app", "volumeMounts": []}],
        },
    });
    assert_eq!(manifest, expected);
}

#[test]
fn a_static_pod_is_the_kubelets() {
    let mut mirror = pod("etcd-a", "u");
    mirror.controller.as_mut().unwrap().kind = "Node".to_owned();
    let refusal = plan(with(RestartStrategy::Rolling), &mirror).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnsupportedTarget);
}

#[test]
fn the_grace_period_is_passed_on() {
    let settings = RestartAction {
        grace_period_seconds: Some(5),
        ..RestartAction::default()
    };
    let evict = plan(settings, &pod("web-1", "u")).unwrap();
    assert_eq!(evict[0].call, "evict Pod shop/web-1 with 5 s of grace");
}

#[test]
fn a_workload_is_rolled_and_a_replica_set_is_not() {
    let settings = RestartAction::default;
    let rolled = plan(settings(), &workload("Deployment", "web", "d")).unwrap();
    assert_eq!(rolled[0].changes.len(), 3);
    let refused = plan(settings(), &workload("ReplicaSet", "web-1", "r"));
    assert_eq!(refused.unwrap_err().reason, Reason::UnsupportedTarget);
}

#[test]
fn recreate_takes_all_down_and_gives_all_back() {
    let web = workload("Deployment", "web", "d");
    let steps = plan(with(RestartStrategy::Recreate), &web).unwrap();
    let counts: Vec<_> = steps.iter().filter_map(crate::plan::replicas).collect();
    assert_eq!(counts, [(2, 0), (0, 2)]);
    assert_eq!(steps[1].wait, Some(Wait::Empty));
    assert!(steps[2].completes && !steps[1].completes);
    let set = workload("DaemonSet", "agent", "d");
    let refusal = plan(with(RestartStrategy::Recreate), &set).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnsupportedTarget);
}

fn stateful(update: &Value) -> Object {
    let mut set = workload("StatefulSet", "db", "s");
    set.content = Arc::new(json!({"metadata": {}, "spec": {"updateStrategy": update}}));
    set
}

#[test]
fn so_many_pods_go_at_a_time_the_sick_ones_first() {
    let web = workload("Deployment", "web", "d");
    let settings = RestartAction {
        max_concurrent: Some(2),
        ..RestartAction::default()
    };
    let mut snapshot = snapshot_of(settings, &web);
    snapshot.pods = ["a", "b", "c"].map(|name| pod(name, name)).to_vec();
    snapshot.pods[2].ready = false;
    let steps = restart(&snapshot, &web).unwrap();
    let waves: Vec<_> = steps
        .iter()
        .map(|step| (step.object.name.as_str(), step.wait))
        .collect();
    let settled = Some(Wait::Settled);
    assert_eq!(waves, [("c", None), ("a", settled), ("b", settled)]);
}

#[test]
fn pods_that_are_replaced_when_deleted_are_evicted_from_the_last_ordinal() {
    let set = stateful(&json!({"type": "OnDelete"}));
    let mut snapshot = snapshot_of(RestartAction::default(), &set);
    snapshot.pods = ["db-0", "db-1", "db-10"]
        .map(|name| pod(name, name))
        .to_vec();
    let steps = restart(&snapshot, &set).unwrap();
    let names: Vec<_> = steps.iter().map(|step| step.object.name.as_str()).collect();
    assert_eq!(names, ["db-10", "db-1", "db-0"]);
    assert!(steps.iter().all(|step| step.verb == Verb::Evict));
}

#[test]
fn a_partition_is_honoured() {
    let set = stateful(&json!({"rollingUpdate": {"partition": 2}}));
    let mut snapshot = snapshot_of(RestartAction::default(), &set);
    snapshot.offender = Some(pod("db-2", "two"));
    let steps = restart(&snapshot, &set).unwrap();
    assert!(steps[0].call.ends_with("ordinals from 2 on"));
    snapshot.offender = Some(pod("db-1", "one"));
    let refusal = restart(&snapshot, &set).unwrap_err();
    assert_eq!(refusal.reason, Reason::NothingToDo);
}
