//! Each limit on real servers: what it holds back, for how long, and that it lets go.
//!
//! Only the actuator runs; actions are asked for by hand, and what failed before is
//! either made to fail or written into statuses as the actuator writes it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use harness::{Program, Shared, TestNamespace, Workload, trial, until};
use jiff::{SignedDuration, Timestamp};
use libtest_mimic::Trial;
use runtime::clock;
use schemas::action::{HealingActionStatus, Phase};
use serde_json::{Value, json};

use crate::{
    remedies::{acting_by_hand, ask, by_hand_policy, ended_in, wait_for, writes},
    stack::{Part, SYSTEM, Stack},
    undoes::{MORE, apart, nodes},
};

const RESTART: &str = "{name: restart, type: restart}";
const REMOVE: &str = "{name: remove, type: delete, requiresApproval: false}";
const ASKED: &str = "{name: asked, type: restart, requiresApproval: true}";

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_pause_is_seen_at_once_and_a_resume_too",
            shared,
            a_pause_is_seen_at_once,
        ),
        trial(
            "a_pause_does_not_stop_an_undo",
            shared,
            a_pause_does_not_stop_an_undo,
        ),
        trial(
            "a_breaker_opens_and_lets_one_action_try",
            shared,
            a_breaker_opens_and_lets_one_try,
        ),
        trial(
            "three_failures_on_one_owner_are_a_matter_for_people",
            shared,
            three_failures_are_a_matter_for_people,
        ),
        trial(
            "an_actuator_looks_on_before_it_acts",
            shared,
            an_actuator_looks_on_first,
        ),
        trial(
            "no_more_replicas_are_away_than_may_be",
            shared,
            no_more_are_away_than_may_be,
        ),
        trial(
            "windows_and_freezes_hold_actions_back",
            shared,
            windows_and_freezes_hold,
        ),
        trial(
            "what_flux_or_argo_cd_applies_is_left_to_them",
            shared,
            what_git_keeps_is_left_alone,
        ),
        trial(
            "a_yes_counts_only_when_it_was_written_in_time",
            shared,
            a_yes_counts_only_in_time,
        ),
        trial(
            "what_replaced_an_approved_target_is_not_touched",
            shared,
            what_replaced_an_approved_target_is_not_touched,
        ),
    ]
}

/// A Deployment of one pod, and the pod's name.
async fn single(stack: &Stack<'_>, name: &str) -> String {
    stack.namespace.create_workload(&Workload::deployment(name));
    let pods = stack.ready_pods(&format!("app={name}"), 1).await;
    pods.keys().next().expect("one pod").clone()
}

fn because(reason: &str) -> impl Fn(&HealingActionStatus) -> bool {
    move |status| status.reason.as_deref() == Some(reason)
}

fn span(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn patch_policy(stack: &Stack<'_>, rules: &Value) {
    let patch = json!({"spec": {"safetyRules": rules}}).to_string();
    let arguments = [
        "patch",
        "healingpolicy",
        "by-hand",
        "--type=merge",
        "--patch",
        &patch,
    ];
    stack.namespace.kubectl().ok(&arguments);
}

/// A system namespace of its own, so that its kill switch stops one trial alone, with the
/// actuator's real Role in it and a person who may pause.
struct System {
    namespace: TestNamespace,
    config: PathBuf,
}

impl System {
    async fn new(shared: &Shared, stack: &Stack<'_>) -> Self {
        let namespace = shared.control_plane().test_namespace("system");
        let instance = stack.namespace.name();
        let mut rules = rules_of(stack, "kubeskippy-actuator");
        rules.push(
            json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "update"],
            "resourceNames": [format!("kubeskippy-journal-{instance}")]}),
        );
        let anchor = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("kubeskippy-journal-{instance}")}});
        namespace.apply(&anchor.to_string());
        let ada =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ada"}});
        namespace.apply(&ada.to_string());
        bind(
            &namespace,
            "actuator",
            &rules,
            (SYSTEM, "kubeskippy-actuator"),
        );
        let pauser = rules_of(stack, "kubeskippy-pauser");
        bind(&namespace, "pauser", &pauser, (namespace.name(), "ada"));
        let config = shared
            .control_plane()
            .kubeconfig_for(namespace.name(), "ada");
        let config = config.await;
        Self { namespace, config }
    }

    /// Runs `kubeskippy` as ada, and returns what it said.
    fn run(&self, arguments: &[&str]) -> String {
        let config = self.config.to_str().expect("a path is text");
        let place = [
            "--kubeconfig",
            config,
            "--system-namespace",
            self.namespace.name(),
        ];
        let mut program = Program::spawn("kubeskippy", &[arguments, &place].concat(), &[]);
        let code = tokio::task::block_in_place(|| program.wait_exit(Duration::from_secs(30)));
        assert_eq!(code, Some(0), "{}", program.logs());
        program.logs()
    }
}

/// What a ready Role in the system namespace allows.
fn rules_of(stack: &Stack<'_>, role: &str) -> Vec<Value> {
    let kubectl = stack.namespace.kubectl().in_namespace(SYSTEM);
    let text = kubectl.ok(&["get", "role", role, "-o", "jsonpath={.rules}"]);
    serde_json::from_str(&text).expect("rules")
}

fn bind(into: &TestNamespace, name: &str, rules: &[Value], (namespace, account): (&str, &str)) {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let role =
        json!({"apiVersion": version, "kind": "Role", "metadata": {"name": name}, "rules": rules});
    into.apply(&role.to_string());
    let binding = json!({
        "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    });
    into.apply(&binding.to_string());
}

async fn a_pause_is_seen_at_once(shared: &Shared) {
    let stack = Stack::new(shared, "pause").await;
    let system = System::new(shared, &stack).await;
    let (one, two) = (single(&stack, "one").await, single(&stack, "two").await);
    by_hand_policy(
        &stack,
        &[RESTART],
        ", freezes: [{from: 2020-01-01T00:00:00Z, until: 2099-01-01T00:00:00Z}]",
    );
    let home = ["--lease-namespace", system.namespace.name()];
    let actuator = stack.spawn(Part::Actuator, &home).await;
    ask(&stack, "one", RESTART, ("Pod", &one));
    wait_for(&stack, "one", because("Freeze")).await;
    // What a freeze holds back is looked at once a minute.
    let passes = || actuator.metric("kubeskippy_actuator_pass_seconds_count");
    let woken = async |before: f64| {
        until(
            "a look at what waits",
            Duration::from_secs(10),
            async || {
                let now = passes();
                (now > before).then_some(()).ok_or(format!("{now} passes"))
            },
        )
        .await;
    };
    let before = passes();
    let said = system.run(&["pause", "--reason", "incident 7"]);
    woken(before).await;
    assert!(
        said.contains("All healing is paused: incident 7 (by system:serviceaccount:"),
        "{said}"
    );
    let said = system.run(&["pause", "--reason", "another"]);
    assert!(said.contains("paused already: incident 7 (by"), "{said}");

    patch_policy(&stack, &json!({"freezes": []}));
    ask(&stack, "two", RESTART, ("Pod", &two));
    let held = wait_for(&stack, "two", because("Paused")).await;
    let message = held.message.unwrap_or_default();
    assert!(message.contains("incident 7 (by"), "{message}");
    assert!(writes(shared, &stack).is_empty());

    let resumed = clock::now();
    let said = system.run(&["resume"]);
    assert!(
        said.contains("Healing goes on. It was paused: incident 7"),
        "{said}"
    );
    let status = ended_in(&stack, "one", Phase::Succeeded).await;
    let began = status.started_at.expect("it began").duration_since(resumed);
    assert!(
        began < span(15),
        "its next look was up to a minute away, and it began after {began}"
    );
    ended_in(&stack, "two", Phase::Succeeded).await;
    let said = system.run(&["resume"]);
    assert!(said.contains("not paused"), "{said}");
}

async fn a_pause_does_not_stop_an_undo(shared: &Shared) {
    let stack = Stack::new(shared, "unpaused").await;
    let system = System::new(shared, &stack).await;
    let most = nodes(shared);
    apart(&stack, most);
    stack.ready_pods("app=web", most).await;
    by_hand_policy(&stack, &[MORE], ", healthCheckTimeout: 10s");
    let home = ["--lease-namespace", system.namespace.name()];
    let _actuator = stack.spawn(Part::Actuator, &home).await;
    ask(&stack, "more", MORE, ("Deployment", "web"));
    wait_for(&stack, "more", |status| status.phase == Phase::Verifying).await;
    system.run(&["pause", "--reason", "incident 8"]);
    let status = ended_in(&stack, "more", Phase::RolledBack).await;
    assert_eq!(status.reason.as_deref(), Some("Undone"), "{status:?}");
    system.run(&["resume"]);
}

async fn a_breaker_opens_and_lets_one_try(shared: &Shared) {
    let rules = ", breaker: {failures: 2, resetAfter: 25s}";
    let stack = acting_by_hand(shared, "breaker", &[RESTART, REMOVE], rules).await;
    let (c, d) = (single(&stack, "c").await, single(&stack, "d").await);
    let failing = [
        ("a", single(&stack, "a").await),
        ("b", single(&stack, "b").await),
    ];
    let mut last = Timestamp::MIN;
    for (name, pod) in failing {
        // The right to delete was not given.
        ask(&stack, name, REMOVE, ("Pod", &pod));
        let failed = ended_in(&stack, name, Phase::Failed).await;
        last = last.max(failed.finished_at.expect("an end"));
    }
    ask(&stack, "c", RESTART, ("Pod", &c));
    ask(&stack, "d", RESTART, ("Pod", &d));
    for name in ["c", "d"] {
        let held = wait_for(&stack, name, because("BreakerOpen")).await;
        let breaker = held
            .verdicts
            .iter()
            .find(|verdict| verdict.guard == "breaker");
        let until = breaker.and_then(|verdict| verdict.until);
        assert_eq!(until, Some(last + span(25)), "{held:?}");
    }
    assert!(writes(shared, &stack).is_empty());

    let mut times = Vec::new();
    for name in ["c", "d"] {
        let status = ended_in(&stack, name, Phase::Succeeded).await;
        times.push((
            status.started_at.expect("a start"),
            status.finished_at.expect("an end"),
        ));
    }
    times.sort();
    assert!(times[0].0 >= last + span(25), "{last} {times:?}");
    // Half open: the second waited until the first had helped.
    assert!(times[1].0 >= times[0].1, "{times:?}");
}

async fn three_failures_are_a_matter_for_people(shared: &Shared) {
    let mut stack = Stack::new(shared, "strikes").await;
    by_hand_policy(&stack, &[RESTART], "");
    let pod = single(&stack, "web").await;
    let kubectl = stack.namespace.kubectl();
    let owner = kubectl.ok(&["get", "deployment", "web", "-o", "jsonpath={.metadata.uid}"]);
    for strike in ["one", "two", "three"] {
        ask(&stack, strike, RESTART, ("Pod", &pod));
        let ended = clock::now() - span(7200);
        let status = json!({"status": {
            "phase": "Failed", "reason": "NotRecovered", "owner": "Deployment/web", "ownerUid": owner,
            "startedAt": ended - span(60), "finishedAt": ended,
        }});
        let status = status.to_string();
        let patch = [
            "patch",
            "healingaction",
            strike,
            "--type=merge",
            "--patch",
            &status,
        ];
        kubectl.ok(&[&patch[..], &["--subresource=status"]].concat());
    }
    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);
    ask(&stack, "fourth", RESTART, ("Pod", &pod));
    let status = ended_in(&stack, "fourth", Phase::Denied).await;
    assert_eq!(status.reason.as_deref(), Some("NeedsHuman"), "{status:?}");
    assert!(writes(shared, &stack).is_empty());

    // Somebody has looked, and deletes what failed.
    stack
        .namespace
        .kubectl()
        .ok(&["delete", "healingaction", "one", "two", "three"]);
    ask(&stack, "fifth", RESTART, ("Pod", &pod));
    ended_in(&stack, "fifth", Phase::Succeeded).await;
}

async fn an_actuator_looks_on_first(shared: &Shared) {
    let stack = Stack::new(shared, "warmup").await;
    by_hand_policy(&stack, &[RESTART], "");
    let pod = single(&stack, "web").await;
    ask(&stack, "early", RESTART, ("Pod", &pod));
    let started = clock::now();
    let _actuator = stack
        .spawn(Part::Actuator, &["--warmup-seconds", "12"])
        .await;
    let held = wait_for(&stack, "early", because("WarmUp")).await;
    assert!(held.started_at.is_none(), "{held:?}");
    assert!(writes(shared, &stack).is_empty());
    let status = ended_in(&stack, "early", Phase::Succeeded).await;
    let began = status.started_at.expect("it began");
    assert!(began >= started + span(12), "{started} {began}");
}

async fn no_more_are_away_than_may_be(shared: &Shared) {
    let stack = acting_by_hand(shared, "blast", &[RESTART], ", maxUnavailable: 1").await;
    let most = nodes(shared);
    // One more than there is room for: one replica is away already.
    apart(&stack, most + 1);
    let pods = stack.ready_pods("app=web", most).await;
    let pod = pods.keys().next().expect("a pod");
    ask(&stack, "held", RESTART, ("Pod", pod));
    let held = wait_for(&stack, "held", because("BlastRadius")).await;
    assert_eq!(held.phase, Phase::Pending, "{held:?}");
    assert!(writes(shared, &stack).is_empty());
    let count = format!("--replicas={most}");
    stack
        .namespace
        .kubectl()
        .ok(&["scale", "deployment", "web", &count]);
    ended_in(&stack, "held", Phase::Succeeded).await;

    patch_policy(&stack, &json!({"maxUnavailable": 0}));
    let pods = stack.ready_pods("app=web", most).await;
    let pod = pods.keys().next().expect("a pod");
    ask(&stack, "never", RESTART, ("Pod", pod));
    let status = ended_in(&stack, "never", Phase::Denied).await;
    assert_eq!(status.reason.as_deref(), Some("BlastRadius"), "{status:?}");
}

async fn windows_and_freezes_hold(shared: &Shared) {
    let stack = acting_by_hand(shared, "windows", &[RESTART], "").await;
    let (one, two) = (single(&stack, "one").await, single(&stack, "two").await);
    // A day that is neither today nor tomorrow, in any zone.
    let day = (clock::now() + SignedDuration::from_hours(72))
        .strftime("%a")
        .to_string();
    let window =
        json!({"days": [day], "start": "01:00", "end": "02:00", "timeZone": "Europe/Berlin"});
    patch_policy(&stack, &json!({"windows": [window]}));
    ask(&stack, "one", RESTART, ("Pod", &one));
    wait_for(&stack, "one", because("OutsideWindow")).await;

    let now = clock::now();
    let until = now + span(10);
    let freeze = json!({"from": now - span(60), "until": until, "reason": "stocktaking"});
    patch_policy(&stack, &json!({"windows": [], "freezes": [freeze]}));
    ask(&stack, "two", RESTART, ("Pod", &two));
    let held = wait_for(&stack, "two", because("Freeze")).await;
    let message = held.message.clone().unwrap_or_default();
    assert!(message.contains("stocktaking"), "{message}");
    assert!(writes(shared, &stack).is_empty());
    let status = ended_in(&stack, "two", Phase::Succeeded).await;
    assert!(status.started_at >= Some(until), "{status:?}");
    // Windows are looked at each minute.
    ended_in(&stack, "one", Phase::Succeeded).await;
}

/// Applies a Deployment as the controller `manager` does, with `annotations` on its pods.
fn applied_by(stack: &Stack<'_>, name: &str, manager: &str, annotations: &Value) {
    let mut manifest: Value =
        serde_json::from_str(&Workload::deployment(name).replicas(2).manifest()).expect("JSON");
    manifest["spec"]["template"]["metadata"]["annotations"] = annotations.clone();
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("manifest.json");
    std::fs::write(&path, manifest.to_string()).expect("it can be written");
    let path = path.to_str().expect("a path is text");
    let manager = format!("--field-manager={manager}");
    stack
        .namespace
        .kubectl()
        .ok(&["apply", "--server-side", &manager, "-f", path]);
}

async fn what_git_keeps_is_left_alone(shared: &Shared) {
    let more =
        "{name: more, type: scale, scaleAction: {direction: up, replicas: 1, maxReplicas: 5}}";
    let stack = acting_by_hand(shared, "git", &[RESTART, more], "").await;
    applied_by(&stack, "flux", "kustomize-controller", &json!({}));
    let restarted = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
    applied_by(&stack, "argo", "argocd-controller", &restarted);
    for app in ["app=flux", "app=argo"] {
        stack.ready_pods(app, 2).await;
    }
    ask(&stack, "scale-flux", more, ("Deployment", "flux"));
    ask(&stack, "roll-argo", RESTART, ("Deployment", "argo"));
    for (name, manager) in [
        ("scale-flux", "kustomize-controller"),
        ("roll-argo", "argocd-controller"),
    ] {
        let status = ended_in(&stack, name, Phase::Denied).await;
        assert_eq!(status.reason.as_deref(), Some("FieldOwned"), "{status:?}");
        let message = status.message.unwrap_or_default();
        assert!(message.contains(manager), "{message}");
    }
    assert!(writes(shared, &stack).is_empty());
    // A field that Flux does not keep is no business of Flux.
    ask(&stack, "roll-flux", RESTART, ("Deployment", "flux"));
    ended_in(&stack, "roll-flux", Phase::Succeeded).await;
}

/// Says yes to the change that the action `name` plans.
async fn approve(stack: &Stack<'_>, name: &str, status: &HealingActionStatus) {
    let approval = json!({"decision": "approved", "approvedBy": "admin", "digest": status.digest});
    let patch = json!({"spec": {"approval": approval}});
    stack.patch_action(name, patch).await;
}

async fn a_yes_counts_only_in_time(shared: &Shared) {
    let mut stack = acting_by_hand(shared, "intime", &[ASKED], ", approvalTimeout: 30s").await;
    let mut asked = Vec::new();
    let pods = [
        ("early", single(&stack, "early").await),
        ("late", single(&stack, "late").await),
    ];
    for (name, pod) in pods {
        ask(&stack, name, ASKED, ("Pod", &pod));
        asked.push(
            wait_for(&stack, name, |status| {
                status.phase == Phase::AwaitingApproval
            })
            .await,
        );
    }
    stack.part(Part::Actuator).program.kill_hard();
    approve(&stack, "early", &asked[0]).await;
    let end = asked[1].judged_at.expect("it was judged") + span(31);
    until("the end of the wait", Duration::from_mins(1), async || {
        let left = end.duration_since(clock::now());
        (!left.is_positive())
            .then_some(())
            .ok_or(format!("{left} left"))
    })
    .await;
    // Nobody has ended the wait, so the API server takes it.
    approve(&stack, "late", &asked[1]).await;

    stack.start_part(Part::Actuator).await;
    stack.ready(Part::Actuator);
    let status = ended_in(&stack, "late", Phase::Cancelled).await;
    assert_eq!(
        status.reason.as_deref(),
        Some("ApprovalTimeout"),
        "{status:?}"
    );
    let message = status.message.unwrap_or_default();
    assert!(message.contains("admin approved it at"), "{message}");
    ended_in(&stack, "early", Phase::Succeeded).await;
    let evictions = writes(shared, &stack).keep(|entry| entry.subresource == "eviction");
    assert_eq!(evictions.entries().len(), 1, "{evictions:?}");
}

async fn what_replaced_an_approved_target_is_not_touched(shared: &Shared) {
    let freeze = ", freezes: [{from: 2020-01-01T00:00:00Z, until: 2099-01-01T00:00:00Z}]";
    let mut stack = acting_by_hand(shared, "replaced", &[ASKED], freeze).await;
    stack.namespace.apply(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: 'simulated:1'}]}
",
    );
    let before = stack.ready_pods("app=db", 1).await;
    ask(&stack, "stale", ASKED, ("Pod", "db-0"));
    let asked = wait_for(&stack, "stale", |status| {
        status.phase == Phase::AwaitingApproval
    })
    .await;
    approve(&stack, "stale", &asked).await;
    wait_for(&stack, "stale", because("Freeze")).await;

    stack.namespace.kubectl().ok(&["delete", "pod", "db-0"]);
    let after = stack.ready_pods("app=db", 1).await;
    assert_ne!(after.get("db-0"), before.get("db-0"));
    // A successor looks at once.
    stack.part(Part::Actuator).program.kill_hard();
    stack.start_part(Part::Actuator).await;
    // The yes was for the change of another object, which is a denial; a target that is gone is merely no reason to act.
    let status = ended_in(&stack, "stale", Phase::Denied).await;
    let said = |guard: &str| {
        let mut verdicts = status.verdicts.iter();
        verdicts
            .find(|verdict| verdict.guard == guard)?
            .reason
            .clone()
    };
    assert_eq!(said("freshness").as_deref(), Some("TargetReplaced"));
    assert_eq!(said("approval").as_deref(), Some("DigestMismatch"));
    assert_eq!(stack.pod_uids("app=db").await, after);
    assert!(writes(shared, &stack).is_empty());
}
