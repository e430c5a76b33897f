//! What finished actions say about their policy, and how few of them are kept.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use harness::{Shared, trial, until};
use jiff::SignedDuration;
use kube::api::{Api, Patch, PatchParams, PostParams};
use libtest_mimic::Trial;
use schemas::{
    action::{HealingAction, HealingActionSpec, HealingActionStatus, Phase},
    alert::AlertKind,
    condition,
};
use serde_json::json;

use crate::{
    journal::Journal,
    stack::{Part, Stack},
};

pub(crate) fn trials(shared: &Arc<Shared>) -> Vec<Trial> {
    vec![
        trial(
            "a_policy_says_who_needs_a_person_and_what_is_healed_again_and_again",
            shared,
            a_policy_says_who_needs_a_person_and_what_is_healed_again_and_again,
        ),
        trial(
            "finished_actions_are_few_and_their_history_stays",
            shared,
            finished_actions_are_few_and_their_history_stays,
        ),
    ]
}

const POLICY: &str = "
apiVersion: kubeskippy.io/v1alpha1
kind: HealingPolicy
metadata: {name: memory}
spec:
  triggers:
  - {name: never, type: event, eventTrigger: {reason: NeverSeen, type: Warning}}
  actions:
  - {name: restart, type: restart}
";

/// How long a standing, or a removal, may take to show.
const SOON: Duration = Duration::from_secs(30);

async fn looked_after<'a>(shared: &'a Shared, name: &str) -> Stack<'a> {
    let mut stack = Stack::new(shared, name).await;
    stack.namespace.apply(POLICY);
    let more = ["--upkeep-seconds", "1", "--keep-actions", "20"];
    let actuator = stack.spawn(Part::Actuator, &more).await;
    stack.keep(Part::Actuator, actuator);
    stack.ready(Part::Actuator);
    stack
}

/// An action on a pod that is not there.
async fn ask(stack: &Stack<'_>, name: &str) {
    let spec: HealingActionSpec = serde_json::from_value(json!({
        "policyName": "memory",
        "targetResource": {"kind": "Pod", "name": "gone"},
        "action": {"name": "restart", "type": "restart"},
    }))
    .expect("a spec");
    let api: Api<HealingAction> = stack.actions_api();
    let action = HealingAction::new(name, spec);
    api.create(&PostParams::default(), &action)
        .await
        .expect("an action is created");
}

/// An action that has ended, as an actuator would have left it.
async fn ended(stack: &Stack<'_>, name: &str, status: HealingActionStatus) {
    ask(stack, name).await;
    let api: Api<HealingAction> = stack.actions_api();
    let body = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&body))
        .await
        .expect("an administrator may write a status");
}

/// What ended longer ago than an actuator looks for what nobody told.
fn on(owner: &str, phase: Phase) -> HealingActionStatus {
    let at = runtime::clock::now() - SignedDuration::from_mins(20);
    HealingActionStatus {
        phase,
        reason: Some("Recovered".to_owned()),
        owner: Some(format!("Deployment/{owner}")),
        owner_uid: Some(format!("uid-of-{owner}")),
        started_at: Some(at),
        finished_at: Some(at),
        ..HealingActionStatus::default()
    }
}

async fn a_policy_says_who_needs_a_person_and_what_is_healed_again_and_again(shared: &Shared) {
    let stack = looked_after(shared, "standing").await;
    for number in 0..3 {
        ended(
            &stack,
            &format!("failed-{number}"),
            on("sick", Phase::Failed),
        )
        .await;
        ended(
            &stack,
            &format!("healed-{number}"),
            on("leaky", Phase::Succeeded),
        )
        .await;
    }

    let status = until("the policy's standing", SOON, async || {
        let status = stack.policy("memory").await.status.unwrap_or_default();
        if status.needs_human.is_empty() || status.healing_debt.is_empty() {
            return Err(format!("{status:?}"));
        }
        Ok(status)
    })
    .await;
    assert_eq!(status.needs_human, ["Deployment/sick"]);
    assert_eq!(status.healing_debt.len(), 1);
    assert_eq!(status.healing_debt[0].owner, "Deployment/leaky");
    assert_eq!(status.healing_debt[0].heals, 3);
    assert!(condition::is_true(
        &status.conditions,
        condition::policy::NEEDS_HUMAN
    ));
    for kind in [AlertKind::PolicyNeedsHuman, AlertKind::PolicyHealingDebt] {
        stack.alert(kind, SOON).await;
    }

    // Somebody looked at it, and says so.
    let kubectl = stack.namespace.kubectl();
    kubectl.ok(&["delete", "ha", "failed-0"]);
    until("the condition to clear", SOON, async || {
        let status = stack.policy("memory").await.status.unwrap_or_default();
        let is_needed = condition::is_true(&status.conditions, condition::policy::NEEDS_HUMAN);
        if is_needed || !status.needs_human.is_empty() {
            return Err(format!("{status:?}"));
        }
        Ok(())
    })
    .await;
}

async fn finished_actions_are_few_and_their_history_stays(shared: &Shared) {
    const MANY: usize = 120;
    let stack = looked_after(shared, "expiry").await;
    // the journal's newest line is of now, so that what follows is old to the actuator
    ask(&stack, "first").await;
    until("the first action to be over and told", SOON, async || {
        let lines = Journal::of(&stack, shared.nats().url()).await.lines().await;
        (!lines.is_empty())
            .then_some(())
            .ok_or_else(|| "nothing is told".to_owned())
    })
    .await;
    let cancelled = || HealingActionStatus {
        started_at: None,
        reason: Some("TargetGone".to_owned()),
        ..on("web", Phase::Cancelled)
    };
    futures::stream::iter(0..MANY)
        .for_each_concurrent(8, |number| {
            let stack = &stack;
            async move { ended(stack, &format!("old-{number}"), cancelled()).await }
        })
        .await;
    ended(&stack, "failed", on("web", Phase::Failed)).await;

    until("twenty actions to be left", SOON * 4, async || {
        let left = stack.actions().await.len();
        if left > 21 {
            Err(format!("{left} are left"))
        } else {
            Ok(())
        }
    })
    .await;

    let left = stack.actions().await;
    let failed = left
        .iter()
        .any(|a| a.metadata.name.as_deref() == Some("failed"));
    assert!(failed, "what the strikes guard counts stays");
    stack.namespace.kubectl().ok(&["delete", "hp", "memory"]);
    let journal = Journal::of(&stack, shared.nats().url()).await;
    let told = journal.lines().await.len();
    // the first one, the failed one, and the many
    let gone = MANY + 2 - left.len();
    assert!(
        told >= gone,
        "{told} lines tell of {gone} actions that are gone"
    );
}
