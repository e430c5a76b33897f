//! What is sick is healed, and nothing else.

use std::{sync::Arc, time::Duration};

use harness::{Shared, Workload, skippable_trial, trial};
use libtest_mimic::Trial;
use schemas::{
    action::Phase,
    alert::AlertKind,
    condition::{self, action::SUCCEEDED},
};

use crate::stack::{Part, Stack, phase_of, repository, summary};

const HEAL: Duration = Duration::from_mins(4);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_leak_is_healed_and_verified",
            shared,
            a_leak_is_healed_and_verified,
        ),
        trial(
            "of_eight_pods_the_one_that_leaks_is_acted_on",
            shared,
            of_eight_pods_the_one_that_leaks_is_acted_on,
        ),
        trial(
            "a_crash_looping_pod_is_replaced",
            shared,
            a_crash_looping_pod_is_replaced,
        ),
        trial(
            "an_event_trigger_without_a_count_fires_at_the_first_event",
            shared,
            an_event_trigger_without_a_count_fires_at_the_first_event,
        ),
        skippable_trial(
            "a_real_leak_is_healed_before_the_kernel_ends_it",
            shared,
            a_real_leak_is_healed,
        ),
        trial(
            "one_process_heals_as_three_do",
            shared,
            one_process_heals_as_three_do,
        ),
    ]
}

/// The policy of the original design, unmodified.
fn seed_policy() -> String {
    let path = repository().join("tests/fixtures/seed/healing-policy.yaml");
    std::fs::read_to_string(path).expect("the seed is there")
}

async fn a_leak_is_healed_and_verified(shared: &Shared) {
    let mut stack = Stack::new(shared, "leak").await;
    let leaky = Workload::deployment("leaky")
        .label("issue", "memory-leak")
        .memory_limit("512Mi")
        .memory("100Mi")
        .leak_per_second("6Mi")
        .leak_max("450Mi");
    stack.namespace.create_workload(&leaky);
    let before = stack.ready_pods("issue=memory-leak", 1).await;
    stack.namespace.apply(&seed_policy());
    stack.start().await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    let status = action.status.clone().expect("a status");
    assert!(condition::is_true(&status.conditions, SUCCEEDED));
    let name = format!("ha/{}", action.metadata.name.clone().expect("a name"));
    let wait = ["wait", "--for=condition=Succeeded", &name, "--timeout=5s"];
    assert!(
        stack
            .namespace
            .kubectl()
            .ok(&wait)
            .contains("condition met")
    );
    let verification = status.verification.expect("what verification saw");
    assert_eq!(verification.outcome, "Recovered");
    assert!(
        verification.value.is_some_and(|value| value < 85.0),
        "{verification:?}"
    );
    assert!(verification.ready);
    let trigger = action.spec.trigger.expect("what was seen");
    assert!(
        trigger.value.is_some_and(|value| value > 85.0),
        "{trigger:?}"
    );
    let after = stack.ready_pods("issue=memory-leak", 1).await;
    assert!(
        before
            .values()
            .all(|uid| !after.values().any(|new| new == uid))
    );
    let told: Vec<_> = stack
        .alerts()
        .await
        .into_iter()
        .map(|alert| alert.kind)
        .collect();
    for kind in [
        AlertKind::TriggerPending,
        AlertKind::TriggerFiring,
        AlertKind::ActionProposed,
        AlertKind::ActionExecuting,
        AlertKind::ActionSucceeded,
    ] {
        assert!(told.contains(&kind), "{kind:?} is missing from {told:?}");
    }
}

async fn of_eight_pods_the_one_that_leaks_is_acted_on(shared: &Shared) {
    let mut stack = Stack::new(shared, "eight").await;
    let web = Workload::deployment("web")
        .replicas(8)
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&web);
    let before = stack.ready_pods("app=web", 8).await;
    let offender = before.keys().nth(3).expect("eight pods").clone();
    stack
        .namespace
        .annotate_pod(&offender, &[("sim.kubeskippy.io/memory", "250Mi")]);
    stack.namespace.apply(&memory_policy("duration: 5s"));
    stack.start().await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    assert_eq!(action.spec.target_resource.name, offender);
    let after = stack.ready_pods("app=web", 8).await;
    let gone: Vec<_> = before
        .iter()
        .filter(|(name, _)| !after.contains_key(*name))
        .collect();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(gone.first().map(|(name, _)| *name), Some(&offender));
    assert_eq!(stack.actions().await.len(), 1);
}

/// A policy that replaces pods above 85 % of their memory limit.
pub(crate) fn memory_policy(more: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: memory}}
spec:
  triggers:
  - name: high-memory
    type: metric
    metricTrigger: {{query: memory_usage_percent, threshold: 85, {more}}}
  actions:
  - {{name: replace, type: restart}}
"
    )
}

async fn a_crash_looping_pod_is_replaced(shared: &Shared) {
    let mut stack = Stack::new(shared, "crash").await;
    let crashy = Workload::deployment("crashy")
        .replicas(3)
        .memory_limit("128Mi");
    stack.namespace.create_workload(&crashy);
    let before = stack.ready_pods("app=crashy", 3).await;
    let offender = before.keys().next().expect("three pods").clone();
    let policy = std::fs::read_to_string(repository().join("deploy/samples/crash-loop.yaml"));
    stack.namespace.apply(&policy.expect("the sample is there"));
    stack.start().await;
    stack.namespace.annotate_pod(
        &offender,
        &[
            ("sim.kubeskippy.io/crash-after", "1s"),
            ("sim.kubeskippy.io/backoff-base", "5"),
        ],
    );

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    assert_eq!(action.spec.target_resource.name, offender);
    let after = stack.ready_pods("app=crashy", 3).await;
    assert!(!after.contains_key(&offender));
    assert_eq!(
        before
            .keys()
            .filter(|name| after.contains_key(*name))
            .count(),
        2
    );
    let phases = summary(&stack.actions().await);
    assert_eq!(phases.len(), 1, "{phases:?}");
}

async fn an_event_trigger_without_a_count_fires_at_the_first_event(shared: &Shared) {
    let mut stack = Stack::new(shared, "event").await;
    stack
        .namespace
        .create_workload(&Workload::deployment("db").replicas(2));
    let pods = stack.ready_pods("app=db", 2).await;
    let (pod, uid) = pods.iter().next().expect("two pods");
    stack.namespace.apply(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: disk}
spec:
  triggers:
  - {name: disk-trouble, type: event, eventTrigger: {reason: 'Disk.*', type: Warning}}
  actions:
  - {name: replace, type: restart}
",
    );
    stack.start().await;
    let now = jiff_now();
    stack.namespace.apply(&format!(
        "
apiVersion: v1
kind: Event
metadata: {{name: trouble}}
involvedObject: {{apiVersion: v1, kind: Pod, name: {pod}, uid: {uid}, namespace: {}}}
type: Warning
reason: DiskTrouble
message: the disk squeaks
firstTimestamp: {now}
lastTimestamp: {now}
reportingComponent: test
source: {{component: test}}
",
        stack.namespace.name()
    ));

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    assert_eq!(&action.spec.target_resource.name, pod);
    assert!(
        stack
            .actions()
            .await
            .iter()
            .all(|action| phase_of(action) == Phase::Succeeded)
    );
}

/// The present, to the second, as Kubernetes writes it.
pub(crate) fn jiff_now() -> String {
    jiff::Timestamp::try_from(std::time::UNIX_EPOCH + epoch())
        .expect("the present is in range")
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test plays the part of the outside world"
)]
fn epoch() -> Duration {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("the present is after 1970")
}

/// A process that really allocates, under a limit that the kernel really enforces.
async fn a_real_leak_is_healed(shared: &Shared) -> Result<(), String> {
    shared.real_node()?;
    let mut stack = Stack::new(shared, "real").await;
    // 64 Mi is 67.1 MB: 85 % is 57.0 MB, and at 61 MB the kernel is still content
    let command = ["/bin/leaky", "leak", "1500000", "61000000"];
    let leaky = Workload::deployment("leaky")
        .memory_limit("64Mi")
        .on_real_node(&command);
    stack.namespace.create_workload(&leaky);
    let before = stack.ready_pods("app=leaky", 1).await;
    stack.namespace.apply(&memory_policy("duration: 3s"));
    stack.start().await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    let (name, _) = before.iter().next().expect("one pod");
    assert_eq!(&action.spec.target_resource.name, name);
    let events = stack.namespace.kubectl().ok(&["get", "events"]);
    assert!(!events.contains("OOM"), "{events}");
    let pods = stack.namespace.kubectl().ok(&["get", "pods", "-o", "yaml"]);
    assert!(!pods.contains("OOMKilled"), "{pods}");
    Ok(())
}

async fn one_process_heals_as_three_do(shared: &Shared) {
    let mut stack = Stack::new(shared, "together").await;
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    let pod = pods.keys().next().expect("one pod");
    stack.namespace.apply(&memory_policy("duration: 3s"));
    stack.start_together();
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    assert_eq!(&action.spec.target_resource.name, pod);
    stack
        .part(Part::Together)
        .program
        .terminate(Duration::from_secs(15));
}
