//! Plans of several calls are carried on with, and changes that did not help are taken back.

use std::sync::Arc;

use harness::{Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::action::Phase;

use crate::{
    remedies::{acting_by_hand, ask, ended_in, wait_for, writes},
    stack::{Part, SYSTEM, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_change_that_does_not_help_is_taken_back",
            shared,
            a_change_that_does_not_help_is_taken_back,
        ),
        trial(
            "what_a_person_changed_since_is_not_taken_back",
            shared,
            what_a_person_changed_since_is_not_taken_back,
        ),
        trial(
            "pods_are_replaced_so_many_at_a_time",
            shared,
            pods_are_replaced_so_many_at_a_time,
        ),
        trial(
            "what_was_taken_down_is_given_back_by_a_successor",
            shared,
            what_was_taken_down_is_given_back_by_a_successor,
        ),
        trial(
            "a_pod_that_nothing_replaces_is_created_anew",
            shared,
            a_pod_that_nothing_replaces_is_created_anew,
        ),
    ]
}

pub(crate) const MORE: &str =
    "{name: more, type: scale, scaleAction: {direction: up, replicas: 1}}";
const WAVES: &str = "{name: waves, type: restart, restartAction: {maxConcurrent: 1}}";
const ANEW: &str =
    "{name: anew, type: restart, restartAction: {strategy: recreate}, requiresApproval: false}";

/// Replicas that each want a node of their own, so that no more than there are nodes can be ready.
pub(crate) fn apart(stack: &Stack<'_>, replicas: usize) {
    stack.namespace.apply(&format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      nodeSelector: {{type: kwok}}
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: web}}}}}}
      containers: [{{name: app, image: 'simulated:1'}}]
"
    ));
}

pub(crate) fn nodes(shared: &Shared) -> usize {
    let names = shared.control_plane().kubectl().ok(&[
        "get",
        "nodes",
        "--selector",
        "type=kwok",
        "-o",
        "name",
    ]);
    names.lines().count()
}

fn replicas(stack: &Stack<'_>) -> String {
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&[
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.spec.replicas}",
    ])
}

async fn a_change_that_does_not_help_is_taken_back(shared: &Shared) {
    let rules = ", healthCheckTimeout: 8s";
    let stack = acting_by_hand(shared, "undo", &[MORE], rules).await;
    let most = nodes(shared);
    apart(&stack, most);
    stack.ready_pods("app=web", most).await;

    ask(&stack, "more", MORE, ("Deployment", "web"));
    let status = ended_in(&stack, "more", Phase::RolledBack).await;

    assert_eq!(status.reason.as_deref(), Some("Undone"), "{status:?}");
    let seen = status.verification.expect("the effect was looked at");
    assert_eq!(seen.outcome, "NotRecovered");
    assert_eq!(replicas(&stack), most.to_string());
    let scalings = writes(shared, &stack).keep(|entry| entry.subresource == "scale");
    assert_eq!(scalings.entries().len(), 2, "{scalings:?}");
}

async fn what_a_person_changed_since_is_not_taken_back(shared: &Shared) {
    let rules = ", healthCheckTimeout: 60s";
    let stack = acting_by_hand(shared, "drift", &[MORE], rules).await;
    let most = nodes(shared);
    apart(&stack, most);
    stack.ready_pods("app=web", most).await;
    ask(&stack, "more", MORE, ("Deployment", "web"));
    wait_for(&stack, "more", |status| status.phase == Phase::Verifying).await;

    let theirs = (most - 1).to_string();
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&[
        "scale",
        "deployment",
        "web",
        &format!("--replicas={theirs}"),
    ]);

    let status = ended_in(&stack, "more", Phase::Failed).await;
    assert_eq!(status.reason.as_deref(), Some("SpecDrift"), "{status:?}");
    let seen = status.verification.expect("the effect was looked at");
    assert_eq!(seen.drift, ["spec.replicas"]);
    assert_eq!(replicas(&stack), theirs);
}

async fn pods_are_replaced_so_many_at_a_time(shared: &Shared) {
    let stack = acting_by_hand(shared, "waves", &[WAVES], "").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("web").replicas(3));
    let before = stack.ready_pods("app=web", 3).await;

    ask(&stack, "waves", WAVES, ("Deployment", "web"));
    let status = ended_in(&stack, "waves", Phase::Succeeded).await;

    let after = stack.pod_uids("app=web").await;
    assert!(after.keys().all(|name| !before.contains_key(name)));
    assert_eq!(status.plan.len(), 3, "{:?}", status.plan);
    // Each next eviction came only after every replica was ready again.
    for pair in status.plan.windows(2) {
        assert!(pair[0].done_at <= pair[1].called_at, "{pair:?}");
    }
    let evictions = writes(shared, &stack).keep(|entry| entry.subresource == "eviction");
    assert_eq!(evictions.entries().len(), 3, "{evictions:?}");
}

async fn what_was_taken_down_is_given_back_by_a_successor(shared: &Shared) {
    let mut stack = acting_by_hand(shared, "recreate", &[ANEW], "").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("web").replicas(2));
    let before = stack.ready_pods("app=web", 2).await;

    ask(&stack, "anew", ANEW, ("Deployment", "web"));
    wait_for(&stack, "anew", |status| {
        status.plan.iter().any(|step| step.completes) && status.plan[1].called_at.is_some()
    })
    .await;
    stack.part(Part::Actuator).program.kill_hard();
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);

    ended_in(&stack, "anew", Phase::Succeeded).await;
    let after = stack.ready_pods("app=web", 2).await;
    assert!(after.keys().all(|name| !before.contains_key(name)));
    let scalings = writes(shared, &stack).keep(|entry| entry.subresource == "scale");
    assert_eq!(scalings.entries().len(), 2, "{scalings:?}");
}

async fn a_pod_that_nothing_replaces_is_created_anew(shared: &Shared) {
    let stack = acting_by_hand(shared, "bare", &[ANEW], "").await;
    stack.namespace.create_workload(&Workload::pod("web"));
    let before = stack.ready_pods("app=web", 1).await;
    stack.namespace.kubectl().ok(&[
        "create",
        "rolebinding",
        "kubeskippy-actuator-recreate",
        "--clusterrole=kubeskippy-actuator-recreate",
        &format!("--serviceaccount={SYSTEM}:kubeskippy-actuator"),
    ]);

    ask(&stack, "anew", ANEW, ("Pod", "web"));
    ended_in(&stack, "anew", Phase::Succeeded).await;

    let after = stack.pod_uids("app=web").await;
    assert_eq!(after.len(), 1);
    assert_ne!(after.get("web"), before.get("web"));
    let pods = writes(shared, &stack).of_resource("pods");
    assert_eq!(
        pods.entries().len(),
        2,
        "one eviction, one creation: {pods:?}"
    );
}
