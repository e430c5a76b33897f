//! A workload's revision, as its controller keeps it.
//!
//! Pure: no IO, no clock.

use serde_json::Value;

use crate::{object::Object, snapshot::Revision};

/// The annotation in which a Deployment's controller numbers its replica sets.
const NUMBER: &str = "deployment.kubernetes.io/revision";

/// Reads a `ReplicaSet` of a Deployment, or a `ControllerRevision`; `None` when it is neither.
pub(super) fn read(object: &Object) -> Option<Revision> {
    let text = |path: &str| object.content.pointer(path);
    let (number, template) = match object.target.kind.as_str() {
        "ReplicaSet" => {
            let number = object.annotations.get(NUMBER)?.parse().ok()?;
            (number, text("/spec/template")?)
        }
        "ControllerRevision" => {
            let number = text("/revision").and_then(Value::as_i64)?;
            (number, text("/data/spec/template")?)
        }
        _ => return None,
    };
    let ready = object.workload.as_ref().map(|set| set.ready);
    let mut template = template.clone();
    // A ControllerRevision holds a patch that replaces the template.
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    Some(Revision {
        number,
        created_at: object.created_at,
        ready: ready.unwrap_or(0),
        template,
    })
}
