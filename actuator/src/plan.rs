//! What an action comes down to: calls in their order, with nothing left to decide.
//!
//! In: a [`Snapshot`]. Out: a [`Plan`], or why there is none. The plan's digest
//! is what a person approves; it covers every call, the UID of its object and
//! each field with its value before and after, and not the version of the
//! object, which changes all the time.
//!
//! Pure: no IO, no clock.

use schemas::{
    ACTED_BY,
    action::HealingActionStatus,
    digest,
    policy::Remedy,
    step::{FieldChange, Step, Verb},
    target::Target,
};
use serde_json::Value;

use crate::{
    change::{self, Path},
    object::Object,
    reason::Reason,
    snapshot::Snapshot,
};

mod custom;
mod delete;
mod node;
mod patch;
mod resize;
mod restart;
mod rollback;
mod scale;

pub use node::{evictable, operation};

/// What would be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The calls, in their order.
    pub steps: Vec<Step>,
    /// Its identity, for approvals.
    pub digest: String,
}

impl Plan {
    fn new(steps: Vec<Step>) -> Self {
        let texts: Vec<_> = steps.iter().map(identity).collect();
        let digest = digest::hex(texts.iter().map(String::as_str));
        Self { steps, digest }
    }

    /// The plan that was recorded with the intent.
    pub fn recorded(status: &HealingActionStatus) -> Self {
        Self {
            steps: status.plan.clone(),
            digest: status.digest.clone().unwrap_or_default(),
        }
    }

    /// The first call that was not made yet.
    pub fn next_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.called_at.is_none())
    }

    /// The calls in words.
    pub fn calls(&self) -> Vec<&str> {
        self.steps.iter().map(|step| step.call.as_str()).collect()
    }

    /// Whether a call leaves a workload with fewer replicas than it has.
    pub fn shrinks(&self) -> bool {
        let mut counts = self.steps.iter().filter_map(replicas);
        counts.any(|(from, to)| to < from)
    }
}

/// The call without its progress, as text.
fn identity(step: &Step) -> String {
    let planned = Step {
        began_at: None,
        called_at: None,
        done_at: None,
        ..step.clone()
    };
    // Serialising this type cannot fail: its keys are names and its numbers whole.
    serde_json::to_string(&planned).unwrap_or_default()
}

/// The replicas before and after a call that scales.
pub fn replicas(step: &Step) -> Option<(i32, i32)> {
    let change = step.changes.first().filter(|_| step.verb == Verb::Scale)?;
    let count = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    Some((count(&change.from)?, count(&change.to)?))
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message }
    }
}

/// Plans the action of `snapshot`.
///
/// # Errors
/// When the remedy cannot, or must not, be applied to the target.
pub fn plan(snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let wanted = &snapshot.action.spec.target_resource;
    let Some(target) = &snapshot.target else {
        let message = format!("{}/{} does not exist", wanted.kind, wanted.name);
        return Err(Refusal::new(Reason::TargetGone, message));
    };
    let action = &snapshot.action.spec.action;
    let steps = match action.kind {
        Remedy::Restart => restart::restart(snapshot, target),
        Remedy::Scale => scale::scale(snapshot, target),
        Remedy::Delete => delete::delete(snapshot, target),
        Remedy::Patch => patch::patch(snapshot, target),
        Remedy::Resize => resize::resize(snapshot, target),
        Remedy::Rollback => rollback::rollback(snapshot, target),
        Remedy::Cordon => node::cordon(snapshot, target),
        // Whoever is told changes nothing; the effect is what they do.
        Remedy::Notify => Ok(Vec::new()),
        Remedy::Custom => custom::custom(snapshot, target),
    };
    steps.map(Plan::new)
}

/// A call about an object, with nothing else said.
fn step(verb: Verb, object: &Target, call: impl Into<String>) -> Step {
    Step {
        call: call.into(),
        verb,
        object: object.clone(),
        changes: Vec::new(),
        body: None,
        webhook: None,
        grace_period_seconds: None,
        propagation: None,
        wait: None,
        completes: false,
        began_at: None,
        called_at: None,
        done_at: None,
    }
}

/// Changes fields of an object, and stamps it in the same write, so that the one proves the other.
fn changing(
    snapshot: &Snapshot,
    object: &Object,
    call: impl Into<String>,
    mut changes: Vec<FieldChange>,
) -> Step {
    changes.push(stamp(snapshot, object));
    Step {
        changes,
        ..step(Verb::Change, &object.target, call)
    }
}

/// The stamp of the action on an object.
fn stamp(snapshot: &Snapshot, object: &Object) -> FieldChange {
    let path = Path::default().field("metadata").field("annotations");
    let path = path.field(ACTED_BY);
    let uid = Value::String(snapshot.action.uid.clone());
    change::field(&path, change::at(&object.content, &path), Some(&uid))
}

/// Sets a field of an object to a value.
fn setting(object: &Object, path: &Path, to: &Value) -> FieldChange {
    change::field(path, change::at(&object.content, path), Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::snapshot;

    #[test]
    fn the_digest_is_bound_to_the_object_and_the_change_alone() {
        let mut snapshot = snapshot();
        let planned = plan(&snapshot).unwrap();
        assert_eq!(planned.calls(), ["evict Pod shop/web-1"]);
        let target = snapshot.target.as_mut().unwrap();
        target.resource_version = "another".to_owned();
        assert_eq!(plan(&snapshot).unwrap().digest, planned.digest);
        let target = snapshot.target.as_mut().unwrap();
        target.target.uid = "another".to_owned();
        assert_ne!(plan(&snapshot).unwrap().digest, planned.digest);
    }
}
