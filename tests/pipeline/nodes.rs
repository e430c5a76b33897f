//! Nodes are drained and given back; Jobs of a policy are run; people are told.

use std::{sync::Arc, time::Duration};

use harness::{Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::{action::Phase, alert::AlertKind};

use crate::{
    remedies::{acting_by_hand, ask, ended_in, writes},
    stack::{Part, SYSTEM, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_node_is_drained_and_given_back",
            shared,
            a_node_is_drained_and_given_back,
        ),
        trial(
            "a_node_that_is_not_ready_is_closed_by_its_trigger_and_stays_so",
            shared,
            a_node_that_is_not_ready_is_closed,
        ),
        trial(
            "a_job_of_the_policy_is_run_once",
            shared,
            a_job_of_the_policy_is_run_once,
        ),
        trial(
            "people_are_told_and_nothing_is_changed",
            shared,
            people_are_told_and_nothing_is_changed,
        ),
    ]
}

/// Policies about nodes live in the system namespace, where an actuator acts on every action: one trial at a time.
static SYSTEM_IS_TAKEN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Binds the role that lets the actuator change nodes.
fn may_change_nodes(shared: &Shared) {
    shared.control_plane().apply(&format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: kubeskippy-actuator-nodes}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubeskippy-actuator-nodes}}
subjects: [{{kind: ServiceAccount, name: kubeskippy-actuator, namespace: {SYSTEM}}}]
"
    ));
}

/// A node of the trial's own, so that no other trial loses its pods.
fn own_node(shared: &Shared, name: &str) {
    shared.control_plane().apply(&format!(
        "
apiVersion: v1
kind: Node
metadata:
  name: {name}
  annotations: {{kwok.x-k8s.io/node: fake}}
  labels: {{kubernetes.io/hostname: {name}, kubernetes.io/os: linux, type: kwok-own}}
spec: {{taints: [{{key: own, value: '{name}', effect: NoSchedule}}]}}
status:
  allocatable: {{cpu: '8', memory: 16Gi, pods: '110'}}
  capacity: {{cpu: '8', memory: 16Gi, pods: '110'}}
"
    ));
}

fn asks_about_node(name: &str, operation: &str, node: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {{name: {name}, namespace: {SYSTEM}}}
spec:
  policyName: nodes
  targetResource: {{kind: Node, name: {node}}}
  action: {{name: {operation}, type: cordon, cordonAction: {{operation: {operation}, timeout: 1m}}}}
"
    )
}

const NODES: &str = "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: nodes, namespace: kubeskippy-system}
spec:
  selector: {resources: [{kind: Node}]}
  triggers:
  - {name: never, type: event, eventTrigger: {reason: NeverSeen, type: Warning}}
  actions:
  - {name: drain, type: cordon, cordonAction: {operation: drain, timeout: 1m}}
  - {name: uncordon, type: cordon, cordonAction: {operation: uncordon, timeout: 1m}}
  safetyRules: {maxActionsPerHour: 20, maxConcurrent: 5}
";

/// Pods that only run on nodes of the trial's own.
const ON_OWN_NODES: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations: [{key: own, operator: Exists}]
      nodeSelector: {type: kwok-own}
      containers: [{name: app, image: 'simulated:1'}]
";

/// The phase and reason of an action in the system namespace, once it has ended.
async fn ended(shared: &Shared, name: &str) -> String {
    let what = format!("the action {name}");
    harness::until(&what, Duration::from_secs(90), async || {
        let kubectl = shared.control_plane().kubectl().in_namespace(SYSTEM);
        let path = "jsonpath={.status.finishedAt}|{.status.phase} {.status.reason}";
        let said = kubectl.ok(&["get", "healingaction", name, "-o", path]);
        match said.split_once('|') {
            Some((at, end)) if !at.is_empty() => Ok(end.to_owned()),
            _ => Err(said),
        }
    })
    .await
}

async fn a_node_is_drained_and_given_back(shared: &Shared) {
    let _alone = SYSTEM_IS_TAKEN.lock().await;
    let mut stack = Stack::new(shared, "nodes").await;
    let control_plane = shared.control_plane();
    let own = stack.namespace.name().to_owned();
    own_node(shared, &own);
    stack.namespace.apply(ON_OWN_NODES);
    let before = stack.ready_pods("app=web", 2).await;
    control_plane.apply(NODES);
    let actuator = stack.spawn(Part::Actuator, &["--namespaces", SYSTEM]).await;
    stack.keep(Part::Actuator, actuator);
    stack.ready(Part::Actuator);

    // Without the right to list nodes nobody knows how many are out of use already.
    control_plane.apply(&asks_about_node("drain", "drain", &own));
    let kubectl = control_plane.kubectl();
    may_change_nodes(shared);
    assert_eq!(
        ended(shared, "drain").await,
        "Succeeded Recovered",
        "{}",
        stack.tails()
    );
    let closed = "jsonpath={.spec.unschedulable}";
    assert_eq!(kubectl.ok(&["get", "node", &own, "-o", closed]), "true");
    let after = stack.pod_uids("app=web").await;
    assert!(
        after.keys().all(|name| !before.contains_key(name)),
        "{after:?}"
    );

    // The drained node rests, so another one is given back; the pods that were evicted go there.
    let other = format!("{own}-other");
    own_node(shared, &other);
    kubectl.ok(&["cordon", &other]);
    control_plane.apply(&asks_about_node("open", "uncordon", &other));
    let opened = ended(shared, "open").await;
    assert_eq!(opened, "Succeeded Recovered", "{}", stack.tails());
    assert_eq!(kubectl.ok(&["get", "node", &other, "-o", closed]), "");
    stack.ready_pods("app=web", 2).await;
    kubectl.ok(&["delete", "node", &own, &other]);
    let system = kubectl.in_namespace(SYSTEM);
    system.ok(&["delete", "healingpolicy", "nodes"]);
    system.ok(&["delete", "healingaction", "drain", "open"]);
}

/// Closes this one node when it is not ready for a second.
fn closing(node: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: close, namespace: {SYSTEM}}}
spec:
  selector:
    resources: [{{kind: Node}}]
    labelSelector: {{matchLabels: {{kubernetes.io/hostname: {node}}}}}
  triggers:
  - {{name: gone, type: condition, conditionTrigger: {{type: NotReady, status: 'True', duration: 1s}}}}
  actions:
  - {{name: close, type: cordon, cordonAction: {{operation: cordon}}}}
  safetyRules: {{healthCheckTimeout: 10s}}
"
    )
}

async fn a_node_that_is_not_ready_is_closed(shared: &Shared) {
    let _alone = SYSTEM_IS_TAKEN.lock().await;
    let mut stack = Stack::new(shared, "sick-node").await;
    let control_plane = shared.control_plane();
    let kubectl = control_plane.kubectl();
    let own = stack.namespace.name().to_owned();
    own_node(shared, &own);
    may_change_nodes(shared);
    control_plane.apply(&closing(&own));
    for part in [Part::Collector, Part::Analyzer, Part::Actuator] {
        let running = stack.spawn(part, &["--namespaces", SYSTEM]).await;
        stack.keep(part, running);
        stack.ready(part);
    }
    kubectl.ok(&[
        "wait",
        "--for=condition=Ready",
        "node",
        &own,
        "--timeout=60s",
    ]);

    // Without its annotation KWOK leaves the node alone, and nobody says that it is ready any more.
    kubectl.ok(&["annotate", "node", &own, "kwok.x-k8s.io/node-"]);
    let said = r#"{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady"}]}}"#;
    kubectl.ok(&["patch", "node", &own, "--subresource=status", "-p", said]);

    let system = kubectl.in_namespace(SYSTEM);
    let path = "jsonpath={range .items[?(@.spec.policyName=='close')]}{.status.finishedAt}|{.status.phase} {.status.reason} {.spec.targetResource.name}{end}";
    let wait = Duration::from_mins(2);
    let end = harness::until("the node's action", wait, async || {
        let said = system.ok(&["get", "healingactions", "-o", path]);
        match said.split_once('|') {
            Some((at, end)) if !at.is_empty() => Ok(end.to_owned()),
            _ => Err(format!("{said:?}; {}", stack.tails())),
        }
    })
    .await;
    assert_eq!(end, format!("Succeeded Contained {own}"));
    let closed = "jsonpath={.spec.unschedulable}";
    assert_eq!(kubectl.ok(&["get", "node", &own, "-o", closed]), "true");
    system.ok(&["delete", "healingpolicy", "close"]);
    system.ok(&["delete", "healingactions", "--all"]);
    kubectl.ok(&["delete", "node", &own]);
}

const JOB: &str = "{name: job, type: custom, customAction: {job: {spec: '{\"template\": {\"spec\": {\"containers\": [{\"name\": \"a\", \"image\": \"simulated:1\"}], \"tolerations\": []}}}'}, timeout: 1m}}";

async fn a_job_of_the_policy_is_run_once(shared: &Shared) {
    let stack = acting_by_hand(shared, "job", &[JOB], "").await;
    for name in ["web", "other"] {
        stack
            .namespace
            .create_workload(&Workload::deployment(name).replicas(1));
        stack.ready_pods(&format!("app={name}"), 1).await;
    }
    ask(&stack, "forbidden", JOB, ("Deployment", "other"));
    let refused = ended_in(&stack, "forbidden", Phase::Failed).await;
    assert_eq!(refused.reason.as_deref(), Some("Forbidden"), "{refused:?}");
    stack.namespace.kubectl().ok(&[
        "create",
        "rolebinding",
        "kubeskippy-actuator-jobs",
        "--clusterrole=kubeskippy-actuator-jobs",
        &format!("--serviceaccount={SYSTEM}:kubeskippy-actuator"),
    ]);

    ask(&stack, "job", JOB, ("Deployment", "web"));
    let status = ended_in(&stack, "job", Phase::Succeeded).await;

    let step = &status.plan[0];
    assert!(
        step.called_at < step.done_at,
        "the Job was waited for: {step:?}"
    );
    let jobs = writes(shared, &stack).of_resource("jobs");
    assert_eq!(jobs.entries().len(), 1, "{jobs:?}");
}

const TELL: &str =
    "{name: tell, type: notify, notifyAction: {message: look at the shop, severity: critical}}";

async fn people_are_told_and_nothing_is_changed(shared: &Shared) {
    let stack = acting_by_hand(shared, "notify", &[TELL], "").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("web").replicas(1));
    stack.ready_pods("app=web", 1).await;

    ask(&stack, "tell", TELL, ("Deployment", "web"));
    let status = ended_in(&stack, "tell", Phase::Succeeded).await;

    assert!(status.plan.is_empty(), "{status:?}");
    let alert = stack
        .alert(AlertKind::ActionExecuting, Duration::from_secs(20))
        .await;
    assert_eq!(alert.message, "look at the shop");
    assert_eq!(alert.severity.as_str(), "critical");
    assert!(writes(shared, &stack).is_empty());
}
