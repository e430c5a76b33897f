//! What the analyzer reads is what is there, and no data is no data.

use std::{sync::Arc, time::Duration};

use harness::{Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::{
    alert::AlertKind,
    policy::{ActiveTrigger, NoData},
};

use crate::stack::Stack;

const READ: Duration = Duration::from_mins(2);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "all_of_a_limit_reads_one_hundred_percent",
            shared,
            all_of_a_limit_reads_one_hundred_percent,
        ),
        trial(
            "without_a_limit_there_is_no_data_and_no_action",
            shared,
            without_a_limit_there_is_no_data,
        ),
        trial(
            "a_short_spike_does_not_fire_a_long_duration",
            shared,
            a_short_spike_does_not_fire,
        ),
        trial(
            "a_monitoring_policy_tells_and_does_nothing",
            shared,
            a_monitoring_policy_does_nothing,
        ),
    ]
}

/// A policy that only watches `query`.
fn watching(query: &str, threshold: f64, duration: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: watch}}
spec:
  mode: monitor
  triggers:
  - {{name: first, type: metric, metricTrigger: {{query: '{query}', threshold: {threshold}, duration: {duration}}}}}
"
    )
}

/// Waits until the policy's status lists a target for each of its triggers.
async fn readings(stack: &Stack<'_>, count: usize) -> Vec<ActiveTrigger> {
    until("readings in the policy's status", READ, async || {
        let status = stack.policy("watch").await.status.unwrap_or_default();
        let valued = status
            .active_triggers
            .iter()
            .filter(|active| active.value.is_some());
        if valued.count() >= count {
            Ok(status.active_triggers)
        } else {
            Err(format!("{status:?}; {}", stack.tails()))
        }
    })
    .await
}

async fn all_of_a_limit_reads_one_hundred_percent(shared: &Shared) {
    let mut stack = Stack::new(shared, "percent").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("256Mi")
        .cpu_limit("1")
        .cpu("1");
    stack.namespace.create_workload(&full);
    stack.ready_pods("app=full", 1).await;
    stack.namespace.apply(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: watch}
spec:
  mode: monitor
  triggers:
  - {name: memory, type: metric, metricTrigger: {query: memory_usage_percent, threshold: 90, duration: 1h}}
  - {name: cpu, type: metric, metricTrigger: {query: cpu_usage_percent, threshold: 90, duration: 1h}}
",
    );
    stack.start().await;
    let readings = readings(&stack, 2).await;
    let value = |name: &str| {
        let reading = readings.iter().find(|reading| reading.trigger == name);
        reading.and_then(|reading| reading.value).expect("a value")
    };
    assert!((value("memory") - 100.0).abs() < 1e-9, "{readings:?}");
    // the metrics server derives CPU from two counters and two clocks
    assert!((value("cpu") - 100.0).abs() < 2.0, "{readings:?}");
    assert!(
        readings.iter().all(|reading| reading.state == "EVALUATING"),
        "{readings:?}"
    );
}

async fn without_a_limit_there_is_no_data(shared: &Shared) {
    let mut stack = Stack::new(shared, "nolimit").await;
    let free = Workload::deployment("free").memory("900Mi");
    stack.namespace.create_workload(&free);
    stack.ready_pods("app=free", 1).await;
    stack
        .namespace
        .apply(&crate::heals::memory_policy("duration: 1s"));
    stack.start().await;
    let told: Vec<NoData> = until("no data in the policy's status", READ, async || {
        let status = stack.policy("memory").await.status.unwrap_or_default();
        let seen = format!("{status:?}; {}", stack.tails());
        Some(status.no_data)
            .filter(|told| !told.is_empty())
            .ok_or(seen)
    })
    .await;
    assert!(
        told.iter()
            .any(|told| told.targets == 1 && told.reason.contains("limit")),
        "{told:?}"
    );
    assert!(stack.actions().await.is_empty());
    assert!(stack.alerts().await.is_empty());
}

async fn a_short_spike_does_not_fire(shared: &Shared) {
    let mut stack = Stack::new(shared, "spike").await;
    let calm = Workload::deployment("calm")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&calm);
    let pods = stack.ready_pods("app=calm", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack
        .namespace
        .apply(&crate::heals::memory_policy("duration: 2m"));
    stack.start().await;
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    stack.alert(AlertKind::TriggerPending, READ).await;
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "64Mi")]);
    stack.alert(AlertKind::TriggerResolved, READ).await;
    let told: Vec<_> = stack
        .alerts()
        .await
        .into_iter()
        .map(|alert| alert.kind)
        .collect();
    assert!(!told.contains(&AlertKind::TriggerFiring), "{told:?}");
    assert!(stack.actions().await.is_empty());
}

async fn a_monitoring_policy_does_nothing(shared: &Shared) {
    let mut stack = Stack::new(shared, "monitor").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("250Mi");
    stack.namespace.create_workload(&full);
    let before = stack.ready_pods("app=full", 1).await;
    stack
        .namespace
        .apply(&watching("memory_usage_percent", 85.0, "3s"));
    stack.start().await;
    let alert = stack.alert(AlertKind::TriggerFiring, READ).await;
    assert_eq!(Some(&alert.target.uid), before.values().next());
    // the policy's status is written after whatever the same tick proposed
    until("a fired trigger in the status", READ, async || {
        let status = stack.policy("watch").await.status.unwrap_or_default();
        if status.firing == 1 {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
    assert!(stack.actions().await.is_empty());
    assert_eq!(stack.pod_uids("app=full").await, before);
}
