//! The custom resources on a real API server.

use std::{path::Path, sync::Arc};

use harness::{Shared, trial};
use libtest_mimic::Trial;

use crate::stack::{Stack, repository};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "the_original_manifests_apply_unmodified",
            shared,
            the_original_manifests_apply_unmodified,
        ),
        trial(
            "contradictions_are_refused_with_what_to_write_instead",
            shared,
            contradictions_are_refused,
        ),
        trial(
            "the_spec_of_an_action_cannot_be_changed_but_for_its_approval",
            shared,
            the_spec_of_an_action_is_immutable,
        ),
        trial(
            "the_fields_explain_themselves",
            shared,
            the_fields_explain_themselves,
        ),
    ]
}

async fn the_original_manifests_apply_unmodified(shared: &Shared) {
    let stack = Stack::new(shared, "seed").await;
    for file in ["healing-policy.yaml", "healing-action.yaml"] {
        let path = repository().join("tests/fixtures/seed").join(file);
        let path = path.to_str().expect("a path is text");
        stack
            .namespace
            .kubectl()
            .ok(&["create", "--validate=strict", "-f", path]);
    }
    let table = stack.namespace.kubectl().ok(&["get", "hp,ha"]);
    for word in [
        "MODE",
        "FIRED",
        "TARGET",
        "TRIGGER",
        "VALUE",
        "PHASE",
        "AGE",
        "automatic",
    ] {
        assert!(table.contains(word), "{word} is missing from\n{table}");
    }
}

/// A policy with `trigger`, `action` and further fields.
fn policy(trigger: &str, action: &str, more: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {{name: contradiction}}
spec:
  triggers: [{trigger}]
  actions: [{action}]
  {more}
"
    )
}

const METRIC: &str =
    "{name: m, type: metric, metricTrigger: {query: cpu_usage_percent, threshold: 90}}";
const RESTART: &str = "{name: r, type: restart}";

/// Trigger, action, further fields, and what the refusal says.
const CONTRADICTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "{name: m, type: metric}",
        RESTART,
        "",
        "metricTrigger: {query: memory_usage_percent",
    ),
    (
        "{name: m, type: event, eventTrigger: {reason: '['}}",
        RESTART,
        "",
        "regular expression",
    ),
    (
        METRIC,
        "{name: s, type: scale}",
        "",
        "scaleAction: {direction: up",
    ),
    (
        METRIC,
        "{name: s, type: scale, scaleAction: {minReplicas: 5, maxReplicas: 3}}",
        "",
        "raise maxReplicas",
    ),
    (METRIC, "{type: restart}", "", "needs a name"),
    (
        METRIC,
        "{name: r, type: restart, triggers: [other]}",
        "",
        "does not have",
    ),
    (
        METRIC,
        RESTART,
        "safetyRules: {maxUnavailable: 120%}",
        "1 or 25%",
    ),
    (
        METRIC,
        RESTART,
        "safetyRules: {healthCheckTimeout: soon}",
        "healthCheckTimeout",
    ),
    (
        METRIC,
        RESTART,
        "mood: bad",
        ".spec.mood: field not declared",
    ),
    (METRIC, "", "", "mode: monitor"),
    (
        METRIC,
        "{name: p, type: patch, patchAction: {}}",
        "",
        "either patch (text) or patches",
    ),
    (
        METRIC,
        "{name: d, type: delete, deleteAction: {stripFinalizers: true}}",
        "",
        "write finalizers: [example.com/cleanup]",
    ),
    (
        METRIC,
        "{name: d, type: delete, deleteAction: {finalizers: [example.com/cleanup]}}",
        "",
        "stripFinalizers: true goes with",
    ),
    (
        METRIC,
        "{name: c, type: custom, customAction: {webhook: {url: 'https://x', secretName: ../../etc}}}",
        "",
        "secretName",
    ),
    (
        "{name: m, type: metric, metricTrigger: {query: x, threshold: 1, operator: '=>'}}",
        RESTART,
        "",
        "operator",
    ),
];

async fn contradictions_are_refused(shared: &Shared) {
    let stack = Stack::new(shared, "refused").await;
    for (trigger, action, more, says) in CONTRADICTIONS {
        let answer = stack.namespace.try_apply(&policy(trigger, action, more));
        let text = String::from_utf8_lossy(&answer.stderr);
        assert!(
            !answer.status.success(),
            "accepted: {trigger} {action} {more}"
        );
        assert!(text.contains(says), "{says:?} is not in {text}");
    }
    stack.namespace.apply(&policy(METRIC, RESTART, ""));
}

async fn the_spec_of_an_action_is_immutable(shared: &Shared) {
    let stack = Stack::new(shared, "immutable").await;
    let path = repository().join("tests/fixtures/seed/healing-action.yaml");
    apply_file(&stack, &path);
    let name = "memory-leak-healing-restart-abc123";
    let change = |patch: &str| {
        let arguments = ["patch", "ha", name, "--type", "merge", "-p", patch];
        stack.namespace.kubectl().output(&arguments)
    };
    for attempt in [
        r#"{"spec":{"policyName":"another"}}"#,
        r#"{"spec":{"targetResource":{"name":"another"}}}"#,
        r#"{"spec":{"action":{"restartAction":{"strategy":"recreate"}}}}"#,
        r#"{"spec":{"action":{"priority":1}}}"#,
        r#"{"spec":{"dryRun":true}}"#,
        r#"{"spec":{"diagnosis":{"cause":"x","source":"y"}}}"#,
    ] {
        let answer = change(attempt);
        let text = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(text.contains("cannot be changed"), "{attempt}: {text}");
    }
    assert!(
        change(r#"{"spec":{"approval":{"approvedBy":"admin","decision":"rejected"}}}"#)
            .status
            .success()
    );
    let again = change(r#"{"spec":{"approval":{"approvedBy":"another"}}}"#);
    assert!(String::from_utf8_lossy(&again.stderr).contains("written once"));
}

fn apply_file(stack: &Stack<'_>, path: &Path) {
    let path = path.to_str().expect("a path is text");
    stack
        .namespace
        .kubectl()
        .ok(&["create", "--validate=strict", "-f", path]);
}

async fn the_fields_explain_themselves(shared: &Shared) {
    let stack = Stack::new(shared, "explain").await;
    for (field, says) in [
        ("hp.spec.mode", "automatic"),
        ("hp.spec.safetyRules.maxActionsPerHour", "within any hour"),
        ("ha.spec.approval.digest", "status.digest"),
        ("ha.status.verification.outcome", "Inconclusive"),
    ] {
        let text = stack.namespace.kubectl().ok(&["explain", field]);
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(says), "{says:?} is not in {text}");
    }
}
