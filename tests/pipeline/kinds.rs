//! Each remedy on each kind of workload: made where it is meant for it, refused elsewhere with the reason.

use std::sync::Arc;

use harness::{Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::action::Phase;

use crate::{
    remedies::{acting_by_hand, ask, ended_in, writes},
    stack::Stack,
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "what_can_be_scaled_and_resized_is_on_each_kind",
            shared,
            what_can_be_scaled_and_resized_is_on_each_kind,
        ),
        trial(
            "a_remedy_on_a_kind_it_is_not_for_is_refused",
            shared,
            a_remedy_on_a_kind_it_is_not_for_is_refused,
        ),
    ]
}

const MORE: &str =
    "{name: more, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 5}}";
const SIZE: &str =
    "{name: size, type: resize, resizeAction: {limits: {memory: 512Mi}, allowRollout: true}}";
const BACK: &str = "{name: back, type: rollback}";
const CORDON: &str = "{name: keep-off, type: cordon, cordonAction: {operation: cordon}}";
const WAVES: &str = "{name: waves, type: restart, restartAction: {strategy: recreate}}";

/// A workload of one pod, with a limit.
fn workload(stack: &Stack<'_>, kind: &str, name: &str) {
    let spec = match kind {
        "DaemonSet" => "minReadySeconds: 0",
        _ => "replicas: 1",
    };
    stack.namespace.apply(&format!(
        "
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {spec}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      nodeSelector: {{type: kwok, kubernetes.io/hostname: kwok-1}}
      containers: [{{name: app, image: 'app:1', resources: {{limits: {{memory: 256Mi}}}}}}]
"
    ));
}

async fn what_can_be_scaled_and_resized_is_on_each_kind(shared: &Shared) {
    let stack = acting_by_hand(shared, "kinds", &[MORE, SIZE], "").await;
    let scaled = [("Deployment", "more-dep"), ("StatefulSet", "more-sts")];
    let sized = [
        ("Deployment", "size-dep"),
        ("StatefulSet", "size-sts"),
        ("DaemonSet", "size-dae"),
    ];
    for (kind, name) in scaled.iter().chain(&sized) {
        workload(&stack, kind, name);
    }
    for (_, name) in scaled.iter().chain(&sized) {
        stack.ready_pods(&format!("app={name}"), 1).await;
    }
    for (kind, name) in scaled {
        ask(&stack, name, MORE, (kind, name));
    }
    for (kind, name) in sized {
        ask(&stack, name, SIZE, (kind, name));
    }

    let kubectl = stack.namespace.kubectl();
    for (kind, name) in scaled {
        ended_in(&stack, name, Phase::Succeeded).await;
        let count = "jsonpath={.spec.replicas} {.status.readyReplicas}";
        assert_eq!(
            kubectl.ok(&["get", kind, name, "-o", count]),
            "2 2",
            "{kind}"
        );
    }
    for (kind, name) in sized {
        ended_in(&stack, name, Phase::Succeeded).await;
        let limit = "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}";
        assert_eq!(
            kubectl.ok(&["get", kind, name, "-o", limit]),
            "512Mi",
            "{kind}"
        );
    }
}

async fn a_remedy_on_a_kind_it_is_not_for_is_refused(shared: &Shared) {
    let actions = [MORE, SIZE, BACK, CORDON, WAVES];
    let stack = acting_by_hand(shared, "otherkinds", &actions, "").await;
    workload(&stack, "DaemonSet", "dae");
    workload(&stack, "Deployment", "dep");
    stack.namespace.create_workload(&Workload::pod("alone"));
    stack.ready_pods("app=dae", 1).await;
    stack.ready_pods("app=alone", 1).await;
    let asked = [
        ("scale-dae", MORE, ("DaemonSet", "dae")),
        ("scale-pod", MORE, ("Pod", "alone")),
        ("back-pod", BACK, ("Pod", "alone")),
        ("cordon-dep", CORDON, ("Deployment", "dep")),
        ("waves-dae", WAVES, ("DaemonSet", "dae")),
    ];
    for (name, action, target) in asked {
        ask(&stack, name, action, target);
    }

    for (name, ..) in asked {
        let status = ended_in(&stack, name, Phase::Denied).await;
        assert_eq!(
            status.reason.as_deref(),
            Some("UnsupportedTarget"),
            "{name}: {status:?}"
        );
        let says = status.message.unwrap_or_default();
        assert!(!says.is_empty(), "{name} says nothing");
    }
    let made = writes(shared, &stack);
    assert!(made.is_empty(), "{made:?}");
}
