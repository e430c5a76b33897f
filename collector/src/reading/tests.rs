use proptest::prelude::*;
use schemas::object::Replicas;
use serde_json::{Value, json};

use super::*;

mod pods;
mod stands_on;

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn read_pod(pod: Value) -> ObjectState {
    pod::read(&serde_json::from_value(pod).unwrap(), now())
}

#[test]
fn a_pod_that_was_not_scheduled_yet_is_told() {
    let state = read_pod(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"containers": [{"name": "a"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    }));
    assert_eq!(
        state.condition("PodScheduled").unwrap().reason,
        "Unschedulable"
    );
    assert_eq!(state.pod.unwrap().node, "");
}

#[test]
fn only_the_controlling_owner_counts() {
    let owner = |name: &str, controller: bool| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": name, "controller": controller});
    let state = read_pod(
        json!({"metadata": {"name": "p", "ownerReferences": [owner("x", false), owner("y", true)]}, "spec": {}}),
    );
    let names: Vec<_> = state
        .owners
        .iter()
        .map(|owner| owner.name.as_str())
        .collect();
    assert_eq!(names, ["y"]);
}

#[test]
fn workloads_tell_their_replicas_each_in_its_own_words() {
    let read = |kind, object: Value| {
        workload::read(kind, &serde_json::from_value(object).unwrap(), now()).replicas
    };
    let counts = |desired, current, ready, updated, observed| {
        Some(Replicas {
            desired,
            current,
            ready,
            updated,
            observed,
        })
    };
    let deployment = json!({"metadata": {"generation": 3}, "spec": {"replicas": 4, "selector": {"matchLabels": {"a": "b"}}},
        "status": {"observedGeneration": 2, "replicas": 5, "readyReplicas": 3, "updatedReplicas": 1}});
    assert_eq!(
        read(Kind::Deployment, deployment),
        counts(4, 5, 3, 1, false)
    );
    let daemons = json!({"metadata": {"generation": 2}, "spec": {}, "status": {"observedGeneration": 2,
        "desiredNumberScheduled": 9, "currentNumberScheduled": 8, "numberReady": 7, "updatedNumberScheduled": 6}});
    assert_eq!(read(Kind::DaemonSet, daemons), counts(9, 8, 7, 6, true));
    let job = json!({"metadata": {}, "spec": {"parallelism": 2}, "status": {"active": 1, "ready": 1, "uncountedTerminatedPods": {}}});
    assert_eq!(read(Kind::Job, job), counts(2, 1, 1, 1, true));
}

#[test]
fn a_budget_that_uses_expressions_claims_no_labels() {
    let read = |selector: Value| {
        let object = json!({"metadata": {}, "spec": {"selector": selector}, "status": {"disruptionsAllowed": 1}});
        budget::read(&serde_json::from_value(object).unwrap(), now())
            .budget
            .unwrap()
    };
    assert_eq!(
        read(json!({"matchLabels": {"a": "b"}})).match_labels.len(),
        1
    );
    let narrowed = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]});
    assert!(read(narrowed).match_labels.is_empty());
}

#[test]
fn an_autoscaler_tells_what_it_scales() {
    let object = json!({"metadata": {}, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 7},
        "status": {"desiredReplicas": 3, "conditions": null}});
    let read = autoscaler::read(&serde_json::from_value(object).unwrap(), now());
    let state = read.autoscaler.unwrap();
    assert_eq!(
        (
            state.scales_name.as_str(),
            state.min_replicas,
            state.max_replicas,
            state.desired_replicas
        ),
        ("web", 1, 7, 3)
    );
}

fn read_event(event: Value) -> event::EventReading {
    event::read(&serde_json::from_value(event).unwrap()).unwrap()
}

#[test]
fn an_event_tells_its_count_and_times_wherever_they_stand() {
    let meta = json!({"name": "e", "namespace": "n", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"});
    let legacy = read_event(
        json!({"metadata": meta, "deprecatedCount": 7, "deprecatedFirstTimestamp": "2026-01-01T00:00:01Z",
        "deprecatedLastTimestamp": "2026-01-01T00:00:09Z", "deprecatedSource": {"component": "kubelet"}, "reportingController": "", "note": "n", "reason": "r", "type": "Warning"}),
    );
    assert_eq!(
        (legacy.event.count, legacy.event.reporter.as_str()),
        (7, "kubelet")
    );
    assert_eq!(
        legacy.event.occurred_at.as_second() - legacy.began_at.as_second(),
        8
    );
    let series = read_event(
        json!({"metadata": meta, "eventTime": "2026-01-01T00:00:02.000000Z",
        "series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:05.000000Z"}}),
    );
    assert_eq!(series.event.count, 3);
    assert_eq!(
        series.event.occurred_at.as_second() - series.began_at.as_second(),
        3
    );
    let single = read_event(json!({"metadata": meta, "eventTime": "2026-01-01T00:00:02.000000Z"}));
    assert_eq!(single.event.count, 1, "no count means once");
}

proptest! {
    #[test]
    fn a_text_is_cut_between_characters(text in ".{0,600}", most in 0usize..1200) {
        let kept = cut(&text, most);
        prop_assert!(kept.len() <= most && text.starts_with(&kept));
        prop_assert!(kept.len() + 4 > most.min(text.len()));
    }

    #[test]
    fn no_text_in_an_event_breaks_it_or_its_bounds(note in "(?s).{0,3000}", reason in ".{0,300}", name in ".{0,3000}", count in any::<i32>()) {
        let read = read_event(json!({"metadata": {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "note": note, "reason": reason, "regarding": {"name": name}, "deprecatedCount": count}));
        prop_assert!(read.event.note.len() <= 1024 && read.event.regarding.name.len() <= 1024);
        prop_assert!(read.event.count >= 1);
        let json = serde_json::to_vec(&read.event).unwrap();
        let back: schemas::cluster_event::ClusterEvent = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(back, read.event);
    }

    #[test]
    fn no_quantity_breaks_a_pod(limit in ".*", label in ".*") {
        let state = read_pod(json!({"metadata": {"name": "p", "labels": {"l": label.clone()}},
            "spec": {"containers": [{"name": "a", "resources": {"limits": {"memory": limit}}}]}}));
        prop_assert_eq!(state.labels.get("l"), Some(&label));
        let back: ObjectState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        prop_assert_eq!(back.target, state.target);
    }
}
