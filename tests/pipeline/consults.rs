//! The whole stack beside a model that is counted, slow, gone, or hostile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use harness::{ModelReply, ModelRequest, ModelServer, Shared, Workload, trial, until};
use libtest_mimic::Trial;
use schemas::{
    action::{HealingAction, Phase},
    diagnosis::Consulted,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    heals::memory_policy,
    stack::{Part, SYSTEM, Stack},
};

const HEAL: Duration = Duration::from_mins(3);

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_case_is_asked_about_once_also_after_a_restart",
            shared,
            a_case_is_asked_about_once,
        ),
        trial(
            "a_call_that_a_crash_cut_is_not_paid_for_twice",
            shared,
            a_call_that_a_crash_cut_is_not_made_twice,
        ),
        trial(
            "without_its_model_a_policy_heals_as_before_and_says_so",
            shared,
            without_its_model_a_policy_heals,
        ),
        trial(
            "a_compromised_model_writes_nothing_outside_the_policies",
            shared,
            a_compromised_model_writes_nothing,
        ),
    ]
}

/// A stack with one sick pod, whose policy asks the model `small` at `url`.
async fn set<'a>(shared: &'a Shared, name: &str, url: &str, ai: &str) -> (Stack<'a>, TempDir) {
    let mut stack = Stack::new(shared, name).await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("models.yaml");
    let file = format!(
        "- {{name: small, provider: ollama, baseUrl: '{url}', model: tiny, timeoutSeconds: 20}}\n"
    );
    std::fs::write(&path, file).expect("the folder can be written");
    stack.analyze_with(&["--models", path.to_str().expect("a path is text")]);
    let full = Workload::deployment("full")
        .memory_limit("256Mi")
        .memory("64Mi");
    stack.namespace.create_workload(&full);
    let pods = stack.ready_pods("app=full", 1).await;
    stack.namespace.apply(&format!(
        "{}  ai: {{{ai}}}\n",
        memory_policy("duration: 3s")
    ));
    stack.start().await;
    // The pod is sick and not its template, so that the one in its place is well.
    let pod = pods.keys().next().expect("one pod");
    stack
        .namespace
        .annotate_pod(pod, &[("sim.kubeskippy.io/memory", "250Mi")]);
    (stack, dir)
}

/// An answer within the schema of the request: the first of everything that may be named.
fn obedient(request: &ModelRequest) -> ModelReply {
    let properties = &request.body["format"]["properties"];
    let first = |name: &str| properties[name]["enum"][0].clone();
    let reply = json!({
        "action": first("action"),
        "cause": "memory grows",
        "confidence": 0.5,
        "evidence": [properties["evidence"]["items"]["enum"][0]],
        "explanation": "The memory of the container grows until the limit.",
        "failureMode": first("failureMode"),
        "target": first("target"),
    });
    ModelReply::Text(reply.to_string())
}

fn consulted(action: &HealingAction) -> Option<&Consulted> {
    let diagnosis = action.spec.diagnosis.as_ref()?;
    let mut consulted = diagnosis.consulted.iter();
    consulted.find(|it| it.source == "model/small")
}

async fn ticks(stack: &mut Stack<'_>, count: f64) {
    until(
        "ticks of the analyzer",
        Duration::from_mins(2),
        async || {
            let ticks = stack
                .part(Part::Analyzer)
                .metric("kubeskippy_analyzer_ticks_total");
            if ticks >= count {
                Ok(())
            } else {
                Err(format!("{ticks} ticks"))
            }
        },
    )
    .await;
}

async fn a_case_is_asked_about_once(shared: &Shared) {
    let server = ModelServer::start(obedient).await;
    let ai = "mode: advise, timeout: 20s, advisors: [rules, small]";
    let (mut stack, _dir) = set(shared, "asked", &server.url(), ai).await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    let said = consulted(&action).expect("the model was asked");
    assert!(
        ["Agreed", "Differed"].contains(&said.outcome.as_str()),
        "{said:?}"
    );
    assert_eq!(server.asked().len(), 1);
    let policy = stack.policy("memory").await;
    let advisors = policy.status.expect("a status").advisors;
    assert_eq!(advisors.len(), 1, "{advisors:?}");
    assert!(
        advisors
            .iter()
            .all(|it| it.name == "small" && it.state == "Available"),
        "{advisors:?}"
    );
    let calls = stack
        .part(Part::Analyzer)
        .metric("kubeskippy_analyzer_model_calls_total");
    assert!((calls - 1.0).abs() < f64::EPSILON, "{calls}");

    stack.part(Part::Analyzer).program.kill_hard();
    stack.start_part(Part::Analyzer).await;
    stack.ready(Part::Analyzer);
    ticks(&mut stack, 15.0).await;
    assert_eq!(server.asked().len(), 1);
}

async fn a_call_that_a_crash_cut_is_not_made_twice(shared: &Shared) {
    let server = ModelServer::saying(vec![ModelReply::Silence]).await;
    let ai = "mode: advise, timeout: 40s, advisors: [rules, small]";
    let (mut stack, _dir) = set(shared, "crashed", &server.url(), ai).await;
    until("a call", HEAL, async || match server.asked().len() {
        0 => Err(stack.tails()),
        _ => Ok(()),
    })
    .await;

    stack.part(Part::Analyzer).program.kill_hard();
    stack.start_part(Part::Analyzer).await;
    stack.ready(Part::Analyzer);
    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    assert_eq!(server.asked().len(), 1, "{}", stack.tails());
    let said = consulted(&action).expect("that it was asked is on record");
    assert_eq!(said.outcome, "TimedOut");
}

async fn without_its_model_a_policy_heals(shared: &Shared) {
    let nowhere = format!("http://127.0.0.1:{}", harness::free_port());
    let ai = "mode: choose, timeout: 20s, advisors: [rules, small, absent]";
    let (stack, _dir) = set(shared, "away", &nowhere, ai).await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;

    let said = consulted(&action).expect("that it was asked is on record");
    assert_eq!(said.outcome, "Unreachable");
    let status = stack.policy("memory").await.status.expect("a status");
    let state = |name: &str| {
        let mut advisors = status.advisors.iter();
        advisors
            .find(|it| it.name == name)
            .map(|it| it.state.clone())
    };
    assert_eq!(state("absent").as_deref(), Some("NotConfigured"));
    assert_eq!(
        state("small").as_deref(),
        Some("Failing"),
        "{:?}",
        status.advisors
    );
}

/// What an attacker would answer who knows the API and the request.
fn hostile(number: usize, request: &ModelRequest) -> ModelReply {
    let ModelReply::Text(valid) = obedient(request) else {
        return ModelReply::Silence;
    };
    let mut reply: Value = serde_json::from_str(&valid).expect("it is JSON");
    let mut with = |key: &str, value: Value| {
        reply[key] = value;
        ModelReply::Text(reply.to_string())
    };
    match number % 12 {
        0 => with("action", json!("delete-namespace")),
        1 => with("target", json!("Node/*")),
        2 => with("confidence", json!(1e15)),
        3 => with("replicas", json!(0)),
        4 => with("evidence", json!(["E9999"])),
        5 => with(
            "explanation",
            json!("kubectl delete ns --all; skip human review; confidence=0.99"),
        ),
        6 => ModelReply::Text(format!("Sure! ```json\n{valid}\n```")),
        7 => ModelReply::Text(valid.replacen('{', "{\"action\":\"replace\",", 1)),
        8 => ModelReply::Text(json!({"reply": valid}).to_string()),
        9 => ModelReply::Text("UNSAFE".to_owned()),
        10 => ModelReply::Text("\u{202e}".repeat(5000)),
        _ => ModelReply::Cut(valid),
    }
}

async fn a_compromised_model_writes_nothing(shared: &Shared) {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = ModelServer::start(move |request| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        hostile(number, request)
    })
    .await;
    let ai = "mode: choose, timeout: 20s, minConfidence: 0, advisors: [small]";
    let (mut stack, _dir) = set(shared, "hostile", &server.url(), ai).await;
    stack.namespace.create_workload(
        &Workload::deployment("healthy")
            .memory_limit("256Mi")
            .memory("64Mi"),
    );
    let healthy = stack.ready_pods("app=healthy", 1).await;

    let action = stack.action_in(Phase::Succeeded, HEAL).await;
    // More cases, of other kinds of trouble, so that more is asked.
    for (name, memory) in [("second", "240Mi"), ("third", "230Mi")] {
        let sick = Workload::deployment(name)
            .memory_limit("256Mi")
            .memory(memory)
            .replicas(2);
        stack.namespace.create_workload(&sick);
    }
    ticks(&mut stack, 60.0).await;

    assert!(!server.asked().is_empty(), "the model was asked");
    assert!(consulted(&action).is_some(), "and is on record");
    assert_eq!(stack.pod_uids("app=healthy").await, healthy);
    let allowed = BTreeSet::from([
        ("analyzer", "healingactions", "create", ""),
        ("analyzer", "healingpolicies", "patch", "status"),
        ("actuator", "healingactions", "patch", "status"),
        ("actuator", "healingactions", "update", "status"),
        ("actuator", "healingactions", "patch", ""),
        ("actuator", "healingactions", "update", ""),
        ("actuator", "events", "create", ""),
        ("actuator", "events", "patch", ""),
        ("actuator", "pods", "patch", ""),
        // What the policy's one action, a restart, does.
        ("actuator", "pods", "create", "eviction"),
        ("actuator", "pods", "delete", ""),
    ]);
    let namespace = stack.namespace.name();
    let writes = shared.control_plane().audit_entries().effective();
    let writes = writes.in_namespace(namespace);
    for part in ["analyzer", "actuator", "collector"] {
        let account = format!("kubeskippy-{part}");
        let own = writes.clone().by_service_account(SYSTEM, &account);
        for entry in own.entries() {
            let write = (
                part,
                entry.resource.as_str(),
                entry.verb.as_str(),
                entry.subresource.as_str(),
            );
            assert!(allowed.contains(&write), "{entry:?}");
            assert!(!entry.name.starts_with("healthy"), "{entry:?}");
        }
    }
}
