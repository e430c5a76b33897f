//! The proof that every guard let an action pass.
//!
//! Pure: no IO, no clock.

use schemas::step::Step;
use serde_json::{Value, json};

use crate::{change, plan::Plan, snapshot::Snapshot};

/// Proof that every guard let an action pass, and the calls that it covers.
///
/// The fields are private and only [`judge`](super::judge) makes one, so code
/// that cannot show a permit cannot reach the API server.
#[derive(Debug)]
pub struct Permit {
    calls: Vec<Call>,
    action_uid: String,
    digest: String,
    is_dry_run: bool,
}

/// One call, and how the object of it was when it was judged.
#[derive(Debug)]
pub struct Call {
    /// The call.
    pub step: Step,
    /// The version of the object.
    pub resource_version: String,
    /// The merge patch that changes its fields, bound to that object and version.
    pub patch: Value,
}

impl Permit {
    /// A permit for the next call of `plan`, or for the trial of all that can be
    /// tried before anything was changed.
    pub(super) fn new(snapshot: &Snapshot, plan: &Plan) -> Option<Self> {
        if snapshot.is_dry_run() {
            let tried = plan.steps.iter().filter(|step| !step.completes);
            let calls = tried
                .map(|step| call(snapshot, step))
                .collect::<Option<_>>()?;
            let digest = plan.digest.clone();
            return Some(Self {
                digest,
                ..Self::of(snapshot, calls, true)
            });
        }
        Self::for_step(snapshot, plan.next_step()?)
    }

    /// A permit for one call.
    pub(super) fn for_step(snapshot: &Snapshot, step: &Step) -> Option<Self> {
        let calls = vec![call(snapshot, step)?];
        Some(Self::of(snapshot, calls, false))
    }

    fn of(snapshot: &Snapshot, calls: Vec<Call>, is_dry_run: bool) -> Self {
        Self {
            calls,
            action_uid: snapshot.action.uid.clone(),
            digest: snapshot.action.status.digest.clone().unwrap_or_default(),
            is_dry_run,
        }
    }

    /// The calls that are permitted: one, or several to be tried.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// UID of the action.
    pub fn action_uid(&self) -> &str {
        &self.action_uid
    }

    /// Identity of the plan that was recorded.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the calls may only be tried.
    pub const fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }
}

fn call(snapshot: &Snapshot, step: &Step) -> Option<Call> {
    let step = step.clone();
    if step.object.uid.is_empty() {
        return Some(Call {
            step,
            resource_version: String::new(),
            patch: Value::Null,
        });
    }
    let object = snapshot.same(&step.object)?;
    let changed = change::apply(&object.content, &step.changes).ok()?;
    let mut patch = change::merge_patch(&object.content, &changed);
    let fields = patch.as_object_mut()?;
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    let metadata = metadata.as_object_mut()?;
    metadata.insert("uid".to_owned(), json!(step.object.uid));
    let version = object.resource_version.clone();
    metadata.insert("resourceVersion".to_owned(), json!(version));
    Some(Call {
        step,
        resource_version: version,
        patch,
    })
}
