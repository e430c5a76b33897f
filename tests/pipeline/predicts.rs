//! What is on its way to a threshold is called before it is there, and what stays is not.

use std::{sync::Arc, time::Duration};

use harness::{Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::alert::AlertKind;

use crate::stack::Stack;

const CALL: Duration = Duration::from_mins(4);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "a_slow_leak_is_called_before_its_threshold",
        shared,
        a_slow_leak_is_called_before_its_threshold,
    )]
}

/// The metrics server measures every 10 s here, so two minutes hold twelve
/// measurements, and half of them is the shortest stretch that makes a trend.
const POLICY: &str = "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: watch}
spec:
  mode: monitor
  triggers:
  - name: coming
    type: predictive
    predictiveTrigger: {query: memory_usage_percent, threshold: 85, lookback: 2m, horizon: 10m, duration: 5s}
  - name: reached
    type: metric
    metricTrigger: {query: memory_usage_percent, threshold: 85, duration: 0s}
";

async fn a_slow_leak_is_called_before_its_threshold(shared: &Shared) {
    let mut stack = Stack::new(shared, "predict").await;
    // from 20 % by 0.2 % a second: 85 % is more than five minutes away, and less than ten
    let leaky = Workload::deployment("leaky")
        .memory_limit("512Mi")
        .memory("102Mi")
        .leak_per_second("1Mi");
    let steady = Workload::deployment("steady")
        .memory_limit("512Mi")
        .memory("400Mi");
    stack.namespace.create_workload(&steady);
    stack.namespace.create_workload(&leaky);
    stack.ready_pods("app=steady", 1).await;
    let leaking = stack.ready_pods("app=leaky", 1).await;
    stack.namespace.apply(POLICY);
    stack.start().await;

    let alert = stack.alert(AlertKind::TriggerFiring, CALL).await;

    assert_eq!(alert.trigger, "coming");
    assert_eq!(Some(&alert.target.uid), leaking.values().next());
    assert!(alert.value.is_some_and(|value| value > 85.0), "{alert:?}");
    let told = &alert.message;
    assert!(
        told.contains("forecast ") && told.contains(" > 85 in 10m (R² "),
        "{told}"
    );
    // neither did the leak reach the threshold by now, nor was the steady pod ever suspected
    let alerts = stack.alerts().await;
    let others: Vec<_> = alerts
        .iter()
        .filter(|alert| match alert.trigger.as_str() {
            "" => alert.target.name != "leaky", // about the case
            trigger => trigger != "coming" || !leaking.values().any(|uid| *uid == alert.target.uid),
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");
    // both were looked at: each trigger has a value of each pod, and what is worst is the forecast
    let status = stack.policy("watch").await.status.unwrap_or_default();
    assert_eq!((status.targets, status.no_data.len()), (2, 0), "{status:?}");
    let worst = status.worst.unwrap_or_default();
    assert!(worst.contains("forecast "), "{worst}");
}
