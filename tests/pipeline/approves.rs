//! Who may say yes or no to an action, and what follows.
//!
//! The people are service accounts of the test's namespace with tokens of their own:
//! `ada` has the ready role for approvers, `bo` may patch actions but lacks the verb
//! `approve`, `mallory` may write everything about actions but is not the actuator.

use std::{path::PathBuf, process::Output, sync::Arc, time::Duration};

use harness::{Program, Shared, trial};
use libtest_mimic::Trial;
use schemas::action::{HealingAction, Phase};
use serde_json::{Value, json};

use crate::{
    refuses::{JUDGED, sick_under},
    stack::{SYSTEM, Stack},
};

/// How long a command may take that asks the API server a few questions.
const ANSWERED: Duration = Duration::from_secs(30);

/// The digest of the plans that these tests write themselves.
const PLANNED: &str = "6c3f";

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "an_approval_needs_the_verb_the_own_name_and_the_planned_digest",
            shared,
            an_approval_needs_verb_name_and_digest,
        ),
        trial(
            "an_approval_is_written_once_and_never_taken_away",
            shared,
            an_approval_is_written_once,
        ),
        trial(
            "the_healers_own_accounts_never_approve",
            shared,
            the_healers_never_approve,
        ),
        trial(
            "an_action_is_created_without_an_approval",
            shared,
            an_action_is_created_without_an_approval,
        ),
        trial(
            "only_the_actuator_writes_the_status_of_an_action",
            shared,
            only_the_actuator_writes_the_status,
        ),
        trial(
            "what_has_begun_or_ended_takes_no_decision",
            shared,
            what_has_begun_or_ended_takes_no_decision,
        ),
        trial(
            "a_plain_patch_by_an_approver_lets_the_action_proceed",
            shared,
            a_plain_patch_lets_the_action_proceed,
        ),
        trial(
            "kubeskippy_approve_shows_the_plan_and_lets_the_action_proceed",
            shared,
            the_command_lets_the_action_proceed,
        ),
        trial(
            "kubeskippy_reject_ends_the_action_as_denied",
            shared,
            the_command_rejects,
        ),
        trial(
            "what_nobody_approves_in_time_expires",
            shared,
            what_nobody_approves_expires,
        ),
    ]
}

/// The people, with what lets them in; and the healers as if RBAC had been botched.
fn people(namespace: &str) -> String {
    let account = |name: &str| {
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}}}\n---\n")
    };
    let role = |name: &str, rules: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}}}\nrules:\n{rules}\n---\n"
        )
    };
    let bind = |name: &str, kind: &str, role: &str, namespace: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}-{role}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {role}}}\n\
             subjects: [{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}]\n---\n"
        )
    };
    let patches = "- {apiGroups: [kubeskippy.io], resources: [healingactions], verbs: [get, list, create, update, patch]}";
    let writes = "- {apiGroups: [kubeskippy.io], resources: [healingactions, healingactions/status], verbs: [get, update, patch, approve, actuate]}";
    let mut yaml = ["ada", "bo", "mallory"].map(account).concat();
    yaml += &role("patches", patches);
    yaml += &role("writes", writes);
    yaml += &bind("ada", "ClusterRole", "kubeskippy-approver", namespace);
    yaml += &bind("bo", "Role", "patches", namespace);
    yaml += &bind("mallory", "Role", "writes", namespace);
    for healer in HEALERS {
        yaml += &bind(healer, "ClusterRole", "kubeskippy-approver", SYSTEM);
        yaml += &bind(healer, "Role", "writes", SYSTEM);
    }
    yaml
}

pub(crate) const HEALERS: [&str; 3] = [
    "kubeskippy-collector",
    "kubeskippy-analyzer",
    "kubeskippy-actuator",
];

/// The name that the API server knows a service account by.
pub(crate) fn user(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}

/// Lets the people in.
pub(crate) fn admit(stack: &Stack<'_>) {
    stack.namespace.apply(&people(stack.namespace.name()));
}

/// A namespace with the people in it, and nothing running.
pub(crate) async fn idle<'a>(shared: &'a Shared, name: &str) -> Stack<'a> {
    let stack = Stack::new(shared, name).await;
    admit(&stack);
    stack
}

/// An action that waits, its status written as the actuator would.
pub(crate) fn planned(stack: &Stack<'_>, name: &str) {
    stack.namespace.apply(&action(name, ""));
    put_in(stack, name, "AwaitingApproval");
}

pub(crate) fn put_in(stack: &Stack<'_>, name: &str, phase: &str) {
    let object =
        json!({"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web", "uid": "u"});
    let plan = json!([{"call": "evict Pod/web", "verb": "Evict", "object": object}]);
    let status = json!({"status": {"phase": phase, "digest": PLANNED, "plan": plan}});
    let actuator = user(SYSTEM, "kubeskippy-actuator");
    let written = patch(
        stack,
        name,
        &status,
        &["--subresource=status", "--as", &actuator],
    );
    accepted(&written);
}

pub(crate) fn action(name: &str, more: &str) -> String {
    format!(
        "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingAction
metadata: {{name: {name}}}
spec:
  policyName: memory
  targetResource: {{kind: Pod, name: web}}
  action: {{name: replace, type: restart}}
{more}"
    )
}

/// Patches an action as the administrator, or as whom `more` impersonates.
pub(crate) fn patch(stack: &Stack<'_>, name: &str, patch: &Value, more: &[&str]) -> Output {
    let text = patch.to_string();
    let arguments = [
        "patch",
        "healingaction",
        name,
        "--type=merge",
        "--patch",
        &text,
    ];
    stack
        .namespace
        .kubectl()
        .output(&[&arguments, more].concat())
}

/// A person at a terminal of their own.
pub(crate) struct Person {
    pub(crate) config: PathBuf,
    pub(crate) name: String,
}

pub(crate) async fn person(stack: &Stack<'_>, shared: &Shared, account: &str) -> Person {
    let namespace = stack.namespace.name();
    let config = shared.control_plane().kubeconfig_for(namespace, account);
    Person {
        config: config.await,
        name: user(namespace, account),
    }
}

impl Person {
    pub(crate) fn patch(&self, stack: &Stack<'_>, name: &str, patch: &Value) -> Output {
        let text = patch.to_string();
        let kubectl = stack.namespace.kubectl().as_user(&self.config);
        kubectl.output(&[
            "patch",
            "healingaction",
            name,
            "--type=merge",
            "--patch",
            &text,
        ])
    }

    /// Writes an approval that carries their own name, with further fields.
    fn approves(&self, stack: &Stack<'_>, name: &str, more: &Value) -> Output {
        let mut approval = json!({"approvedBy": self.name});
        let fields = approval.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        self.patch(stack, name, &json!({"spec": {"approval": approval}}))
    }

    /// Runs `kubeskippy` without a terminal, and returns how it ended and all it said.
    pub(crate) fn runs(&self, stack: &Stack<'_>, arguments: &[&str]) -> (Option<i32>, String) {
        let config = self.config.to_str().expect("a path is text");
        let place = [
            "--kubeconfig",
            config,
            "--namespace",
            stack.namespace.name(),
        ];
        let arguments = [arguments, &place].concat();
        let mut program = Program::spawn("kubeskippy", &arguments, &[]);
        let code = tokio::task::block_in_place(|| program.wait_exit(ANSWERED));
        (code, program.logs())
    }
}

pub(crate) fn accepted(output: &Output) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

pub(crate) fn refused(output: &Output, why: &str) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success(),
        "accepted, but should be refused: {why}"
    );
    assert!(words.contains(why), "{why:?} is missing from {words}");
}

async fn an_approval_needs_verb_name_and_digest(shared: &Shared) {
    let stack = idle(shared, "verb").await;
    planned(&stack, "one");
    planned(&stack, "two");
    let ada = person(&stack, shared, "ada").await;
    let bo = person(&stack, shared, "bo").await;
    let right = json!({"digest": PLANNED});

    refused(
        &bo.approves(&stack, "one", &right),
        "lacks the verb approve",
    );
    let forged = json!({"spec": {"approval": {"approvedBy": bo.name, "digest": PLANNED}}});
    refused(
        &ada.patch(&stack, "one", &forged),
        "approvedBy must be who asks",
    );
    for digest in [
        json!({"digest": "6c40"}),
        json!({}),
        json!({"digest": null}),
    ] {
        refused(
            &ada.approves(&stack, "one", &digest),
            "must carry the digest",
        );
    }
    let wrong = json!({"decision": "rejected", "digest": "6c40"});
    refused(
        &ada.approves(&stack, "one", &wrong),
        "must carry the digest",
    );

    accepted(&ada.approves(&stack, "one", &right));
    // a no needs no plan
    accepted(&ada.approves(&stack, "two", &json!({"decision": "rejected"})));
}

async fn an_approval_is_written_once(shared: &Shared) {
    let stack = idle(shared, "once").await;
    planned(&stack, "one");
    let ada = person(&stack, shared, "ada").await;
    accepted(&ada.approves(&stack, "one", &json!({"digest": PLANNED})));

    let reject = json!({"decision": "rejected", "digest": PLANNED});
    refused(&ada.approves(&stack, "one", &reject), "written once");
    let nothing = json!({"spec": {"approval": null}});
    refused(&ada.patch(&stack, "one", &nothing), "written once");
    // the administrator is no exception
    refused(&patch(&stack, "one", &nothing, &[]), "written once");
    // what leaves the approval alone passes
    accepted(&ada.patch(
        &stack,
        "one",
        &json!({"metadata": {"labels": {"team": "shop"}}}),
    ));
}

async fn the_healers_never_approve(shared: &Shared) {
    let stack = idle(shared, "healers").await;
    planned(&stack, "one");
    for healer in HEALERS {
        let name = user(SYSTEM, healer);
        for decision in ["approved", "rejected"] {
            let approval = json!({"decision": decision, "approvedBy": name, "digest": PLANNED});
            let approval = json!({"spec": {"approval": approval}});
            let answer = patch(&stack, "one", &approval, &["--as", &name]);
            refused(&answer, "own service accounts never decide");
        }
    }
}

async fn an_action_is_created_without_an_approval(shared: &Shared) {
    let stack = idle(shared, "created").await;
    let analyzer = user(SYSTEM, "kubeskippy-analyzer");
    let create = |yaml: &str, by: &str| {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let path = dir.path().join("action.yaml");
        std::fs::write(&path, yaml).expect("it can be written");
        let path = path.to_str().expect("a path is text");
        let kubectl = stack.namespace.kubectl();
        kubectl.output(&["create", "-f", path, "--as", by])
    };
    let approved = |by: &str| {
        let approval = format!("  approval: {{approvedBy: \"{by}\", digest: {PLANNED}}}\n");
        action("one", &format!("{approval}status: {{digest: {PLANNED}}}\n"))
    };
    let ada = user(stack.namespace.name(), "ada");
    // RBAC lets none but these two create actions here
    refused(
        &create(&approved(&analyzer), &analyzer),
        "never decide about an action",
    );
    let why = "created without an approval";
    refused(&stack.namespace.try_apply(&approved("admin")), why);
    refused(&create(&action("one", ""), &ada), "cannot create");
    accepted(&create(&action("one", ""), &analyzer));
}

async fn only_the_actuator_writes_the_status(shared: &Shared) {
    let stack = idle(shared, "status").await;
    planned(&stack, "one");
    let forged = json!({"status": {"digest": "6c40"}});
    let others = [
        user(stack.namespace.name(), "mallory"),
        user(SYSTEM, "kubeskippy-analyzer"),
        user(SYSTEM, "kubeskippy-collector"),
    ];
    let status = "--subresource=status";
    for other in &others {
        let answer = patch(&stack, "one", &forged, &[status, "--as", other]);
        refused(&answer, "only the actuator does");
    }
    // a person needs the verb `actuate`, which the ready roles do not hold
    stack.namespace.apply(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: eve-patches}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: status}
subjects: [{kind: User, name: eve}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: status}
rules: [{apiGroups: [kubeskippy.io], resources: [healingactions, healingactions/status], verbs: [get, patch, update]}]
",
    );
    let answer = patch(&stack, "one", &forged, &[status, "--as", "eve"]);
    refused(&answer, "only the actuator does");
    let digest = stack
        .actions()
        .await
        .remove(0)
        .status
        .and_then(|it| it.digest);
    assert_eq!(digest.as_deref(), Some(PLANNED));
}

async fn what_has_begun_or_ended_takes_no_decision(shared: &Shared) {
    let stack = idle(shared, "late").await;
    let ada = person(&stack, shared, "ada").await;
    for (name, phase) in [("begun", "InProgress"), ("ended", "Cancelled")] {
        planned(&stack, name);
        put_in(&stack, name, phase);
        for decision in ["approved", "rejected"] {
            let late = json!({"decision": decision, "digest": PLANNED});
            let answer = ada.approves(&stack, name, &late);
            refused(&answer, &format!("the action is {phase}"));
        }
        let (code, words) = ada.runs(&stack, &["approve", name, "--yes"]);
        assert_eq!(code, Some(1), "{words}");
        assert!(
            words.contains(&format!("nothing to decide about {name}")),
            "{words}"
        );
    }
    let (_, words) = ada.runs(&stack, &["approve", "nowhere", "--yes"]);
    assert!(
        words.contains("there is no HealingAction nowhere"),
        "{words}"
    );
}

/// A sick pod under a manual policy, up to the action that waits; and its name.
async fn asking<'a>(shared: &'a Shared, name: &str, more: &str) -> (Stack<'a>, String) {
    let stack = sick_under(shared, name, more).await;
    admit(&stack);
    let action = stack.action_in(Phase::AwaitingApproval, JUDGED).await;
    let name = action.metadata.name.expect("a name");
    (stack, name)
}

async fn a_plain_patch_lets_the_action_proceed(shared: &Shared) {
    let (stack, name) = asking(shared, "patched", "").await;
    let ada = person(&stack, shared, "ada").await;
    let kubectl = stack.namespace.kubectl().as_user(&ada.config);
    let path = "jsonpath={.status.digest}";
    let digest = kubectl.ok(&["get", "healingaction", &name, "-o", path]);
    accepted(&ada.approves(&stack, &name, &json!({"digest": digest})));
    assert_healed(&stack, &name, &ada).await;
}

async fn the_command_lets_the_action_proceed(shared: &Shared) {
    let (stack, name) = asking(shared, "command", "").await;
    let ada = person(&stack, shared, "ada").await;
    let bo = person(&stack, shared, "bo").await;

    let (code, words) = ada.runs(&stack, &["waiting"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains(&name) && words.contains("high-memory:"),
        "{words}"
    );
    let (code, words) = bo.runs(&stack, &["approve", &name, "--yes"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("lacks the verb approve"), "{words}");
    let (code, words) = ada.runs(&stack, &["approve", &name]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("there is no terminal to ask on"), "{words}");

    let reason = ["--reason", "the leak is known"];
    let (code, words) = ada.runs(
        &stack,
        &[&["approve", &name, "--yes"][..], &reason].concat(),
    );
    assert_eq!(code, Some(0), "{words}");
    for part in ["plan     evict", "digest", "high-memory", "approved as"] {
        assert!(words.contains(part), "{part} is missing from {words}");
    }
    let done = assert_healed(&stack, &name, &ada).await;
    let approval = done.spec.approval.expect("an approval");
    assert_eq!(approval.reason.as_deref(), Some("the leak is known"));
    let (_, words) = ada.runs(&stack, &["waiting"]);
    assert!(words.contains("Nothing waits"), "{words}");
}

/// Waits until the action is done, and sees whose word it was.
async fn assert_healed(stack: &Stack<'_>, name: &str, by: &Person) -> HealingAction {
    let done = stack.action_in(Phase::Succeeded, JUDGED).await;
    assert_eq!(done.metadata.name.as_deref(), Some(name));
    let approval = done.spec.approval.as_ref().expect("an approval");
    assert_eq!(approval.approved_by, by.name);
    done
}

async fn the_command_rejects(shared: &Shared) {
    let (stack, name) = asking(shared, "no", "").await;
    let before = stack.pod_uids("app=full").await;
    let ada = person(&stack, shared, "ada").await;
    let (code, words) = ada.runs(&stack, &["reject", &name, "--yes"]);
    assert_eq!(
        code,
        Some(2),
        "a no without a reason is no command: {words}"
    );
    let reason = ["--reason", "load test until noon"];
    let (code, words) = ada.runs(&stack, &[&["reject", &name, "--yes"][..], &reason].concat());
    assert_eq!(code, Some(0), "{words}");
    let done = stack.action_in(Phase::Denied, JUDGED).await;
    let status = done.status.expect("a status");
    assert_eq!(status.reason.as_deref(), Some("Rejected"));
    let message = status.message.unwrap_or_default();
    assert!(message.contains("load test until noon"), "{message}");
    assert_eq!(stack.pod_uids("app=full").await, before);
}

async fn what_nobody_approves_expires(shared: &Shared) {
    let rules = "  safetyRules: {approvalTimeout: 5s}\n";
    let stack = sick_under(shared, "expires", rules).await;
    admit(&stack);
    let ended = stack.action_in(Phase::Cancelled, JUDGED).await;
    let status = ended.status.as_ref().expect("a status");
    assert_eq!(status.reason.as_deref(), Some("ApprovalTimeout"));
    let name = ended.metadata.name.expect("a name");
    let ada = person(&stack, shared, "ada").await;
    let late = json!({"digest": status.digest});
    refused(
        &ada.approves(&stack, &name, &late),
        "the action is Cancelled",
    );
    let (code, words) = ada.runs(&stack, &["approve", &name, "--yes"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("has expired"), "{words}");
}
