//! The proof that every guard let an action pass.
//!
//! Pure: no IO, no clock.

use crate::{
    plan::{Operation, Plan},
    snapshot::Snapshot,
};

/// Proof that every guard let an action pass, and the calls that it covers.
///
/// The fields are private and only [`judge`](super::judge) makes one, so code
/// that cannot show a permit cannot reach the API server.
#[derive(Debug)]
pub struct Permit {
    operation: Operation,
    resource_version: String,
    action_uid: String,
    is_dry_run: bool,
}

impl Permit {
    /// A permit for `plan`, carried out on the target as `snapshot` saw it.
    pub(super) fn new(snapshot: &Snapshot, plan: &Plan) -> Option<Self> {
        let target = snapshot.target.as_ref()?;
        Some(Self {
            operation: plan.operation.clone(),
            resource_version: target.resource_version.clone(),
            action_uid: snapshot.action.uid.clone(),
            is_dry_run: snapshot.is_dry_run(),
        })
    }

    /// The call that is permitted.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The version of the target that was judged.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }

    /// The stamp that the change leaves on the object.
    pub fn action_uid(&self) -> &str {
        &self.action_uid
    }

    /// Whether the call may only be tried.
    pub const fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }
}
