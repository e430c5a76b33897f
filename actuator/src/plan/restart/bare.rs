//! A pod that nothing replaces: it is created anew from its own manifest.
//!
//! The manifest is part of the plan, which is on record before the pod is
//! touched: a crash between the two calls loses nothing.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY,
    step::{Step, Verb, Wait},
    target::Target,
};
use serde_json::{Map, Value, json};

use super::{evict, step};
use crate::{object::Object, snapshot::Snapshot};

/// Fields of a pod's spec that the cluster set, and sets again.
const SET_BY_CLUSTER: [&str; 3] = ["nodeName", "ephemeralContainers", "priority"];

/// Prefix of the token volumes that the API server adds to every pod.
const TOKEN: &str = "kube-api-access-";

/// Evicts the pod, so that disruption budgets hold, and creates it anew once it is gone.
pub(super) fn recreate(snapshot: &Snapshot, pod: &Object, grace: Option<u32>) -> Vec<Step> {
    let away = Step {
        wait: Some(Wait::Gone),
        ..evict(pod, grace)
    };
    let anew = Target {
        uid: String::new(),
        ..pod.target.clone()
    };
    let manifest = manifest(snapshot, pod);
    let create = Step {
        body: Some(manifest.to_string()),
        completes: true,
        ..step(
            Verb::Create,
            &anew,
            format!("create {anew} from its own manifest"),
        )
    };
    vec![away, create]
}

/// The pod as it was asked for: without what the cluster added, and with the action's stamp.
fn manifest(snapshot: &Snapshot, pod: &Object) -> Value {
    let mut metadata = pod.content.get("metadata").cloned().unwrap_or_default();
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("name".to_owned(), json!(pod.target.name));
        fields.insert("namespace".to_owned(), json!(pod.target.namespace));
        let marks = fields.entry("annotations").or_insert_with(|| json!({}));
        if let Some(marks) = marks.as_object_mut() {
            marks.insert(ACTED_BY.to_owned(), json!(snapshot.action.uid));
        }
    }
    let mut spec = pod.content.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|name, _| !SET_BY_CLUSTER.contains(&name.as_str()));
        without_token(spec);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

fn without_token(spec: &mut Map<String, Value>) {
    drop_tokens(spec.get_mut("volumes"));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            drop_tokens(container.get_mut("volumeMounts"));
        }
    }
}

fn drop_tokens(list: Option<&mut Value>) {
    if let Some(items) = list.and_then(Value::as_array_mut) {
        items.retain(|item| {
            let name = item.get("name").and_then(Value::as_str);
            !name.is_some_and(|name| name.starts_with(TOKEN))
        });
    }
}
