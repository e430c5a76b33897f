//! What pods stand on: claims, quotas, Services, nodes; and the revisions of workloads.

use std::collections::BTreeMap;

use schemas::object::{ClaimState, JobState, ServiceState};

use super::*;
use crate::reading::template::DigestKey;

fn parse<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

fn numbers(of: &[(&str, f64)]) -> BTreeMap<String, f64> {
    of.iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect()
}

#[test]
fn a_claim_tells_its_phase_and_class() {
    let read = |object| claim::read(&parse(object), now()).claim.unwrap();
    let bound = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": "pv-1",
        "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    let state = |phase: &str, class: &str| ClaimState {
        phase: phase.to_owned(),
        storage_class: class.to_owned(),
    };
    assert_eq!(read(bound), state("Bound", "fast"));
    assert_eq!(
        read(json!({"metadata": {}, "spec": {}})),
        state("Pending", "")
    );
}

#[test]
fn a_quota_tells_what_is_enforced_in_base_units() {
    let object = json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "99"}},
        "status": {"hard": {"limits.memory": "2Gi", "pods": "10", "requests.cpu": "1500m", "odd": "?"}, "used": {"limits.memory": "512Mi", "pods": "3"}}});
    let quota = quota::read(&parse(object), now()).quota.unwrap();
    let hard = [
        ("limits.memory", 2_147_483_648.0),
        ("pods", 10.0),
        ("requests.cpu", 1.5),
    ];
    assert_eq!(quota.hard, numbers(&hard));
    let used = [("limits.memory", 536_870_912.0), ("pods", 3.0)];
    assert_eq!(quota.used, numbers(&used));
    let new = quota::read(
        &parse(json!({"metadata": {}, "spec": {}, "status": {}})),
        now(),
    );
    assert!(new.quota.unwrap().hard.is_empty());
}

#[test]
fn a_service_tells_whom_it_selects() {
    let object = json!({"metadata": {"name": "web", "namespace": "n"}, "spec": {"clusterIP": "10.0.0.1", "selector": {"app": "web"},
        "ports": [{"port": 80}]}, "status": {"loadBalancer": {}}});
    let service = service::read(&parse(object), now()).service.unwrap();
    assert_eq!(service.selector["app"], "web");
    let by_hand = json!({"metadata": {}, "spec": {"type": "ExternalName", "externalName": "x"}, "status": {"loadBalancer": {}}});
    let service = service::read(&parse(by_hand), now()).service.unwrap();
    assert_eq!(service, ServiceState::default());
}

#[test]
fn a_slice_counts_its_endpoints_and_not_those_that_end() {
    let object = json!({"metadata": {"name": "web-x", "namespace": "n", "labels": {"kubernetes.io/service-name": "web", "app": "web"}},
        "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false}},
            {"addresses": ["10.0.0.2"], "conditions": {}}, {"addresses": ["10.0.0.3"]},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.5"], "conditions": {"ready": false, "serving": true, "terminating": true}}]});
    let state = endpoints::read(&parse(object), now());
    let counted = state.service.unwrap();
    assert_eq!((counted.ready, counted.not_ready), (3, 1));
    assert_eq!(state.labels.len(), 2);
    assert_eq!(state.labels[endpoints::SERVICE], "web");
    let empty = json!({"metadata": {}, "addressType": "IPv4", "endpoints": null, "ports": null});
    let counted = endpoints::read(&parse(empty), now()).service.unwrap();
    assert_eq!((counted.ready, counted.not_ready), (0, 0));
}

#[test]
fn a_job_tells_what_became_of_its_pods() {
    let object = json!({"metadata": {"name": "import"}, "spec": {"backoffLimit": 2, "parallelism": 1},
        "status": {"failed": 3, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {},
            "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}});
    let state = workload::read(Kind::Job, &parse(object), now());
    let expected = JobState {
        active: 0,
        succeeded: 0,
        failed: 3,
        backoff_limit: 2,
    };
    assert_eq!(state.job, Some(expected));
    assert!(
        state
            .condition("Failed")
            .unwrap()
            .message
            .contains("backoff limit")
    );
    let deployment = json!({"metadata": {}, "spec": {}, "status": {}});
    assert_eq!(
        workload::read(Kind::Deployment, &parse(deployment), now()).job,
        None
    );
}

#[test]
fn a_node_tells_its_taints_in_order() {
    let object = json!({"metadata": {"name": "node-1"}, "spec": {"unschedulable": true, "taints": [
            {"key": "own", "value": "x", "effect": "NoSchedule"}, {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]},
        "status": {"allocatable": {"cpu": "4", "memory": "1Gi"}, "conditions": [
            {"type": "MemoryPressure", "status": "True", "reason": "KubeletHasInsufficientMemory", "message": "kubelet has insufficient memory available"},
            {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}]}});
    let state = node::read(&parse(object), now());
    let taints = state.node.as_ref().unwrap().taints.iter();
    let spelt: Vec<_> = taints
        .map(|taint| format!("{}:{}", taint.key, taint.effect))
        .collect();
    assert_eq!(
        spelt,
        ["node.kubernetes.io/not-ready:NoExecute", "own:NoSchedule"]
    );
    assert!(
        state
            .condition("MemoryPressure")
            .unwrap()
            .message
            .contains("insufficient")
    );
    assert_eq!(state.condition("Ready").unwrap().message, "", "no trouble");
}

#[test]
fn an_autoscaler_tells_how_many_replicas_there_are_and_what_limits_it() {
    let object = json!({"metadata": {}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 7},
        "status": {"currentReplicas": 6, "desiredReplicas": 7, "conditions": [
            {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "fine"},
            {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas", "message": "more than the maximum replica count"}]}});
    let state = autoscaler::read(&parse(object), now());
    assert_eq!(state.autoscaler.as_ref().unwrap().current_replicas, 6);
    assert!(
        state
            .condition("ScalingLimited")
            .unwrap()
            .message
            .contains("maximum")
    );
    assert_eq!(state.condition("AbleToScale").unwrap().message, "");
}

#[test]
fn a_message_is_told_only_with_trouble_and_cut() {
    let read = |kind: &str, status: &str| {
        let condition: Condition =
            parse(json!({"type": kind, "status": status, "message": "m".repeat(600)}));
        conditions(&[condition])[0].message.len()
    };
    for (kind, status) in [
        ("Ready", "False"),
        ("Ready", "Unknown"),
        ("DiskPressure", "True"),
        ("ReplicaFailure", "True"),
        ("Progressing", "False"),
        ("my.gate/x", "False"),
    ] {
        assert_eq!(read(kind, status), 512, "{kind}={status}");
    }
    for (kind, status) in [
        ("Ready", "True"),
        ("DiskPressure", "False"),
        ("ReplicaFailure", "False"),
        ("Complete", "True"),
        ("Suspended", "False"),
    ] {
        assert_eq!(read(kind, status), 0, "{kind}={status}");
    }
}

fn owned(kind: &str) -> Value {
    json!([{"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": "web-uid", "controller": true}])
}

#[test]
fn a_replica_set_is_a_revision_of_its_deployment() {
    let set = |annotations: Value, image: &str| {
        let object = json!({"metadata": {"name": "web-1", "namespace": "n", "uid": "set", "annotations": annotations,
                "labels": {"app": "web", "pod-template-hash": "abc"}, "ownerReferences": owned("Deployment")},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}},
                "spec": {"containers": [{"name": "app", "image": image, "env": [{"name": "A", "value": "hush"}]}]}}},
            "status": {"replicas": 3, "readyReplicas": 2, "observedGeneration": 1}});
        revision::read_set(&parse(object), &DigestKey::new("k"), now())
    };
    let state = set(
        json!({"deployment.kubernetes.io/revision": "4", "deployment.kubernetes.io/desired-replicas": "3"}),
        "web:2",
    );
    let told = state.revision.as_ref().unwrap();
    assert_eq!(
        (told.number, told.hash.as_str(), told.replicas, told.ready),
        (4, "abc", Some(3), Some(2))
    );
    assert_eq!(told.template["containers[app].image"], "web:2");
    assert_eq!(
        (state.owners[0].kind.as_str(), state.labels.len()),
        ("Deployment", 0)
    );
    assert!(!serde_json::to_string(&state).unwrap().contains("hush"));
    assert_eq!(
        set(json!({}), "web:2").revision,
        None,
        "no Deployment counts it"
    );
    assert_eq!(
        set(json!({"deployment.kubernetes.io/revision": "x"}), "web:2").revision,
        None
    );
}

#[test]
fn a_controller_revision_is_a_revision_of_its_owner_and_the_pods_tell_which() {
    let read = |kind: &str, data: Value| {
        let object = json!({"metadata": {"name": "web-5d4", "labels": {"controller-revision-hash": "5d4"}, "ownerReferences": owned(kind)},
            "revision": 2, "data": data});
        revision::read(&parse(object), &DigestKey::new("k"), now()).revision
    };
    let data = json!({"spec": {"template": {"$patch": "replace", "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "web:1"}]}}}});
    let of_set = read("StatefulSet", data.clone()).unwrap();
    assert_eq!(
        (of_set.number, of_set.hash.as_str(), of_set.ready),
        (2, "web-5d4", None)
    );
    assert_eq!(of_set.template["containers[app].image"], "web:1");
    assert_eq!(read("DaemonSet", data.clone()).unwrap().hash, "5d4");
    assert_eq!(read("VirtualMachine", data), None);
    for odd in [
        json!(null),
        json!("text"),
        json!([1]),
        json!({"spec": "hush"}),
        json!({"spec": {"template": 7}}),
    ] {
        assert!(read("StatefulSet", odd).unwrap().template.is_empty());
    }
}
