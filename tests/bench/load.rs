//! What runs in the cluster while it is measured: pods and policies.
//!
//! Pure: no IO, no clock.

use harness::Workload;
use serde_json::{Value, json};

/// Most pods of one Deployment.
const PER_DEPLOYMENT: u32 = 250;

/// Least Deployments, so that few pods have several owners too.
const DEPLOYMENTS: u32 = 5;

/// Pods on a fake node, as in a cluster that is neither empty nor full.
const PER_NODE: u32 = 25;

/// The label of every pod that is measured.
pub(crate) const LABEL: (&str, &str) = ("bench", "load");

/// The policy that acts.
pub(crate) const ACTING: &str = "memory";

/// The annotation that says what a pod uses.
pub(crate) const USAGE: &str = "sim.kubeskippy.io/memory";

/// What an offender uses: 93.75 % of its limit of 256 Mi.
pub(crate) const OFFENDING: &str = "240Mi";

/// Fake nodes for `pods`.
pub(crate) fn nodes(pods: u32) -> u32 {
    pods.div_ceil(PER_NODE).max(5)
}

/// Deployments that together have `pods` pods, each of which uses a fifth of its CPU
/// limit and a quarter of its memory limit.
pub(crate) fn workloads(pods: u32) -> Vec<Workload> {
    let count = pods.div_ceil(PER_DEPLOYMENT).max(DEPLOYMENTS).min(pods);
    (0..count)
        .map(|index| {
            let replicas = pods / count + u32::from(index < pods % count);
            Workload::deployment(&format!("load-{index}"))
                .replicas(replicas)
                .label(LABEL.0, LABEL.1)
                .cpu("50m")
                .memory("64Mi")
                .cpu_limit("250m")
                .memory_limit("256Mi")
                .request("cpu", "50m")
                .request("memory", "64Mi")
        })
        .collect()
}

/// The acting policy, and `count - 1` that watch the same pods for what never happens.
pub(crate) fn policies(count: u8) -> Vec<Value> {
    let watching = (1..count).map(|index| {
        let trigger = never(index);
        policy(&format!("watch-{index}"), "monitor", &trigger)
    });
    let mut all = vec![policy(
        ACTING,
        "manual",
        &metric("memory_usage_percent", 85.0),
    )];
    all.extend(watching);
    all
}

/// A trigger that does not fire on these pods; its threshold differs from policy
/// to policy, so that no two are the same.
fn never(index: u8) -> Value {
    let far = f64::from(index);
    match index % 6 {
        0 => metric("cpu_usage_cores", 10.0 + far),
        1 => metric("cpu_usage_percent", 90.0 + far / 10.0),
        2 => metric("restart_count", 5.0 + far),
        3 => metric("memory_usage_bytes", 1e12 + far),
        4 => {
            json!({"name": "watched", "type": "event", "eventTrigger": {"reason": "BackOff", "count": 5 + index}})
        }
        _ => {
            json!({"name": "watched", "type": "condition", "conditionTrigger": {"type": "CrashLoopBackOff", "duration": format!("{index}m")}})
        }
    }
}

fn metric(query: &str, threshold: f64) -> Value {
    json!({
        "name": "watched", "type": "metric",
        "metricTrigger": {"query": query, "threshold": threshold, "duration": "0s"},
    })
}

fn policy(name: &str, mode: &str, trigger: &Value) -> Value {
    json!({
        "apiVersion": "kubeskippy.io/v1alpha1", "kind": "HealingPolicy", "metadata": {"name": name},
        "spec": {
            "selector": {"labelSelector": {"matchLabels": {LABEL.0: LABEL.1}}},
            "triggers": [trigger],
            "actions": [{"name": "restart", "type": "restart"}],
            "mode": mode,
            "safetyRules": {"maxActionsPerHour": 1000, "maxConcurrent": 1000},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployments_have_all_the_pods() {
        for pods in [1, 4, 50, 53, 5000, 5001] {
            let replicas = |workload: Workload| -> u64 {
                let object: Value = serde_json::from_str(&workload.manifest()).unwrap();
                object["spec"]["replicas"].as_u64().unwrap()
            };
            let sum: u64 = workloads(pods).into_iter().map(replicas).sum();
            assert_eq!(sum, u64::from(pods));
        }
        assert_eq!((nodes(50), nodes(5000)), (5, 200));
    }

    #[test]
    fn one_policy_acts_and_the_others_watch() {
        let all = policies(10);
        let modes: Vec<_> = all.iter().map(|policy| &policy["spec"]["mode"]).collect();
        assert_eq!(modes.len(), 10);
        assert_eq!(modes.iter().filter(|mode| **mode == "manual").count(), 1);
        let mut names: Vec<_> = all
            .iter()
            .map(|policy| policy["metadata"]["name"].as_str().unwrap())
            .collect();
        names.dedup();
        assert_eq!(names.len(), 10);
    }
}
