//! A case in which everything is well, for tests to spoil.
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    action::{HealingActionSpec, HealingActionStatus, Phase, TargetResource, TriggerReading},
    object::Owner,
    observation::{Observation, Reading},
    operator::Operator,
    policy::{Action, HealingPolicySpec, Mode, Remedy, SafetyRules, Selector, Severity},
    step::Step,
    target::Target,
};
use serde_json::json;

use crate::{
    object::{Object, Workload},
    plan::plan,
    snapshot::{Fleet, Limits, Past, Policy, Population, Snapshot, Subject},
    webhook::address::Rules,
};

/// 2030-01-01T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_893_499_200, 0);

pub(crate) fn named_action(name: &str, kind: Remedy) -> Action {
    Action {
        name: name.to_owned(),
        kind,
        ..Action::default()
    }
}

fn target(kind: &str, name: &str, uid: &str) -> Target {
    let api_version = if kind == "Pod" { "v1" } else { "apps/v1" };
    Target {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

fn owned_by(kind: &str, name: &str, uid: &str) -> Owner {
    Owner {
        api_version: "apps/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

/// A ready pod of the Deployment `web`, an hour old.
pub(crate) fn pod(name: &str, uid: &str) -> Object {
    Object {
        target: target("Pod", name, uid),
        resource_version: "7".to_owned(),
        created_at: Some(NOW - SignedDuration::from_hours(1)),
        terminating: false,
        due_at: None,
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        annotations: BTreeMap::new(),
        managers: Vec::new(),
        controller: Some(owned_by("ReplicaSet", "web-abc", "rs-uid")),
        ready: true,
        workload: None,
        content: Arc::new(json!({"metadata": {}})),
    }
}

/// A snapshot in which `action` is to be done to `target`.
pub(crate) fn acting(action: Action, target: Object) -> Snapshot {
    let mut snapshot = snapshot();
    let wanted = &mut snapshot.action.spec.target_resource;
    wanted.kind.clone_from(&target.target.kind);
    wanted.name.clone_from(&target.target.name);
    wanted.uid = Some(target.target.uid.clone());
    snapshot.action.spec.action = action;
    snapshot.target = Some(target);
    snapshot
}

/// A settled workload with two replicas.
pub(crate) fn workload(kind: &str, name: &str, uid: &str) -> Object {
    Object {
        target: target(kind, name, uid),
        controller: None,
        ready: false,
        labels: BTreeMap::new(),
        workload: Some(Workload {
            desired: 2,
            ready: 2,
            settled: true,
            rollout_takes: 0,
            selector: None,
        }),
        ..pod(name, uid)
    }
}

/// An action that began at `started` on the same target, and is under way.
pub(crate) fn past(uid: &str, started: Timestamp) -> Past {
    Past {
        uid: uid.to_owned(),
        namespace: "shop".to_owned(),
        policy: "leaks".to_owned(),
        target_uid: Some("uid-1".to_owned()),
        owner_uid: Some("web-uid".to_owned()),
        offender_uid: Some("uid-1".to_owned()),
        phase: Phase::InProgress,
        started_at: Some(started),
        finished_at: None,
    }
}

/// An action on the same target that ended at `finished` in `phase`, half a minute after it began.
pub(crate) fn ended(phase: Phase, finished: Timestamp) -> Past {
    Past {
        phase,
        finished_at: Some(finished),
        ..past("ended", finished - SignedDuration::from_secs(30))
    }
}

fn policy() -> Policy {
    let trigger = json!({
        "name": "high-memory", "type": "metric",
        "metricTrigger": {"query": "memory_usage_percent", "threshold": 85.0},
    });
    let selector = json!({"labelSelector": {"matchLabels": {"app": "web"}}});
    let selector: Selector = serde_json::from_value(selector).unwrap();
    Policy {
        namespace: "shop".to_owned(),
        name: "leaks".to_owned(),
        uid: "policy-uid".to_owned(),
        deleting: false,
        spec: HealingPolicySpec {
            selector,
            triggers: vec![serde_json::from_value(trigger).unwrap()],
            actions: vec![named_action("restart-pods", Remedy::Restart)],
            safety_rules: SafetyRules::default(),
            mode: Mode::Automatic,
            ai: None,
            objective: None,
        },
    }
}

fn observation(pod: &Object, value: f64, at: Timestamp) -> Observation {
    Observation {
        policy_uid: "policy-uid".to_owned(),
        trigger: "high-memory".to_owned(),
        evaluated_at: at,
        operator: Operator::Above,
        threshold: 85.0,
        readings: vec![Reading {
            target: pod.target.clone(),
            created_at: pod.created_at,
            value: Some(value),
            sampled_at: Some(at),
            breaching: value > 85.0,
            ready: true,
        }],
    }
}

fn subject() -> Subject {
    Subject {
        namespace: "shop".to_owned(),
        name: "leaks-1".to_owned(),
        uid: "action-uid".to_owned(),
        created_at: Some(NOW),
        generation: Some(1),
        approved_at: None,
        spec: HealingActionSpec {
            policy_name: "leaks".to_owned(),
            target_resource: TargetResource {
                kind: "Pod".to_owned(),
                name: "web-1".to_owned(),
                uid: Some("uid-1".to_owned()),
                ..TargetResource::default()
            },
            action: named_action("restart-pods", Remedy::Restart),
            trigger: Some(TriggerReading {
                name: "high-memory".to_owned(),
                severity: Severity::Warning,
                reading: "90 > 85".to_owned(),
                value: Some(90.0),
                threshold: Some(85.0),
                operator: Some(Operator::Above),
                offender_kind: None,
                offender_name: None,
                offender_uid: None,
                since: NOW - SignedDuration::from_secs(60),
                fired_at: NOW - SignedDuration::from_secs(30),
            }),
            diagnosis: None,
            dry_run: false,
            approval: None,
            feedback: Vec::new(),
        },
        status: HealingActionStatus::default(),
    }
}

/// A leaking pod of a Deployment, and an action that every guard allows.
pub(crate) fn snapshot() -> Snapshot {
    let pod = pod("web-1", "uid-1");
    Snapshot {
        action: subject(),
        policy: Some(policy()),
        observation: Some(observation(&pod, 90.0, NOW)),
        target: Some(pod.clone()),
        owners: vec![
            workload("ReplicaSet", "web-abc", "rs-uid"),
            workload("Deployment", "web", "web-uid"),
        ],
        offender: None,
        pods: vec![pod, self::pod("web-2", "uid-2")],
        namespace_marks: BTreeMap::new(),
        autoscaler: None,
        touched: Vec::new(),
        revisions: Vec::new(),
        node_pods: Vec::new(),
        fleet: Fleet::default(),
        history: Vec::new(),
        population: Population {
            namespace: 100,
            cluster: 1000,
        },
        acting_since: Some(NOW - SignedDuration::from_hours(1)),
        paused: None,
        limits: Limits {
            system_namespace: "kubeskippy-system".to_owned(),
            cluster_per_hour: 60,
            namespace_per_hour: 30,
            storm_percent: 30,
            storm_pods: 10,
            storm_quiet: SignedDuration::from_mins(5),
            node_percent: 10,
            warmup: SignedDuration::from_secs(15),
            hanging: SignedDuration::from_mins(5),
            webhooks: Rules::default(),
        },
    }
}

/// The same after the eviction: a new pod took the old one's place, and is well.
pub(crate) fn executed() -> Snapshot {
    let mut snapshot = snapshot();
    let at = NOW - SignedDuration::from_secs(30);
    snapshot.action.status = HealingActionStatus {
        phase: Phase::Verifying,
        target_uid: Some("uid-1".to_owned()),
        owner: Some("Deployment/web".to_owned()),
        owner_uid: Some("web-uid".to_owned()),
        started_at: Some(at),
        executed_at: Some(at),
        plan: vec![Step {
            called_at: Some(at),
            done_at: Some(at),
            ..plan(&snapshot).unwrap().steps.remove(0)
        }],
        ..HealingActionStatus::default()
    };
    let mut fresh = pod("web-9", "uid-9");
    fresh.created_at = Some(at);
    snapshot.target = None;
    snapshot.observation = Some(observation(&fresh, 20.0, NOW));
    snapshot.pods = vec![fresh];
    snapshot
}
