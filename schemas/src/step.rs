//! One call of an action's plan, as `status.plan` and `status.undo` record it.
//!
//! A plan is recorded before its first call is made, and a process that takes
//! over carries on with what is recorded: the fields with their values before
//! and after, and what is created, are all here.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ACTED_BY, policy::Propagation, target::Target};

/// One call on the API server, or out of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The call, in words: `evict Pod shop/web-1`.
    pub call: String,

    /// What kind of call it is.
    pub verb: Verb,

    /// The object that the call changes.
    pub object: Target,

    /// The fields that change, each with its value before and after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,

    /// What is created or sent, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,

    /// The webhook that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Endpoint>,

    /// Seconds that a pod gets to end by itself; its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<u32>,

    /// What happens to what a deleted object owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,

    /// What has to hold afterwards, before the next call is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,

    /// Whether the call gives back what an earlier one took away, so that no guard may hold it back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub completes: bool,

    /// When it was begun, of a call that cannot be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,

    /// When the call was accepted, or found made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_at: Option<Timestamp>,

    /// When what has to hold afterwards did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// Where a webhook is called, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The URL.
    pub url: String,

    /// Secret whose key `token` signs the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// How many seconds it may take.
    pub timeout_seconds: u32,
}

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verb {
    /// Ask for a pod to be evicted, so that disruption budgets are honoured.
    Evict,
    /// Delete an object.
    Delete,
    /// Create an object.
    Create,
    /// Change fields of an object.
    Change,
    /// Remove finalizers of an object whose deletion hangs.
    Release,
    /// Change the number of replicas, through the scale subresource.
    Scale,
    /// Change CPU and memory of a pod, through the resize subresource.
    Resize,
    /// Call a webhook.
    Call,
}

/// What has to hold before the next call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Wait {
    /// Every replica of the owner is there and ready.
    Settled,
    /// The workload has no pods any more.
    Empty,
    /// The object is gone.
    Gone,
    /// The Job has come to its end.
    Finished,
}

/// One field, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Which field; items of lists by key: `spec.template.spec.containers[name=app].image`.
    pub path: String,

    /// Its value before, as JSON text; absent when the field was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,

    /// Its value afterwards, as JSON text; absent when the field is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Step {
    /// The call and the fields it changes, but for the action's own stamp, a line each.
    pub fn lines(&self) -> Vec<String> {
        let none = || "nothing".to_owned();
        let changes = self.changes.iter();
        let told = changes.filter(|change| !change.path.contains(ACTED_BY));
        let lines = told.map(|change| {
            let (from, to) = (change.from.clone(), change.to.clone());
            let (from, to) = (from.unwrap_or_else(none), to.unwrap_or_else(none));
            format!("  {}: {from} -> {to}", change.path)
        });
        std::iter::once(self.call.clone()).chain(lines).collect()
    }
}

impl FieldChange {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            path: self.path.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
