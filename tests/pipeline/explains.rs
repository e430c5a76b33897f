//! What was done is explained from what is on record, and so is what was not done.

use std::{sync::Arc, time::Duration};

use harness::{Program, Shared, Workload, trial};
use libtest_mimic::Trial;
use schemas::action::Phase;
use serde_json::{Value, json};

use crate::{
    heals::memory_policy,
    refuses::{JUDGED, sick_under},
    stack::Stack,
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "what_was_done_is_explained_also_when_its_policy_and_target_are_gone",
            shared,
            what_was_done_is_explained,
        ),
        trial(
            "what_was_not_done_is_explained_pod_by_pod",
            shared,
            what_was_not_done_is_explained,
        ),
    ]
}

/// Runs `kubeskippy` as the administrator, and returns what it said.
fn run(shared: &Shared, stack: &Stack<'_>, arguments: &[&str]) -> String {
    let config = shared.control_plane().kubeconfig();
    let config = config.to_str().expect("a path is text");
    let place = [
        "--kubeconfig",
        config,
        "--namespace",
        stack.namespace.name(),
    ];
    let mut program = Program::spawn("kubeskippy", &[arguments, &place].concat(), &[]);
    let code = tokio::task::block_in_place(|| program.wait_exit(Duration::from_secs(30)));
    assert_eq!(code, Some(0), "{}", program.logs());
    program.logs()
}

fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
}

async fn what_was_done_is_explained(shared: &Shared) {
    let stack = sick_under(shared, "why", "").await;
    let action = stack.action_in(Phase::AwaitingApproval, JUDGED).await;
    let name = action.metadata.name.clone().expect("a name");
    let status = action.status.expect("a status");
    let told = run(shared, &stack, &["why", &name]);
    holds(
        &told,
        &[
            "AwaitingApproval (ApprovalRequired)",
            "high-memory: ",
            "replace (restart), rung 1 of 1 of the policy memory (mode manual)",
            "approval decided:",
            "evict Pod",
            "kubeskippy approve",
        ],
    );
    let yes =
        json!({"approvedBy": "admin", "digest": status.digest, "reason": "the leak is known"});
    stack
        .patch_action(&name, json!({"spec": {"approval": yes}}))
        .await;
    stack.action_in(Phase::Succeeded, JUDGED).await;
    stack
        .namespace
        .kubectl()
        .ok(&["delete", "healingpolicy", "memory"]);

    let told = run(shared, &stack, &["why", &name]);
    holds(
        &told,
        &[
            ": Succeeded (Recovered)",
            "it is gone by now",
            "admin approved it: the leak is known (written at 2",
            "all let it pass: pause",
            "called: evict Pod",
            "Recovered: Pod/full-",
            "what the policy memory said: it is gone",
        ],
    );
    assert_complete(&as_json(&run(
        shared,
        &stack,
        &["why", &name, "-o", "json"],
    )));
}

/// Asserts that a program finds everything about an action that ended well and whose policy and target are gone.
fn assert_complete(json: &Value) {
    assert_eq!(json["phase"], "Succeeded");
    assert_eq!(json["policy"]["now"], "gone");
    assert_eq!(json["target"]["now"], "gone");
    let count = |field: &str| json[field].as_array().expect("a list").len();
    assert!(count("guards") >= 16, "{json}");
    assert!(count("timeline") >= 8, "{json}");
    assert!(count("events") >= 1, "{json}");
}

/// Four pods under one policy: one sick and protected, one well, one without a limit, one that the policy does
/// not select; up to the denied action on the first.
async fn four_pods(shared: &Shared) -> (Stack<'_>, Vec<String>) {
    let mut stack = Stack::new(shared, "whynot").await;
    let web = |name: &str| Workload::deployment(name).memory("250Mi");
    let full = |name: &str| web(name).memory_limit("256Mi");
    let marked = full("marked").label("kubeskippy.io/protected", "true");
    let workloads = [
        marked.label("tier", "a"),
        full("well").memory("10Mi").label("tier", "a"),
        web("bare").label("tier", "a"),
        full("other"),
    ];
    for workload in &workloads {
        stack.namespace.create_workload(workload);
    }
    let mut pods = Vec::new();
    for app in ["marked", "well", "bare", "other"] {
        let found = stack.ready_pods(&format!("app={app}"), 1).await;
        pods.push(found.keys().next().expect("one pod").clone());
    }
    let selector = "  selector: {labelSelector: {matchLabels: {tier: a}}}\n";
    let policy = format!("{}{selector}", memory_policy("duration: 1s"));
    stack.namespace.apply(&policy);
    stack.start().await;
    stack.action_in(Phase::Denied, JUDGED).await;
    (stack, pods)
}

async fn what_was_not_done_is_explained(shared: &Shared) {
    let (stack, pods) = four_pods(shared).await;
    let why_not = |object: &str| run(shared, &stack, &["why-not", object]);
    let told = why_not(&pods[0]);
    holds(&told, &["is protected: ", "kubeskippy.io/protected"]);
    let told = why_not(&pods[1]);
    let asked = "memory_usage_percent > 85 for 1s";
    holds(&told, &["its condition did not hold at", asked]);
    holds(&why_not(&pods[2]), &["there is no data", "limit"]);
    let told = why_not(&pods[3]);
    let label = "the label tier must be a, and is missing";
    holds(&told, &["no policy selects", label]);
    holds(&why_not("Pod/nowhere"), &["there is no Pod/nowhere in"]);
    holds(&why_not("Deployment/well"), &["through Pod/well-"]);
    let json = as_json(&run(shared, &stack, &["why-not", &pods[0], "-o", "json"]));
    let action = &json["actions"][0];
    assert_eq!(action["phase"], "Denied", "{json}");
    assert_eq!(action["guard"]["guard"], "protected", "{json}");
    let trigger = &json["policies"][0]["triggers"][0];
    assert_eq!(trigger["state"], "FIRED", "{json}");

    let monitor = "--patch={\"spec\":{\"mode\":\"monitor\"}}";
    let patch = ["patch", "healingpolicy", "memory", "--type=merge", monitor];
    stack.namespace.kubectl().ok(&patch);
    holds(&why_not(&pods[1]), &["only watches (mode: monitor)"]);
}
