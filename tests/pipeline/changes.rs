//! Fields are changed as planned, and only those that the policy names.

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
            "a_patch_changes_what_the_action_names_and_nothing_else",
            shared,
            a_patch_changes_what_the_action_names_and_nothing_else,
        ),
        trial(
            "every_kind_of_workload_is_rolled_back",
            shared,
            every_kind_of_workload_is_rolled_back,
        ),
        trial(
            "a_pod_grows_in_place_and_its_workload_where_that_is_allowed",
            shared,
            a_pod_grows_in_place_and_its_workload_where_that_is_allowed,
        ),
        trial(
            "the_bounds_of_an_autoscaler_are_moved_instead_of_the_count",
            shared,
            the_bounds_of_an_autoscaler_are_moved_instead_of_the_count,
        ),
    ]
}

const KINDS: [(&str, &str, &str); 3] = [
    ("Deployment", "dep", "replicas: 1"),
    ("StatefulSet", "sts", "replicas: 1"),
    ("DaemonSet", "dae", "minReadySeconds: 0"),
];

fn workload(stack: &Stack<'_>, (kind, name, spec): (&str, &str, &str), image: &str) {
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
      containers: [{{name: app, image: '{image}'}}, {{name: side, image: 'side:1'}}]
"
    ));
}

fn image(stack: &Stack<'_>, kind: &str, name: &str, container: &str) -> String {
    let path =
        format!("jsonpath={{.spec.template.spec.containers[?(@.name==\"{container}\")].image}}");
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&["get", kind, name, "-o", &path])
}

fn rolled_out(stack: &Stack<'_>, kind: &str, name: &str) {
    let what = format!("{kind}/{name}");
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&["rollout", "status", &what, "--timeout=90s"]);
}

const IMAGE: &str = "{name: image, type: patch, requiresApproval: false, patchAction: {patches: [{path: 'spec.template.spec.containers[name=side].image', value: '{{ target.name }}:2'}]}}";
const MERGE: &str = "{name: merge, type: patch, requiresApproval: false, patchAction: {type: strategic, patch: '{\"spec\": {\"template\": {\"spec\": {\"containers\": [{\"name\": \"app\", \"image\": \"app:9\"}]}}}}', fields: ['spec.template.spec.containers[name=side]']}}";

async fn a_patch_changes_what_the_action_names_and_nothing_else(shared: &Shared) {
    let stack = acting_by_hand(shared, "patch", &[IMAGE, MERGE], "").await;
    for kind in KINDS {
        workload(&stack, kind, "app:1");
    }
    for (kind, name, _) in KINDS {
        rolled_out(&stack, kind, name);
        ask(&stack, &format!("image-{name}"), IMAGE, (kind, name));
    }
    ask(&stack, "merge", MERGE, ("Deployment", "dep"));

    for (kind, name, _) in KINDS {
        let status = ended_in(&stack, &format!("image-{name}"), Phase::Succeeded).await;
        let changes = &status.plan[0].changes;
        assert_eq!(changes.len(), 2, "the image and the stamp: {changes:?}");
        assert_eq!(image(&stack, kind, name, "side"), format!("{name}:2"));
        assert_eq!(image(&stack, kind, name, "app"), "app:1");
    }
    let refused = ended_in(&stack, "merge", Phase::Denied).await;
    assert_eq!(
        refused.reason.as_deref(),
        Some("FieldNotAllowed"),
        "{refused:?}"
    );
    assert_eq!(writes(shared, &stack).entries().len(), KINDS.len());
}

const BACK: &str = "{name: back, type: rollback}";

async fn every_kind_of_workload_is_rolled_back(shared: &Shared) {
    let stack = acting_by_hand(shared, "rollback", &[BACK], "").await;
    for version in ["app:1", "app:2"] {
        // Creation times, which tell what was left by going back, have whole seconds.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        for kind in KINDS {
            workload(&stack, kind, version);
        }
        for (kind, name, _) in KINDS {
            rolled_out(&stack, kind, name);
        }
    }
    for (kind, name, _) in KINDS {
        ask(&stack, &format!("back-{name}"), BACK, (kind, name));
    }

    for (kind, name, _) in KINDS {
        let status = ended_in(&stack, &format!("back-{name}"), Phase::Succeeded).await;
        assert!(
            status.plan[0].call.ends_with("from revision 2 to 1"),
            "{status:?}"
        );
        assert_eq!(image(&stack, kind, name, "app"), "app:1");
        rolled_out(&stack, kind, name);
    }
    // A second time there is nothing that is not known to have been left.
    ask(&stack, "again", BACK, ("Deployment", "dep"));
    let again = ended_in(&stack, "again", Phase::Denied).await;
    assert_eq!(again.reason.as_deref(), Some("NoRevision"), "{again:?}");
}

const GROW: &str =
    "{name: grow, type: resize, resizeAction: {increasePercent: 50, maximum: {memory: 1Gi}}}";
const ROLL: &str =
    "{name: roll, type: resize, resizeAction: {limits: {memory: 768Mi}, allowRollout: true}}";

async fn a_pod_grows_in_place_and_its_workload_where_that_is_allowed(shared: &Shared) {
    let stack = acting_by_hand(shared, "resize", &[GROW, ROLL], "").await;
    let web = Workload::deployment("web").memory_limit("256Mi");
    stack.namespace.create_workload(&web);
    let whole = Workload::deployment("whole").memory_limit("256Mi");
    stack.namespace.create_workload(&whole);
    let before = stack.ready_pods("app=web", 1).await;
    let pod = before.keys().next().expect("one pod").clone();
    ask(&stack, "early", GROW, ("Pod", &pod));
    let early = ended_in(&stack, "early", Phase::Denied).await;
    assert_eq!(early.reason.as_deref(), Some("SizeNotAllowed"), "{early:?}");
    // What a kubelet that can resize reports, and KWOK does not.
    let reported = r#"[{"op": "add", "path": "/status/containerStatuses/0/resources", "value": {"limits": {"memory": "256Mi"}}}]"#;
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&[
        "patch",
        "pod",
        &pod,
        "--subresource=status",
        "--type=json",
        "-p",
        reported,
    ]);

    ask(&stack, "grow", GROW, ("Pod", &pod));
    let status = ended_in(&stack, "grow", Phase::Succeeded).await;

    let limit = "jsonpath={.spec.containers[0].resources.limits.memory}";
    assert_eq!(kubectl.ok(&["get", "pod", &pod, "-o", limit]), "384Mi");
    assert_eq!(
        stack.pod_uids("app=web").await,
        before,
        "the pod went on running"
    );
    assert!(
        status.plan[0].call.contains("the template stays"),
        "{status:?}"
    );
    let resizes = writes(shared, &stack).keep(|entry| entry.subresource == "resize");
    assert_eq!(resizes.entries().len(), 1, "{resizes:?}");

    ask(&stack, "roll", ROLL, ("Deployment", "whole"));
    ended_in(&stack, "roll", Phase::Succeeded).await;
    let template = "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}";
    assert_eq!(
        kubectl.ok(&["get", "deployment", "whole", "-o", template]),
        "768Mi"
    );
}

const BOUNDS: &str = "{name: bounds, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 4, autoscaler: adjust}}";

async fn the_bounds_of_an_autoscaler_are_moved_instead_of_the_count(shared: &Shared) {
    let stack = acting_by_hand(shared, "bounds", &[BOUNDS], "").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("web").replicas(1));
    stack.ready_pods("app=web", 1).await;
    stack.namespace.apply(
        "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 1
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
",
    );

    ask(&stack, "bounds", BOUNDS, ("Deployment", "web"));
    ended_in(&stack, "bounds", Phase::Succeeded).await;

    let kubectl = stack.namespace.kubectl();
    let bounds = "jsonpath={.spec.minReplicas} {.spec.maxReplicas}";
    assert_eq!(kubectl.ok(&["get", "hpa", "web", "-o", bounds]), "2 2");
    let scalings = writes(shared, &stack).keep(|entry| entry.subresource == "scale");
    assert!(scalings.is_empty(), "{scalings:?}");
}
