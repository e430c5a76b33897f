//! What is asked for is done and seen done, or left alone for a reason that is told.

use std::{sync::Arc, time::Duration};

use harness::{AuditLog, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::action::{HealingAction, HealingActionStatus, Phase};

use crate::{
    heals::memory_policy,
    stack::{Part, SYSTEM, Stack, phase_of, summary},
};

/// How long an action by hand may take until its end.
const DONE: Duration = Duration::from_mins(2);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "scaling_up_succeeds_once_every_replica_is_ready",
            shared,
            scaling_up_succeeds_once_every_replica_is_ready,
        ),
        trial(
            "replicas_that_others_own_are_left_to_them",
            shared,
            replicas_that_others_own_are_left_to_them,
        ),
        trial(
            "a_disruption_budget_is_waited_for",
            shared,
            a_disruption_budget_is_waited_for,
        ),
        trial(
            "every_kind_of_workload_is_rolled",
            shared,
            every_kind_of_workload_is_rolled,
        ),
        trial(
            "a_pod_is_deleted_only_where_the_actuator_was_given_the_right",
            shared,
            a_pod_is_deleted_only_where_the_right_was_given,
        ),
        trial(
            "a_storm_of_sick_pods_stops_healing_which_resumes_after_it",
            shared,
            a_storm_of_sick_pods_stops_healing_which_resumes_after_it,
        ),
    ]
}

/// A namespace with a policy of the actions under test, and nothing but the actuator running.
async fn by_hand<'a>(shared: &'a Shared, name: &str) -> Stack<'a> {
    let actions = [RESTART, REMOVE, MORE];
    acting_by_hand(shared, name, &actions, "").await
}

/// The same with other actions, and more safety rules.
pub(crate) async fn acting_by_hand<'a>(
    shared: &'a Shared,
    name: &str,
    actions: &[&str],
    rules: &str,
) -> Stack<'a> {
    let mut stack = Stack::new(shared, name).await;
    by_hand_policy(&stack, actions, rules);
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);
    stack
}

/// Applies the policy of these actions, by which nothing is done but what is asked for by hand.
pub(crate) fn by_hand_policy(stack: &Stack<'_>, actions: &[&str], rules: &str) {
    let actions = actions.join("\n  - ");
    stack.namespace.apply(&format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: by-hand}}
spec:
  selector: {{resources: [{{kind: Pod}}, {{kind: Deployment}}, {{kind: StatefulSet}}, {{kind: DaemonSet}}]}}
  triggers:
  - {{name: never, type: event, eventTrigger: {{reason: NeverSeen, type: Warning}}}}
  actions:
  - {actions}
  safetyRules: {{maxActionsPerHour: 20, maxConcurrent: 5{rules}}}
",
    ));
}

/// Asks for `action` of the policy on `kind` `target`.
pub(crate) fn ask(stack: &Stack<'_>, name: &str, action: &str, (kind, target): (&str, &str)) {
    stack.namespace.apply(&format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {{name: {name}}}
spec:
  policyName: by-hand
  targetResource: {{kind: {kind}, name: {target}}}
  action: {action}
"
    ));
}

const RESTART: &str = "{name: restart, type: restart}";
const REMOVE: &str = "{name: remove, type: delete, requiresApproval: false}";
const MORE: &str =
    "{name: more, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 5}}";

/// Waits until the action `name` is as `is_met` wants it.
pub(crate) async fn wait_for(
    stack: &Stack<'_>,
    name: &str,
    is_met: impl Fn(&HealingActionStatus) -> bool,
) -> HealingActionStatus {
    until(&format!("the action {name}"), DONE, async || {
        let actions = stack.actions().await;
        let found = |action: &&HealingAction| action.metadata.name.as_deref() == Some(name);
        let status = actions.iter().find(found).and_then(|a| a.status.clone());
        let status = status.ok_or_else(|| "not looked at yet".to_owned())?;
        if is_met(&status) {
            return Ok(status);
        }
        let (phase, reason, message) = (status.phase, status.reason, status.message);
        Err(format!("{phase} {reason:?} {message:?}; {}", stack.tails()))
    })
    .await
}

pub(crate) async fn ended_in(stack: &Stack<'_>, name: &str, phase: Phase) -> HealingActionStatus {
    let status = wait_for(stack, name, |status| status.phase.is_final()).await;
    assert_eq!(status.phase, phase, "{status:?}");
    if phase == Phase::Succeeded && !status.plan.is_empty() && status.started_at.is_some() {
        let seen = status
            .verification
            .as_ref()
            .map(|seen| seen.outcome.as_str());
        assert!(
            matches!(seen, Some("Recovered" | "Contained")),
            "{status:?}"
        );
    }
    status
}

/// What the actuator changed in the test's namespace, besides telling about it.
pub(crate) fn writes(shared: &Shared, stack: &Stack<'_>) -> AuditLog {
    shared
        .control_plane()
        .audit_entries()
        .by_service_account(SYSTEM, "kubeskippy-actuator")
        .in_namespace(stack.namespace.name())
        .effective()
        .keep(|entry| !matches!(entry.resource.as_str(), "healingactions" | "events"))
}

async fn scaling_up_succeeds_once_every_replica_is_ready(shared: &Shared) {
    let stack = by_hand(shared, "scale").await;
    let web = Workload::deployment("web").replicas(2);
    stack.namespace.create_workload(&web);
    stack.ready_pods("app=web", 2).await;
    ask(&stack, "more", MORE, ("Deployment", "web"));

    let status = ended_in(&stack, "more", Phase::Succeeded).await;

    // The stamp and the count are two calls: the scale subresource takes no annotations.
    assert_eq!(status.plan.len(), 2, "{status:?}");
    let jsonpath = "jsonpath={.spec.replicas} {.status.readyReplicas}";
    let counts = stack
        .namespace
        .kubectl()
        .ok(&["get", "deployment", "web", "-o", jsonpath]);
    assert_eq!(counts, "3 3");
    let scalings = writes(shared, &stack).keep(|entry| entry.subresource == "scale");
    assert_eq!(scalings.entries().len(), 1, "{scalings:?}");
}

async fn replicas_that_others_own_are_left_to_them(shared: &Shared) {
    let stack = by_hand(shared, "owned").await;
    for name in ["by-hpa", "by-argo"] {
        stack
            .namespace
            .create_workload(&Workload::deployment(name).replicas(2));
        stack.ready_pods(&format!("app={name}"), 2).await;
    }
    stack.namespace.apply(
        "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web-autoscaler}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: by-hpa}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
",
    );
    let fields = "--patch={\"spec\":{\"replicas\":3}}";
    stack.namespace.kubectl().ok(&[
        "patch",
        "deployment",
        "by-argo",
        "--field-manager=argocd-controller",
        fields,
    ]);
    stack.ready_pods("app=by-argo", 3).await;
    ask(&stack, "more-hpa", MORE, ("Deployment", "by-hpa"));
    ask(&stack, "more-argo", MORE, ("Deployment", "by-argo"));

    let status = ended_in(&stack, "more-hpa", Phase::Denied).await;
    assert_eq!(status.reason.as_deref(), Some("AutoscalerOwnsReplicas"));
    let message = status.message.unwrap_or_default();
    assert!(message.contains("web-autoscaler"), "{message}");
    let status = ended_in(&stack, "more-argo", Phase::Denied).await;
    assert_eq!(status.reason.as_deref(), Some("FieldOwned"));
    let message = status.message.unwrap_or_default();
    assert!(message.contains("argocd-controller"), "{message}");
    assert!(writes(shared, &stack).is_empty());
}

async fn a_disruption_budget_is_waited_for(shared: &Shared) {
    let stack = by_hand(shared, "pdb").await;
    let web = Workload::deployment("web").replicas(2);
    stack.namespace.create_workload(&web);
    let before = stack.ready_pods("app=web", 2).await;
    let pod = before.keys().next().expect("two pods");
    let budget = |least: u8| {
        format!(
            "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{minAvailable: {least}, selector: {{matchLabels: {{app: web}}}}}}
"
        )
    };
    stack.namespace.apply(&budget(2));
    ask(&stack, "replace", RESTART, ("Pod", pod));

    let held = |status: &HealingActionStatus| {
        status.reason.as_deref() == Some("DisruptionBudget") && status.attempts >= 2
    };
    let status = wait_for(&stack, "replace", held).await;
    assert_eq!(status.phase, Phase::InProgress);
    assert_eq!(stack.pod_uids("app=web").await, before);
    assert!(writes(shared, &stack).is_empty());

    stack.namespace.apply(&budget(1));
    ended_in(&stack, "replace", Phase::Succeeded).await;
    let after = stack.ready_pods("app=web", 2).await;
    assert!(!after.contains_key(pod), "{after:?}");
    let writes = writes(shared, &stack);
    let evictions = writes.clone().keep(|entry| entry.subresource == "eviction");
    assert_eq!(evictions.entries().len(), 1, "{writes:?}");
    assert!(writes.with_verb("delete").is_empty());
}

async fn every_kind_of_workload_is_rolled(shared: &Shared) {
    let stack = by_hand(shared, "roll").await;
    let template = |app: &str| {
        format!(
            "selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec: {{containers: [{{name: app, image: 'simulated:1'}}]}}"
        )
    };
    let kinds = [
        ("Deployment", "dep", "replicas: 2"),
        ("StatefulSet", "sts", "replicas: 1"),
        ("DaemonSet", "dae", "minReadySeconds: 0"),
    ];
    for (kind, name, spec) in kinds {
        let template = template(name);
        stack.namespace.apply(&format!(
            "
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {spec}
  {template}
"
        ));
        let target = format!("{kind}/{name}");
        let wait = ["rollout", "status", &target, "--timeout=60s"];
        stack.namespace.kubectl().ok(&wait);
    }
    for (kind, name, _) in kinds {
        let before = stack.pod_uids(&format!("app={name}")).await;
        ask(&stack, name, RESTART, (kind, name));
        ended_in(&stack, name, Phase::Succeeded).await;
        let after = stack.pod_uids(&format!("app={name}")).await;
        assert_eq!(after.len(), before.len(), "{kind}");
        let kept = after
            .values()
            .any(|uid| before.values().any(|old| old == uid));
        assert!(!kept, "{kind}: {before:?} {after:?}");
    }
    let patches = writes(shared, &stack).with_verb("patch");
    assert_eq!(patches.entries().len(), kinds.len(), "{patches:?}");
    let actions = stack.actions().await;
    assert!(actions.iter().all(|a| phase_of(a) == Phase::Succeeded));
}

async fn a_pod_is_deleted_only_where_the_right_was_given(shared: &Shared) {
    let stack = by_hand(shared, "delete").await;
    let web = Workload::deployment("web").replicas(2);
    stack.namespace.create_workload(&web);
    let before = stack.ready_pods("app=web", 2).await;
    let mut pods = before.keys();
    let (first, second) = (pods.next(), pods.next());
    let (first, second) = (first.expect("two pods"), second.expect("two pods"));
    ask(&stack, "forbidden", REMOVE, ("Pod", first));

    let status = ended_in(&stack, "forbidden", Phase::Failed).await;
    assert_eq!(status.reason.as_deref(), Some("Forbidden"));
    let message = status.message.unwrap_or_default();
    assert!(
        message.contains("cannot delete resource \"pods\""),
        "{message}"
    );
    assert_eq!(stack.pod_uids("app=web").await, before);

    stack.namespace.kubectl().ok(&[
        "create",
        "rolebinding",
        "kubeskippy-actuator-delete",
        "--clusterrole=kubeskippy-actuator-delete",
        &format!("--serviceaccount={SYSTEM}:kubeskippy-actuator"),
    ]);
    ask(&stack, "allowed", REMOVE, ("Pod", second));

    ended_in(&stack, "allowed", Phase::Succeeded).await;
    let after = stack.ready_pods("app=web", 2).await;
    assert!(after.contains_key(first) && !after.contains_key(second));
    let other = Workload::deployment("other").replicas(1);
    stack.namespace.create_workload(&other);
    stack.ready_pods("app=other", 1).await;
    ask(&stack, "whole", REMOVE, ("Deployment", "other"));
    ended_in(&stack, "whole", Phase::Succeeded).await;
    let left = [
        "get",
        "deployments",
        "-o",
        "jsonpath={.items[*].metadata.name}",
    ];
    assert_eq!(stack.namespace.kubectl().ok(&left), "web");
    let deletes = writes(shared, &stack).with_verb("delete");
    assert_eq!(
        deletes.entries().len(),
        2,
        "one pod, one Deployment: {deletes:?}"
    );
}

async fn a_storm_of_sick_pods_stops_healing_which_resumes_after_it(shared: &Shared) {
    let mut stack = Stack::new(shared, "storm").await;
    let web = Workload::deployment("web")
        .replicas(14)
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&web);
    stack.ready_pods("app=web", 14).await;
    let rules = "  safetyRules: {maxActionsPerHour: 100, maxConcurrent: 100}\n";
    let policy = format!("{}{rules}", memory_policy("duration: 1s"));
    stack.namespace.apply(&policy);
    for part in [Part::Collector, Part::Analyzer] {
        stack.start_part(part).await;
        stack.ready(part);
    }
    let quiet = ["--storm-quiet-seconds", "5"];
    let actuator = stack.spawn(Part::Actuator, &quiet).await;
    stack.keep(Part::Actuator, actuator);

    until("actions that a storm holds back", DONE, async || {
        let actions = stack.actions().await;
        let held = actions.iter().filter(|action| {
            let status = action.status.as_ref();
            status.is_some_and(|status| status.reason.as_deref() == Some("Storm"))
        });
        if held.count() >= 5 {
            Ok(())
        } else {
            Err(format!("{:?}; {}", summary(&actions), stack.tails()))
        }
    })
    .await;

    // ten sick pods are a storm, so the tenth action never begins
    let evictions = writes(shared, &stack).keep(|entry| entry.subresource == "eviction");
    assert!(evictions.entries().len() < 10, "{evictions:?}");

    calm_after_a_storm(&stack).await;
}

/// All but three of those that wait get well, and the quiet that follows lets these go on.
async fn calm_after_a_storm(stack: &Stack<'_>) {
    let waiting = |action: &&HealingAction| !phase_of(action).is_final();
    let still_sick: Vec<String> = stack
        .actions()
        .await
        .iter()
        .filter(waiting)
        .filter(|action| {
            action
                .status
                .as_ref()
                .is_some_and(|s| s.started_at.is_none())
        })
        .map(|action| action.spec.target_resource.name.clone())
        .take(3)
        .collect();
    until(
        "the rest to be healed after the storm",
        DONE * 2,
        async || {
            for pod in stack.pod_uids("app=web").await.keys() {
                if !still_sick.contains(pod) {
                    let less = "sim.kubeskippy.io/memory=50Mi";
                    let kubectl = stack.namespace.kubectl();
                    // a pod that is replaced just now is not there any more
                    let _gone = kubectl.output(&["annotate", "pod", pod, "--overwrite", less]);
                }
            }
            let actions = stack.actions().await;
            let begun = actions.iter().filter(|action| {
                let status = action.status.clone().unwrap_or_default();
                let name = &action.spec.target_resource.name;
                still_sick.contains(name) && status.started_at.is_some()
            });
            if begun.count() >= still_sick.len() {
                Ok(())
            } else {
                Err(format!(
                    "{still_sick:?}: {:?}; {}",
                    summary(&actions),
                    stack.tails()
                ))
            }
        },
    )
    .await;
    assert_eq!(still_sick.len(), 3, "as many waited");
}
