//! What must not be touched is not touched, and what needs a person waits for one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use harness::{Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::action::{HealingAction, Phase};
use serde_json::json;

use crate::{
    heals::memory_policy,
    stack::{Part, SYSTEM, Stack, phase_of, summary},
};

pub(crate) const JUDGED: Duration = Duration::from_mins(3);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "what_is_protected_sees_no_write",
            shared,
            what_is_protected_sees_no_write,
        ),
        trial(
            "a_protected_namespace_sees_no_write",
            shared,
            a_protected_namespace_sees_no_write,
        ),
        trial(
            "a_manual_policy_waits_for_approval_and_then_acts",
            shared,
            a_manual_policy_waits_for_approval,
        ),
        trial(
            "a_rejected_action_changes_nothing",
            shared,
            a_rejected_action_changes_nothing,
        ),
        trial(
            "a_dry_run_plans_and_changes_nothing",
            shared,
            a_dry_run_changes_nothing,
        ),
        trial(
            "one_action_an_hour_is_one_action_also_across_a_restart",
            shared,
            one_action_an_hour,
        ),
        trial(
            "another_pod_of_the_same_name_is_another_target",
            shared,
            another_pod_of_the_same_name_is_another_target,
        ),
    ]
}

async fn what_is_protected_sees_no_write(shared: &Shared) {
    let mut stack = Stack::new(shared, "protected").await;
    let sick = |name: &str| {
        Workload::deployment(name)
            .memory_limit("256Mi")
            .memory("250Mi")
    };
    stack
        .namespace
        .create_workload(&sick("by-label").label("kubeskippy.io/protected", "true"));
    stack
        .namespace
        .create_workload(&sick("by-annotation").annotation("kubeskippy.io/protected", "true"));
    stack
        .namespace
        .create_workload(&sick("by-rule").label("tier", "database"));
    for app in ["app=by-label", "app=by-annotation", "app=by-rule"] {
        stack.ready_pods(app, 1).await;
    }
    let rules = "
  safetyRules: {maxConcurrent: 10, protectedResources: [{kind: Pod, labelSelector: {matchLabels: {tier: database}}}]}
";
    stack
        .namespace
        .apply(&format!("{}{rules}", memory_policy("duration: 1s")));
    stack.start().await;

    until("three denied actions", JUDGED, async || {
        let actions = stack.actions().await;
        let denied = actions
            .iter()
            .filter(|action| phase_of(action) == Phase::Denied)
            .count();
        if denied == 3 {
            Ok(())
        } else {
            Err(format!("{:?}; {}", summary(&actions), stack.tails()))
        }
    })
    .await;

    no_write_by_the_actuator(shared, &stack);
}

async fn a_protected_namespace_sees_no_write(shared: &Shared) {
    let mut stack = Stack::new(shared, "fenced").await;
    let name = stack.namespace.name();
    let label = ["label", "namespace", name, "kubeskippy.io/protected=true"];
    stack.namespace.kubectl().ok(&label);
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&full);
    let before = stack.ready_pods("app=full", 1).await;
    stack.namespace.apply(&memory_policy("duration: 1s"));
    stack.start().await;
    stack.action_in(Phase::Denied, JUDGED).await;
    assert_eq!(stack.pod_uids("app=full").await, before);
    no_write_by_the_actuator(shared, &stack);
}

/// Asserts on the API server's audit log that the actuator changed no workload in the test's namespace.
fn no_write_by_the_actuator(shared: &Shared, stack: &Stack<'_>) {
    let writes = shared
        .control_plane()
        .audit_entries()
        .by_service_account(SYSTEM, "kubeskippy-actuator")
        .in_namespace(stack.namespace.name())
        .effective()
        .keep(|entry| !matches!(entry.resource.as_str(), "healingactions" | "events"));
    assert!(writes.is_empty(), "{writes:?}");
}

/// A namespace in which one pod is sick and its policy is manual, up to the action that waits.
async fn waiting<'a>(shared: &'a Shared, name: &str) -> (Stack<'a>, HealingAction) {
    let stack = sick_under(shared, name, "").await;
    let action = stack.action_in(Phase::AwaitingApproval, JUDGED).await;
    (stack, action)
}

/// A namespace in which one pod is sick and its policy is manual, with `more` in the policy's spec.
pub(crate) async fn sick_under<'a>(shared: &'a Shared, name: &str, more: &str) -> Stack<'a> {
    let mut stack = Stack::new(shared, name).await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    stack.namespace.apply(&format!(
        "{}  mode: manual\n{more}",
        memory_policy("duration: 1s")
    ));
    stack.start().await;
    stack
}

/// The patch by which a person decides about the planned change.
fn decision(action: &HealingAction, decision: &str) -> serde_json::Value {
    let digest = action
        .status
        .as_ref()
        .and_then(|status| status.digest.clone());
    json!({"spec": {"approval": {"decision": decision, "approvedBy": "admin", "digest": digest}}})
}

async fn a_manual_policy_waits_for_approval(shared: &Shared) {
    let (stack, action) = waiting(shared, "approved").await;
    let name = action.metadata.name.clone().expect("a name");
    no_write_by_the_actuator(shared, &stack);
    stack
        .patch_action(&name, decision(&action, "approved"))
        .await;
    let done = stack.action_in(Phase::Succeeded, JUDGED).await;
    assert_eq!(done.metadata.name, Some(name));
}

async fn a_rejected_action_changes_nothing(shared: &Shared) {
    let (stack, action) = waiting(shared, "rejected").await;
    let name = action.metadata.name.clone().expect("a name");
    stack
        .patch_action(&name, decision(&action, "rejected"))
        .await;
    let done = stack.action_in(Phase::Denied, JUDGED).await;
    let status = done.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("Rejected"));
    no_write_by_the_actuator(shared, &stack);
}

async fn a_dry_run_changes_nothing(shared: &Shared) {
    let mut stack = Stack::new(shared, "dryrun").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&full);
    let before = stack.ready_pods("app=full", 1).await;
    stack.namespace.apply(&format!(
        "{}  mode: dryrun\n",
        memory_policy("duration: 1s")
    ));
    stack.start().await;
    let action = stack.action_in(Phase::Cancelled, JUDGED).await;
    let status = action.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("DryRun"));
    assert!(!status.plan.is_empty(), "{status:?}");
    assert_eq!(stack.pod_uids("app=full").await, before);
    no_write_by_the_actuator(shared, &stack);
}

async fn one_action_an_hour(shared: &Shared) {
    let mut stack = Stack::new(shared, "budget").await;
    let web = Workload::deployment("web")
        .replicas(3)
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&web);
    let before = stack.ready_pods("app=web", 3).await;
    let rules = "  safetyRules: {maxActionsPerHour: 1, maxConcurrent: 3}\n";
    stack
        .namespace
        .apply(&format!("{}{rules}", memory_policy("duration: 1s")));
    stack.start().await;
    until(
        "one action that has begun, and two that wait",
        JUDGED,
        async || {
            let actions = stack.actions().await;
            let seen = format!("{:?}; {}", summary(&actions), stack.tails());
            if begun(&actions) >= 1 && actions.len() >= 3 {
                Ok(())
            } else {
                Err(seen)
            }
        },
    )
    .await;

    stack.part(Part::Actuator).program.kill_hard();
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);

    until(
        "the new actuator holds two actions back",
        JUDGED,
        async || {
            let judged = stack
                .part(Part::Actuator)
                .metric("kubeskippy_actuator_verdicts_total");
            let actions = stack.actions().await;
            let held = actions
                .iter()
                .filter(|action| held_by(action, "budget"))
                .count();
            let seen = format!("{held} held, {judged} judged; {:?}", summary(&actions));
            if held >= 2 && judged >= 2.0 {
                Ok(())
            } else {
                Err(seen)
            }
        },
    )
    .await;
    one_pod_evicted(&stack, &before).await;
    assert_eq!(begun(&stack.actions().await), 1);
}

/// Waits until one of the pods `before` was evicted, and asserts that the others stayed.
///
/// The first actuator may have died between its intent and the eviction; then
/// its successor evicts.
async fn one_pod_evicted(stack: &Stack<'_>, before: &BTreeMap<String, String>) {
    stack.action_in(Phase::Verifying, JUDGED).await;
    let after = stack.pod_uids("app=web").await;
    let kept = before.keys().filter(|name| after.contains_key(*name));
    assert_eq!(kept.count(), 2);
}

/// How many actions have begun to change something.
fn begun(actions: &[HealingAction]) -> usize {
    let status = |action: &HealingAction| action.status.clone().unwrap_or_default();
    actions
        .iter()
        .filter(|action| status(action).started_at.is_some())
        .count()
}

/// Whether `guard` is what keeps an action from running.
fn held_by(action: &HealingAction, guard: &str) -> bool {
    let verdicts = action
        .status
        .as_ref()
        .map(|status| status.verdicts.as_slice());
    verdicts
        .unwrap_or_default()
        .iter()
        .any(|verdict| verdict.guard == guard && verdict.verdict == "Defer")
}

async fn another_pod_of_the_same_name_is_another_target(shared: &Shared) {
    let mut stack = Stack::new(shared, "uid").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("web"));
    let pods = stack.ready_pods("app=web", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack.namespace.apply(&memory_policy("duration: 1s"));
    stack.start().await;
    stack.namespace.apply(&format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {{name: stale}}
spec:
  policyName: memory
  targetResource: {{kind: Pod, name: {pod}, uid: 00000000-0000-0000-0000-000000000000}}
  action: {{name: replace, type: restart}}
"
    ));
    let action = stack.action_in(Phase::Cancelled, JUDGED).await;
    let status = action.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("TargetReplaced"));
    assert!(
        status
            .verdicts
            .iter()
            .any(|verdict| verdict.guard == "freshness" && verdict.verdict == "Deny"),
        "{status:?}"
    );
    assert_eq!(stack.pod_uids("app=web").await, pods);
    no_write_by_the_actuator(shared, &stack);
}
