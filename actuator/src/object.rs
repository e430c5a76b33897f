//! A Kubernetes object as the guards, the planner and verification see it.
//!
//! In: an object as the API server returned it. Out: its identity, labels,
//! owner, and, for pods and workloads, readiness. A field that is absent reads
//! as "not ready", never as "well".
//!
//! Pure: no IO, no clock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ManagedFieldsEntry};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta};
use schemas::{object::Owner, target::Target};
use serde_json::{Map, Value};

/// One object, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which object.
    pub target: Target,
    /// The version that was read; a write may demand that it still holds.
    pub resource_version: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Whether its deletion has begun.
    pub terminating: bool,
    /// When its deletion was to be done: when it was asked for, and the grace that was given.
    pub due_at: Option<Timestamp>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who set which of its fields.
    pub managers: Vec<Manager>,
    /// Its controlling owner.
    pub controller: Option<Owner>,
    /// For a pod: whether its `Ready` condition is true.
    pub ready: bool,
    /// For a workload: its replicas.
    pub workload: Option<Workload>,
    /// The object as JSON: labels, annotations and finalizers under `metadata`, and all that is not metadata.
    pub content: Arc<Value>,
}

/// Who set some of an object's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Manager {
    /// The name that it goes by.
    pub name: String,
    /// Which fields, as `managedFields` spells them.
    pub fields: Value,
}

/// The replicas of a workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Wanted by the spec.
    pub desired: i32,
    /// Ready.
    pub ready: i32,
    /// Whether the controller has seen the newest spec and brought every replica to it.
    pub settled: bool,
    /// How many of its replicas a rollout may take away at once.
    pub rollout_takes: i32,
    /// Which pods are its own.
    pub selector: Option<LabelSelector>,
}

impl Object {
    /// Reads an object of `kind` as the API server returned it.
    pub fn read(kind: &ApiResource, object: DynamicObject) -> Self {
        let DynamicObject {
            metadata,
            data,
            types: _,
        } = object;
        let controller = controller(&metadata);
        let managers = managers(&metadata);
        let generation = metadata.generation;
        let content = content(&metadata, &data);
        Self {
            target: Target {
                api_version: kind.api_version.clone(),
                kind: kind.kind.clone(),
                namespace: metadata.namespace.unwrap_or_default(),
                name: metadata.name.unwrap_or_default(),
                uid: metadata.uid.unwrap_or_default(),
            },
            resource_version: metadata.resource_version.unwrap_or_default(),
            created_at: metadata.creation_timestamp.map(|time| time.0),
            terminating: metadata.deletion_timestamp.is_some(),
            due_at: metadata.deletion_timestamp.map(|time| time.0),
            managers,
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            controller,
            ready: is_ready(&data),
            workload: Workload::read(&kind.kind, &data, generation),
            content: Arc::new(content),
        }
    }

    /// `Kind/name`, as the status shows it.
    pub fn title(&self) -> String {
        format!("{}/{}", self.target.kind, self.target.name)
    }
}

/// The object with the part of its metadata that can be changed.
fn content(metadata: &ObjectMeta, data: &Value) -> Value {
    let mut kept = Map::new();
    let parts = [
        ("labels", serde_json::to_value(&metadata.labels)),
        ("annotations", serde_json::to_value(&metadata.annotations)),
        ("finalizers", serde_json::to_value(&metadata.finalizers)),
        (
            "ownerReferences",
            serde_json::to_value(&metadata.owner_references),
        ),
    ];
    for (name, part) in parts {
        if let Some(part) = part.ok().filter(|part| !part.is_null()) {
            kept.insert(name.to_owned(), part);
        }
    }
    let mut content = data.as_object().cloned().unwrap_or_default();
    content.insert("metadata".to_owned(), Value::Object(kept));
    Value::Object(content)
}

fn controller(metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some(Owner {
        api_version: owner.api_version.clone(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
    })
}

fn managers(metadata: &ObjectMeta) -> Vec<Manager> {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let read = |entry: &ManagedFieldsEntry| {
        let name = entry.manager.clone()?;
        let fields = entry.fields_v1.clone()?.0;
        Some(Manager { name, fields })
    };
    entries.iter().filter_map(read).collect()
}

fn is_ready(data: &Value) -> bool {
    let conditions = data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}

impl Workload {
    fn read(kind: &str, data: &Value, generation: Option<i64>) -> Option<Self> {
        let number = |path: &str| {
            let value = data.pointer(path).and_then(Value::as_i64);
            value.and_then(|value| i32::try_from(value).ok())
        };
        let count = |path: &str| number(path).unwrap_or(0);
        let seen = data
            .pointer("/status/observedGeneration")
            .and_then(Value::as_i64);
        let observed = seen >= generation;
        let (desired, ready, complete) = match kind {
            "Deployment" => {
                let desired = number("/spec/replicas").unwrap_or(1);
                let updated = count("/status/updatedReplicas");
                let all_new = updated >= desired && count("/status/replicas") <= updated;
                (desired, count("/status/readyReplicas"), all_new)
            }
            "ReplicaSet" => (
                number("/spec/replicas").unwrap_or(1),
                count("/status/readyReplicas"),
                true,
            ),
            "StatefulSet" => {
                let desired = number("/spec/replicas").unwrap_or(1);
                (
                    desired,
                    count("/status/readyReplicas"),
                    is_stateful_complete(data, desired),
                )
            }
            "DaemonSet" => {
                let desired = count("/status/desiredNumberScheduled");
                let by_hand = data
                    .pointer("/spec/updateStrategy/type")
                    .and_then(Value::as_str)
                    == Some("OnDelete");
                let updated = count("/status/updatedNumberScheduled") >= desired;
                (desired, count("/status/numberReady"), by_hand || updated)
            }
            _ => return None,
        };
        let selector = data.pointer("/spec/selector").cloned();
        Some(Self {
            desired,
            ready,
            settled: observed && complete,
            rollout_takes: rollout_takes(kind, data, desired),
            selector: selector.and_then(|value| serde_json::from_value(value).ok()),
        })
    }
}

/// How many replicas a rollout takes away at once, by the kind's own rules: a
/// Deployment rounds its share down, and takes one when it may neither take nor add any.
fn rollout_takes(kind: &str, data: &Value, desired: i32) -> i32 {
    let text = |path: &str| data.pointer(path).and_then(Value::as_str);
    match kind {
        "Deployment" if text("/spec/strategy/type") == Some("Recreate") => desired,
        "Deployment" => {
            let rules = data.pointer("/spec/strategy/rollingUpdate");
            let of = |name: &str| rules.and_then(|rules| rules.get(name));
            let takes = share(of("maxUnavailable"), desired, false).unwrap_or(desired / 4);
            let adds = share(of("maxSurge"), desired, true).unwrap_or(1);
            if takes == 0 && adds == 0 { 1 } else { takes }
        }
        _ if text("/spec/updateStrategy/type") == Some("OnDelete") => 0,
        "StatefulSet" | "DaemonSet" => {
            let rules = data.pointer("/spec/updateStrategy/rollingUpdate");
            let of = |name: &str| rules.and_then(|rules| rules.get(name));
            share(of("maxUnavailable"), desired, true).unwrap_or(1)
        }
        _ => 0,
    }
}

/// A number, or a percentage of `whole`, as Kubernetes writes either.
fn share(value: Option<&Value>, whole: i32, up: bool) -> Option<i32> {
    let value = value?;
    if let Some(number) = value.as_i64() {
        return i32::try_from(number).ok();
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    percent_of(percent, whole, up)
}

/// So many percent of `whole`, rounded up or down.
pub fn percent_of(percent: i64, whole: i32, up: bool) -> Option<i32> {
    let part = percent.checked_mul(i64::from(whole))?;
    let part = if up {
        part.checked_add(99)? / 100
    } else {
        part / 100
    };
    i32::try_from(part).ok()
}

/// Whether a StatefulSet's rollout is complete. One that is updated by hand, or
/// in part only, is never "complete" by its counts, so it counts as settled.
fn is_stateful_complete(data: &Value, desired: i32) -> bool {
    let text = |path: &str| data.pointer(path).and_then(Value::as_str);
    let number = |path: &str| data.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    text("/spec/updateStrategy/type") == Some("OnDelete")
        || number("/spec/updateStrategy/rollingUpdate/partition") > 0
        || text("/status/currentRevision") == text("/status/updateRevision")
        || number("/status/updatedReplicas") >= i64::from(desired)
}

/// How the API server calls a kind, for the kinds that the actuator reads.
/// An unknown kind is `None`: nothing is guessed about how it is spelt.
pub fn api_resource(kind: &str) -> Option<ApiResource> {
    let (group, version, plural) = match kind {
        "Pod" => ("", "v1", "pods"),
        "Node" => ("", "v1", "nodes"),
        "Deployment" => ("apps", "v1", "deployments"),
        "StatefulSet" => ("apps", "v1", "statefulsets"),
        "DaemonSet" => ("apps", "v1", "daemonsets"),
        "ReplicaSet" => ("apps", "v1", "replicasets"),
        "ControllerRevision" => ("apps", "v1", "controllerrevisions"),
        "Job" => ("batch", "v1", "jobs"),
        "HorizontalPodAutoscaler" => ("autoscaling", "v2", "horizontalpodautoscalers"),
        "PodDisruptionBudget" => ("policy", "v1", "poddisruptionbudgets"),
        _ => return None,
    };
    let kind = GroupVersionKind::gvk(group, version, kind);
    Some(ApiResource::from_gvk_with_plural(&kind, plural))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, object: Value) -> Object {
        let kind = api_resource(kind).unwrap();
        Object::read(&kind, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_pod_without_conditions_is_not_ready() {
        let pod = read("Pod", json!({"metadata": {"name": "web-1", "uid": "u"}}));
        assert!(!pod.ready && pod.workload.is_none());
        assert_eq!(pod.title(), "Pod/web-1");
    }

    #[test]
    fn a_deployment_with_old_replicas_is_not_settled() {
        let mut object = json!({
            "metadata": {"name": "web", "uid": "u", "generation": 3},
            "spec": {"replicas": 2},
            "status": {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 2},
        });
        assert!(!read("Deployment", object.clone()).workload.unwrap().settled);
        object["status"]["replicas"] = json!(2);
        assert!(read("Deployment", object.clone()).workload.unwrap().settled);
        object["status"]["observedGeneration"] = json!(2);
        assert!(!read("Deployment", object).workload.unwrap().settled);
    }

    #[test]
    fn what_a_rollout_takes_follows_the_workloads_own_rules() {
        let takes = |kind: &str, spec: Value| {
            let object = json!({"metadata": {"name": "web"}, "spec": spec, "status": {"desiredNumberScheduled": 10}});
            read(kind, object).workload.unwrap().rollout_takes
        };
        let rolling = |takes: Value, adds: Value| {
            let rules = json!({"maxUnavailable": takes, "maxSurge": adds});
            json!({"replicas": 10, "strategy": {"type": "RollingUpdate", "rollingUpdate": rules}})
        };
        assert_eq!(takes("Deployment", rolling(json!("25%"), json!(0))), 2);
        assert_eq!(takes("Deployment", rolling(json!(0), json!(0))), 1);
        assert_eq!(takes("Deployment", rolling(json!(0), json!("10%"))), 0);
        let anew = json!({"replicas": 10, "strategy": {"type": "Recreate"}});
        assert_eq!(takes("Deployment", anew), 10);
        assert_eq!(takes("StatefulSet", json!({"replicas": 10})), 1);
        let by_hand = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(takes("DaemonSet", by_hand), 0);
        let share = json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": "25%"}}});
        assert_eq!(takes("DaemonSet", share), 3);
    }

    #[test]
    fn only_the_controlling_owner_counts() {
        let pod = read(
            "Pod",
            json!({"metadata": {"name": "a", "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "1"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "2", "controller": true},
            ]}}),
        );
        assert_eq!(pod.controller.unwrap().uid, "2");
    }
}
