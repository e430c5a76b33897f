//! An object whose deletion hangs is let go, when the policy names what holds it and a person agrees.

use std::sync::Arc;

use harness::{Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::action::Phase;
use serde_json::json;

use crate::{
    remedies::{ask, by_hand_policy, ended_in, wait_for, writes},
    stack::{Part, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![trial(
        "only_a_named_finalizer_of_a_hanging_object_is_removed_and_a_person_agrees",
        shared,
        only_a_named_finalizer_is_removed,
    )]
}

// `requiresApproval: false` is of no use: this always waits for a person.
const RELEASE: &str = "{name: release, type: delete, requiresApproval: false, deleteAction: {stripFinalizers: true, finalizers: [example.com/cleanup]}}";

/// A Deployment that one finalizer holds.
fn held(stack: &Stack<'_>, name: &str, finalizer: &str) {
    stack
        .namespace
        .create_workload(&Workload::deployment(name).replicas(1));
    let patch = json!({"metadata": {"finalizers": [finalizer]}}).to_string();
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&["patch", "deployment", name, "--type=merge", "-p", &patch]);
}

async fn only_a_named_finalizer_is_removed(shared: &Shared) {
    let mut stack = Stack::new(shared, "finalizers").await;
    by_hand_policy(&stack, &[RELEASE], "");
    let options = ["--hanging-seconds", "3"];
    let actuator = stack.spawn(Part::Actuator, &options).await;
    stack.keep(Part::Actuator, actuator);
    stack.ready(Part::Actuator);
    held(&stack, "here", "example.com/cleanup");
    held(&stack, "stuck", "example.com/cleanup");
    held(&stack, "theirs", "example.com/other");
    let kubectl = stack.namespace.kubectl();
    for name in ["stuck", "theirs"] {
        kubectl.ok(&["delete", "deployment", name, "--wait=false"]);
    }

    ask(&stack, "here", RELEASE, ("Deployment", "here"));
    ask(&stack, "theirs", RELEASE, ("Deployment", "theirs"));
    ask(&stack, "stuck", RELEASE, ("Deployment", "stuck"));
    let left = ended_in(&stack, "here", Phase::Cancelled).await;
    assert_eq!(left.reason.as_deref(), Some("NotHanging"), "{left:?}");
    let left = ended_in(&stack, "theirs", Phase::Denied).await;
    assert_eq!(left.reason.as_deref(), Some("NoFinalizer"), "{left:?}");
    let waits = wait_for(&stack, "stuck", |status| {
        status.phase == Phase::AwaitingApproval
    })
    .await;
    let change = &waits.plan[0].changes[0];
    assert_eq!(
        (
            change.path.as_str(),
            change.from.as_deref(),
            change.to.as_deref()
        ),
        (
            "metadata.finalizers",
            Some(r#"["example.com/cleanup"]"#),
            None
        )
    );
    assert!(writes(shared, &stack).is_empty());

    let digest = waits.digest.expect("a planned change has a digest");
    let approval = json!({"approvedBy": "admin", "digest": digest});
    let patch = json!({"spec": {"approval": approval}});
    stack.patch_action("stuck", patch).await;
    let done = ended_in(&stack, "stuck", Phase::Succeeded).await;

    assert_eq!(done.message.as_deref(), Some("it is gone"), "{done:?}");
    let names = "jsonpath={.items[*].metadata.name}";
    let left = kubectl.ok(&["get", "deployments", "-o", names]);
    assert_eq!(left, "here theirs");
    let writes = writes(shared, &stack);
    assert_eq!(writes.entries().len(), 1, "{writes:?}");
    let write = &writes.entries()[0];
    assert_eq!(
        (write.verb.as_str(), write.name.as_str()),
        ("patch", "stuck")
    );
    for name in ["here", "theirs"] {
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        kubectl.ok(&["patch", "deployment", name, "--type=merge", "-p", patch]);
    }
}
