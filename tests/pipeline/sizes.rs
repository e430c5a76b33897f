//! A recommended size is worked out of what was measured, and applied in numbers.

use std::{sync::Arc, time::Duration};

use harness::{Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::{action::Phase, quantity};

use crate::{
    remedies::writes,
    stack::{Stack, summary},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "a_recommended_size_is_applied_in_numbers",
        shared,
        a_recommended_size_is_applied_in_numbers,
    )]
}

const LATER: Duration = Duration::from_mins(4);

const POLICY: &str = "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: fit}
spec:
  mode: automatic
  selector: {resources: [{kind: Pod}]}
  triggers:
  - name: full
    type: metric
    metricTrigger: {query: memory_usage_percent, threshold: 85, duration: 0s}
  actions:
  - name: fit
    type: resize
    resizeAction: {recommended: {marginPercent: 20, minSamples: 5}, maximum: {memory: 1Gi}}
";

/// What a kubelet that can resize reports, and KWOK does not.
fn report(stack: &Stack<'_>, pod: &str, limit: &str) {
    let reported = format!(
        r#"[{{"op": "add", "path": "/status/containerStatuses/0/resources", "value": {{"requests": {{"memory": "{limit}"}}, "limits": {{"memory": "{limit}"}}}}}}]"#
    );
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&[
        "patch",
        "pod",
        pod,
        "--subresource=status",
        "--type=json",
        "-p",
        &reported,
    ]);
}

/// The trigger fires at the first sample, and no number is made up out of it.
async fn held_for_want_of_samples(stack: &Stack<'_>) {
    until(
        "the rung to be held for want of samples",
        LATER,
        async || {
            let status = stack.policy("fit").await.status.unwrap_or_default();
            let held = status.active_triggers.iter().filter_map(|t| t.held.clone());
            let held: Vec<_> = held.collect();
            let of = held.iter().any(|held| {
                held.contains("no memory is recommended for container app of Deployment/web yet")
                    && held.contains("of 5 samples")
            });
            of.then_some(())
                .ok_or(format!("{held:?}; {}", stack.tails()))
        },
    )
    .await;
}

async fn a_recommended_size_is_applied_in_numbers(shared: &Shared) {
    let mut stack = Stack::new(shared, "sizes").await;
    let web = Workload::deployment("web")
        .memory_limit("256Mi")
        .memory("230Mi");
    stack.namespace.create_workload(&web);
    let before = stack.ready_pods("app=web", 1).await;
    let pod = before.keys().next().expect("one pod").clone();
    report(&stack, &pod, "256Mi");
    stack.namespace.apply(POLICY);
    stack.start().await;

    held_for_want_of_samples(&stack).await;
    assert!(stack.actions().await.is_empty(), "nothing is asked for yet");

    let kubectl = stack.namespace.kubectl();
    let path = "jsonpath={.spec.containers[0].resources.limits.memory}";
    let limit = until("the pod to be resized", LATER, async || {
        let limit = kubectl.ok(&["get", "pod", &pod, "-o", path]);
        let actions = stack.actions().await;
        (limit != "256Mi").then_some(limit).ok_or(format!(
            "{:?}; {}",
            summary(&actions),
            stack.tails()
        ))
    })
    .await;
    report(&stack, &pod, &limit);
    let action = stack.action_in(Phase::Succeeded, LATER).await;

    // 230 MiB and a fifth more, and no more above that than a bucket is wide
    let bytes = quantity::parse(&limit).expect("a quantity");
    let mebibyte = 1024.0 * 1024.0;
    let within = 276.0 * mebibyte..300.0 * mebibyte;
    assert!(within.contains(&bytes), "{limit}");
    let resize = action.spec.action.resize_action.expect("a resize");
    assert_eq!(resize.recommended, None, "the actuator works nothing out");
    assert_eq!(resize.container.as_deref(), Some("app"));
    assert_eq!(resize.limits.get("memory"), Some(&limit));
    let diagnosis = action.spec.diagnosis.expect("a diagnosis");
    let basis = diagnosis.evidence.iter().map(|piece| &piece.statement);
    let basis: Vec<_> = basis.filter(|says| says.contains("plus 20 %")).collect();
    let [basis] = basis[..] else {
        panic!("{:?}", diagnosis.evidence);
    };
    for part in ["peak of 230.000", "90th percentile", "samples since 2"] {
        assert!(basis.contains(part), "{basis}");
    }
    assert_eq!(stack.pod_uids("app=web").await, before, "the pod went on");
    let resizes = writes(shared, &stack).keep(|entry| entry.subresource == "resize");
    assert_eq!(resizes.entries().len(), 1, "{resizes:?}");
}
