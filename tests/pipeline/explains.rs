//! What was done is explained from what is on record, and so is what was not done.

use std::{sync::Arc, time::Duration};

use harness::{Program, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::action::Phase;
use serde_json::{Value, json};

use crate::{
    heals::memory_policy,
    refuses::{JUDGED, sick_under},
    stack::{Stack, phase_of, summary},
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
    let json = as_json(&run(shared, &stack, &["why", &name, "-o", "json"]));
    assert_eq!(json["phase"], "Succeeded");
    assert_eq!(json["policy"]["now"], "gone");
    assert_eq!(json["target"]["now"], "gone");
    assert!(
        json["guards"]
            .as_array()
            .is_some_and(|guards| guards.len() >= 16),
        "{json}"
    );
    let times: Vec<_> = json["timeline"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    let times: Vec<_> = times
        .iter()
        .filter_map(|moment| moment["at"].as_str())
        .collect();
    assert!(times.len() >= 8, "{times:?}");
    assert!(
        !json["events"].as_array().expect("a list").is_empty(),
        "{json}"
    );
}

async fn what_was_not_done_is_explained(shared: &Shared) {
    let mut stack = Stack::new(shared, "whynot").await;
    let sick = |name: &str| {
        Workload::deployment(name)
            .memory_limit("256Mi")
            .memory("250Mi")
    };
    let apps = ["marked", "well", "bare", "other"];
    stack.namespace.create_workload(
        &sick("marked")
            .label("kubeskippy.io/protected", "true")
            .label("tier", "a"),
    );
    stack
        .namespace
        .create_workload(&sick("well").memory("10Mi").label("tier", "a"));
    stack.namespace.create_workload(
        &Workload::deployment("bare")
            .memory("10Mi")
            .label("tier", "a"),
    );
    stack.namespace.create_workload(&sick("other"));
    let mut pods = Vec::new();
    for app in apps {
        let found = stack.ready_pods(&format!("app={app}"), 1).await;
        pods.push(found.keys().next().expect("one pod").clone());
    }
    let selector = "  selector: {labelSelector: {matchLabels: {tier: a}}}\n";
    stack
        .namespace
        .apply(&format!("{}{selector}", memory_policy("duration: 1s")));
    stack.start().await;
    until("a denied action", JUDGED, async || {
        let actions = stack.actions().await;
        let denied = actions
            .iter()
            .any(|action| phase_of(action) == Phase::Denied);
        denied
            .then_some(())
            .ok_or(format!("{:?}; {}", summary(&actions), stack.tails()))
    })
    .await;
    let why_not = |object: &str| run(shared, &stack, &["why-not", object]);
    holds(
        &why_not(&pods[0]),
        &[
            "is protected: ",
            "kubeskippy.io/protected",
            "Denied",
            "Protected",
            "protected",
        ],
    );
    holds(
        &why_not(&pods[1]),
        &[
            "its condition did not hold at",
            "memory_usage_percent > 85 for 1s",
        ],
    );
    holds(&why_not(&pods[2]), &["there is no data", "limit"]);
    let told = why_not(&pods[3]);
    holds(
        &told,
        &[
            "no policy selects",
            "the label tier must be a, and is missing",
        ],
    );
    holds(&why_not("Pod/nowhere"), &["there is no Pod/nowhere in"]);
    holds(&why_not("Deployment/well"), &["through Pod/well-"]);
    let json = as_json(&run(shared, &stack, &["why-not", &pods[0], "-o", "json"]));
    assert_eq!(json["actions"][0]["phase"], "Denied", "{json}");
    assert_eq!(json["actions"][0]["guard"]["guard"], "protected", "{json}");
    assert_eq!(
        json["policies"][0]["triggers"][0]["state"], "FIRED",
        "{json}"
    );

    let monitor = [
        "patch",
        "healingpolicy",
        "memory",
        "--type=merge",
        "--patch",
        "{\"spec\":{\"mode\":\"monitor\"}}",
    ];
    stack.namespace.kubectl().ok(&monitor);
    holds(&why_not(&pods[1]), &["only watches (mode: monitor)"]);
}
