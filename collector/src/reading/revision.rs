//! `ReplicaSet` and `ControllerRevision` → one revision of their owner's template.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use kube::core::ObjectMeta;
use schemas::object::{ObjectState, RevisionState};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Watched, base,
    template::{DigestKey, Template},
};
use crate::kind::Kind;

/// Where the Deployment controller writes the number of a revision.
const NUMBER: &str = "deployment.kubernetes.io/revision";
/// The label of the pods of a Deployment's revision.
const SET_HASH: &str = "pod-template-hash";
/// The label of the pods of a `DaemonSet`'s revision, on the revision too. The pods of a
/// `StatefulSet` have the name of the revision as its value.
const DAEMON_HASH: &str = "controller-revision-hash";

/// A `ReplicaSet`.
pub type ReplicaSet = Watched<Spec, Status>;

/// The wanted parts of a `ReplicaSet`'s spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    replicas: Option<i32>,
    template: Template,
}

/// The wanted parts of a `ReplicaSet`'s status.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    ready_replicas: i32,
}

/// A `ControllerRevision`.
#[derive(Clone, Debug, Deserialize)]
pub struct ControllerRevision {
    /// Metadata; pruned when it is turned into a state.
    pub metadata: ObjectMeta,
    #[serde(default)]
    revision: i64,
    #[serde(default)]
    data: Data,
}

/// What a revision keeps: for `StatefulSets` and `DaemonSets` the template, as a patch of the whole
/// object. Other controllers keep whatever they like, which must not break the watch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Value")]
struct Data(Template);

impl From<Value> for Data {
    fn from(mut data: Value) -> Self {
        let template = data.pointer_mut("/spec/template").map(Value::take);
        Self(template.map_or_else(Template::default, Template::from))
    }
}

/// What is told of a `ReplicaSet`: a link between pods and a Deployment, and a revision of it.
///
/// One that no Deployment numbers is a link alone, and not told.
pub fn read_set(set: &ReplicaSet, key: &DigestKey, now: Timestamp) -> ObjectState {
    let meta = &set.metadata;
    let number = meta.annotations.iter().flatten();
    let number = number
        .filter(|(annotation, _)| *annotation == NUMBER)
        .find_map(|(_, number)| number.parse().ok());
    let revision = number.map(|number| RevisionState {
        number,
        hash: label(meta, SET_HASH),
        template: set.spec.template.told(key, controller(meta)),
        // Where nothing is set the API server has filled in 1.
        replicas: Some(set.spec.replicas.unwrap_or(1)),
        ready: Some(set.status.ready_replicas),
    });
    bare(Kind::ReplicaSet, meta, revision, now)
}

/// What is told of a `ControllerRevision`.
///
/// Controllers of other kinds keep what they like in theirs, so those are not told.
pub fn read(revision: &ControllerRevision, key: &DigestKey, now: Timestamp) -> ObjectState {
    let meta = &revision.metadata;
    let owners = meta.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.controller == Some(true));
    let owner = owners.next().map_or("", |owner| owner.kind.as_str());
    let hash = match owner {
        "DaemonSet" => Some(label(meta, DAEMON_HASH)),
        "StatefulSet" => Some(meta.name.clone().unwrap_or_default()),
        _ => None,
    };
    let told = hash.map(|hash| RevisionState {
        number: revision.revision,
        hash,
        template: revision.data.0.told(key, controller(meta)),
        replicas: None,
        ready: None,
    });
    bare(Kind::ControllerRevision, meta, told, now)
}

/// A revision's labels are its template's, which tells them in its own way.
fn bare(
    kind: Kind,
    meta: &ObjectMeta,
    revision: Option<RevisionState>,
    now: Timestamp,
) -> ObjectState {
    let mut state = base(kind, meta, now);
    state.labels.clear();
    state.annotations.clear();
    ObjectState { revision, ..state }
}

fn label(meta: &ObjectMeta, name: &str) -> String {
    let labels = meta.labels.as_ref();
    let value = labels.and_then(|labels| labels.get(name));
    value.cloned().unwrap_or_default()
}

/// The UID of the controlling owner.
fn controller(meta: &ObjectMeta) -> &str {
    let mut owners = meta.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true));
    owner.map_or("", |owner| &owner.uid)
}
