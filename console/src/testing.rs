//! An action as the tests of this crate need it.

use jiff::{SignedDuration, Timestamp};
use schemas::action::{GuardVerdict, HealingAction, HealingActionSpec, HealingActionStatus, Phase};
use serde_json::json;

/// Noon.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_767_268_800, 0);

/// An action called `name` that waits for a person for half an hour more.
pub(crate) fn waiting(name: &str) -> HealingAction {
    let spec: HealingActionSpec = serde_json::from_value(json!({
        "policyName": "memory",
        "targetResource": {"kind": "Pod", "name": "web-1"},
        "action": {"name": "replace", "type": "restart"},
        "trigger": {
            "name": "high-memory", "severity": "critical", "reading": "97.6 > 85",
            "since": "2026-01-01T11:50:00Z", "firedAt": "2026-01-01T11:55:00Z",
        },
    }))
    .unwrap();
    let mut action = HealingAction::new(name, spec);
    action.metadata.namespace = Some("shop".to_owned());
    action.status = Some(HealingActionStatus {
        phase: Phase::AwaitingApproval,
        target: Some("Pod/web-1".to_owned()),
        owner: Some("Deployment/web".to_owned()),
        digest: Some("abc".to_owned()),
        plan: vec![
            serde_json::from_value(json!({
                "call": "evict Pod/web-1", "verb": "Evict",
                "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "u"},
            }))
            .unwrap(),
        ],
        verdicts: vec![GuardVerdict {
            guard: "approval".to_owned(),
            verdict: "Await".to_owned(),
            reason: None,
            message: None,
            until: Some(NOW + SignedDuration::from_mins(30)),
        }],
        ..HealingActionStatus::default()
    });
    action
}
