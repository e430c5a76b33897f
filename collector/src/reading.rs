//! What the sources tell, and how Kubernetes objects become messages.
//!
//! In: objects as the API server writes them, read into small structs that hold
//! only what is needed. Out: [`ObjectState`]s, events and usage. Environment
//! values, commands, volumes, the contents of Secrets and `ConfigMaps`, and
//! annotations other than our own have no field here, so they are dropped while
//! the answer is being parsed.
//!
//! Pure: no IO, no clock.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use schemas::{
    object::{ObjectCondition, ObjectState, Owner},
    target::Target,
};
use serde::Deserialize;

use crate::kind::Kind;

pub mod autoscaler;
pub mod budget;
pub mod calls;
pub mod claim;
pub mod container;
pub mod endpoints;
pub mod event;
pub mod needs;
pub mod node;
pub mod pod;
pub mod quota;
pub mod revision;
pub mod service;
pub mod template;
pub mod usage;
pub mod workload;

/// Annotations under this prefix are kept; all others are dropped.
const OWN_ANNOTATIONS: &str = "kubeskippy.io/";
/// Bytes that are kept of a condition's message.
const MESSAGE: usize = 512;
/// Conditions that mean trouble when they are true, beside those whose name ends in `Pressure`; all
/// others mean it when they are not.
const BAD_WHEN_TRUE: [&str; 7] = [
    "DisruptionTarget",
    "Failed",
    "FailureTarget",
    "NetworkUnavailable",
    "PodResizePending",
    "ReplicaFailure",
    "ScalingLimited",
];
/// Conditions that mean no trouble either way.
const NEITHER: [&str; 4] = [
    "Complete",
    "PodResizeInProgress",
    "SuccessCriteriaMet",
    "Suspended",
];

/// One watch: a kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// What is watched.
    pub kind: Kind,
    /// Where; none for the whole cluster.
    pub namespace: Option<String>,
}

/// One object by its place in the API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for an object of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a source has to tell.
#[derive(Clone, Debug)]
pub enum Reading {
    /// A list of everything in a scope begins.
    Listing(Scope),
    /// An object exists, in this state.
    Seen(Scope, Box<Seen>),
    /// An object, with this UID, is gone.
    Gone(Scope, Key, String),
    /// The list is complete: what it did not name is gone.
    Listed(Scope),
    /// A Kubernetes Event was written.
    Event(Box<event::EventReading>),
    /// A watch works: it has just told something.
    Works(String),
    /// A watch failed, why, and will be tried again.
    Broken(String, String),
    /// The API server answered just now, or did not.
    Answers(bool),
    /// Pods and nodes were measured.
    Usage(Box<usage::Usage>),
    /// They could not be measured, and why.
    UsageFailed(String),
}

/// An object as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its state; of its owners only the nearest.
    pub state: ObjectState,
    /// Its resource version.
    pub version: String,
}

/// An object with only the wanted parts of its spec and status.
#[derive(Clone, Debug, Deserialize)]
pub struct Watched<S, T> {
    /// Metadata; pruned when it is turned into a state.
    pub metadata: ObjectMeta,
    /// Wanted parts of the spec.
    #[serde(default)]
    pub spec: S,
    /// Wanted parts of the status.
    #[serde(default)]
    pub status: T,
}

/// A condition of any kind of object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    last_transition_time: Option<Time>,
}

impl Condition {
    /// Whether it says that something is wrong.
    fn is_trouble(&self) -> bool {
        let kind = self.kind.as_str();
        if NEITHER.contains(&kind) {
            return false;
        }
        let good = if BAD_WHEN_TRUE.contains(&kind) || kind.ends_with("Pressure") {
            "False"
        } else {
            "True"
        };
        self.status != good
    }

    /// Its message, where it tells of trouble.
    fn complaint(&self) -> String {
        let message = self.message.as_deref().filter(|_| self.is_trouble());
        message.map_or_else(String::new, |message| cut(message, MESSAGE))
    }
}

/// The conditions of a status, ordered by type so that a reordering is not a change.
pub(crate) fn conditions(conditions: &[Condition]) -> Vec<ObjectCondition> {
    let mut kept: Vec<_> = conditions
        .iter()
        .map(|condition| ObjectCondition {
            kind: condition.kind.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone().unwrap_or_default(),
            message: condition.complaint(),
            since: condition.last_transition_time.as_ref().map(|time| time.0),
        })
        .collect();
    kept.sort_by(|a, b| a.kind.cmp(&b.kind));
    kept
}

/// The parts that every object has.
pub fn base(kind: Kind, meta: &ObjectMeta, now: Timestamp) -> ObjectState {
    let own = |(key, _): &(&String, &String)| key.starts_with(OWN_ANNOTATIONS);
    let owner = meta
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    ObjectState {
        target: Target {
            api_version: kind.api_version(),
            kind: kind.name().to_owned(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        },
        observed_at: now,
        created_at: meta.creation_timestamp.as_ref().map(|time| time.0),
        terminating: meta.deletion_timestamp.is_some(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta
            .annotations
            .iter()
            .flatten()
            .filter(own)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        owners: owner
            .map(|owner| Owner {
                api_version: owner.api_version.clone(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            })
            .into_iter()
            .collect(),
        ..ObjectState::default()
    }
}

/// A quantity as a number; none when it is absent or is no quantity.
pub(crate) fn quantity(text: Option<&String>) -> Option<f64> {
    text.and_then(|text| schemas::quantity::parse(text).ok())
}

/// At most `most` bytes of `text`, cut between characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

impl Key {
    /// The place of `state`, which is of `kind`.
    pub fn of(kind: Kind, state: &ObjectState) -> Self {
        Self {
            kind,
            namespace: state.target.namespace.clone(),
            name: state.target.name.clone(),
        }
    }
}

impl Scope {
    /// Whether `key` is in it.
    pub fn covers(&self, key: &Key) -> bool {
        self.kind == key.kind
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == key.namespace)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.plural())?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
