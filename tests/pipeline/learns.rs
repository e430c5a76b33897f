//! Verified outcomes order what is tried first, also in an analyzer that was not there.

use std::{sync::Arc, time::Duration};

use harness::{Program, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::action::{HealingAction, Phase};
use serde_json::Value;

use crate::{
    refuses::JUDGED,
    stack::{Part, Stack, phase_of, summary},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "a_fresh_analyzer_tries_first_what_was_verified_to_help",
        shared,
        a_fresh_analyzer_tries_first_what_helped,
    )]
}

/// What `kubeskippy learned` makes of the journal of a stack.
pub(crate) fn learned(stack: &Stack<'_>) -> Value {
    let arguments = [
        "learned",
        "--nats-url",
        &stack.nats_url,
        "--cluster",
        &stack.cluster,
        "-o",
        "json",
    ];
    let mut program = Program::spawn("kubeskippy", &arguments, &[]);
    let code = tokio::task::block_in_place(|| program.wait_exit(Duration::from_secs(30)));
    let text = program.logs();
    assert_eq!(code, Some(0), "{text}");
    // what it logs stands before and after what it prints
    let answer = text.find("{\n").and_then(|at| text.get(at..));
    let answer = answer.unwrap_or_else(|| panic!("no answer: {text}"));
    let mut values = serde_json::Deserializer::from_str(answer).into_iter();
    let value = values.next().expect("an answer");
    value.unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A policy over the pods of one app, with two remedies of equal priority, of which the first does not help.
fn policy(app: &str, learning: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: {app}}}
spec:
  selector: {{labelSelector: {{matchLabels: {{app: {app}}}}}}}
  triggers:
  - name: high-memory
    type: metric
    metricTrigger: {{query: memory_usage_percent, threshold: 85, duration: 2s}}
    cooldownPeriod: 1s
  actions:
  - {{name: more, type: scale, priority: 50, scaleAction: {{direction: up, replicas: 1, maxReplicas: 3}}}}
  - {{name: replace, type: restart, priority: 50}}
  ai: {{mode: advise, learning: '{learning}'}}
  safetyRules: {{maxActionsPerHour: 10, maxConcurrent: 5, healthCheckTimeout: 45s}}
"
    )
}

/// A pod of `app` that is full until it is replaced, and the policy over it.
async fn sick(stack: &Stack<'_>, app: &str, learning: &str) {
    let web = Workload::deployment(app)
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&web);
    let pods = stack.ready_pods(&format!("app={app}"), 1).await;
    let pod = pods.keys().next().expect("one pod").clone();
    stack.namespace.annotate_pod(
        &pod,
        &[
            ("sim.kubeskippy.io/memory", "250Mi"),
            // a count that is set back takes the other pod away
            ("controller.kubernetes.io/pod-deletion-cost", "100"),
        ],
    );
    stack.namespace.apply(&policy(app, learning));
}

/// The actions of a policy, the oldest first.
async fn actions_of(stack: &Stack<'_>, policy: &str) -> Vec<HealingAction> {
    let mut actions = stack.actions().await;
    actions.retain(|action| action.spec.policy_name == policy);
    actions.sort_by_key(|action| action.metadata.creation_timestamp.clone());
    actions
}

/// Waits for the first action of a policy.
async fn first_of(stack: &Stack<'_>, policy: &str) -> HealingAction {
    until(&format!("an action of {policy}"), JUDGED, async || {
        let mut actions = actions_of(stack, policy).await;
        if actions.is_empty() {
            return Err(stack.tails());
        }
        Ok(actions.remove(0))
    })
    .await
}

fn expected(action: &HealingAction) -> Option<&str> {
    let diagnosis = action.spec.diagnosis.as_ref()?;
    diagnosis.expected_effect.as_deref()
}

/// Heals `one`, whose policy tries both remedies in the order in which it lists them.
async fn heal_by_both(stack: &Stack<'_>) {
    sick(stack, "one", "active").await;
    until("both remedies verified", JUDGED, async || {
        let actions = actions_of(stack, "one").await;
        let seen: Vec<_> = actions
            .iter()
            .map(|action| (action.spec.action.name.as_str(), phase_of(action)))
            .collect();
        let wanted = [("more", Phase::RolledBack), ("replace", Phase::Succeeded)];
        if seen == wanted {
            return Ok(());
        }
        Err(format!("{seen:?}; {}", stack.tails()))
    })
    .await;
}

/// How `remedy` did, by the journal.
fn trials_of(learned: &Value, remedy: &str) -> Option<(f64, f64, f64)> {
    let rows = learned["remedies"].as_array()?;
    let row = rows.iter().find(|row| row["remedy"] == remedy)?;
    let number = |field: &str| row[field].as_f64();
    Some((number("helped")?, number("didNot")?, number("mean")?))
}

async fn a_fresh_analyzer_tries_first_what_helped(shared: &Shared) {
    let mut stack = Stack::new(shared, "learns").await;
    stack.start().await;
    heal_by_both(&stack).await;
    let known = until("both outcomes in the journal", JUDGED, async || {
        let learned = learned(&stack);
        let both = trials_of(&learned, "scale").zip(trials_of(&learned, "restart"));
        both.ok_or_else(|| learned.to_string())
    })
    .await;
    let ((scaled, scaled_in_vain, scale), (restarted, restarted_in_vain, restart)) = known;
    assert_eq!((scaled, scaled_in_vain), (0.0, 1.0));
    assert_eq!((restarted, restarted_in_vain), (1.0, 0.0));
    assert!(restart > scale, "{known:?}");

    // another process, which knows what the bus tells it and nothing else
    stack.start_part(Part::Analyzer).await;
    stack.ready(Part::Analyzer);
    for (app, learning) in [("two", "active"), ("three", "advisory"), ("four", "off")] {
        sick(&stack, app, learning).await;
    }

    let active = first_of(&stack, "two").await;
    assert_eq!(active.spec.action.name, "replace", "{active:?}");
    let told = expected(&active).unwrap_or_default();
    assert!(told.contains("restart helped in 1 of 1"), "{told}");
    let advisory = first_of(&stack, "three").await;
    assert_eq!(advisory.spec.action.name, "more", "{advisory:?}");
    let told = expected(&advisory).unwrap_or_default();
    assert!(told.contains("scale helped in 0 of 1"), "{told}");
    let off = first_of(&stack, "four").await;
    assert_eq!(off.spec.action.name, "more", "{off:?}");
    let told = expected(&off).unwrap_or_default();
    assert!(!told.contains("verified cases"), "{told}");

    // what was learned is verified like anything else
    until("two healed by its first action", JUDGED, async || {
        let actions = actions_of(&stack, "two").await;
        let healed = actions.len() == 1 && phase_of(&actions[0]) == Phase::Succeeded;
        if healed {
            return Ok(());
        }
        Err(format!("{:?}; {}", summary(&actions), stack.tails()))
    })
    .await;
}
