//! What an action comes down to: one call on the API server, with nothing left to decide.
//!
//! In: a [`Snapshot`]. Out: a [`Plan`], or why there is none. The plan's digest
//! is what a person approves; it covers the call and the UID of its target, and
//! not the version of the target, which changes all the time.
//!
//! Pure: no IO, no clock.

use std::fmt;

use schemas::{
    digest,
    policy::{Propagation, Remedy},
    target::Target,
};

use crate::{reason::Reason, snapshot::Snapshot};

mod delete;
mod restart;
mod scale;

/// One call on the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Ask for a pod to be evicted, so that disruption budgets are honoured.
    Evict {
        /// The pod.
        pod: Target,
        /// Seconds it gets to end by itself; its own when absent.
        grace_period_seconds: Option<u32>,
    },
    /// Delete a pod, whatever disruption budgets say.
    Delete {
        /// The pod.
        pod: Target,
        /// Seconds it gets to end by itself; its own when absent.
        grace_period_seconds: Option<u32>,
        /// What happens to what it owns.
        propagation: Propagation,
    },
    /// Stamp a workload's template, so that its controller replaces its pods.
    RestartRollout {
        /// The workload.
        workload: Target,
    },
    /// Set the number of replicas.
    Scale {
        /// The workload.
        workload: Target,
        /// Replicas when it was planned.
        from: i32,
        /// Replicas wanted.
        to: i32,
    },
}

impl Operation {
    /// The object that the call changes.
    pub const fn target(&self) -> &Target {
        match self {
            Self::Evict { pod, .. } | Self::Delete { pod, .. } => pod,
            Self::RestartRollout { workload } | Self::Scale { workload, .. } => workload,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evict {
                pod,
                grace_period_seconds: None,
            } => write!(f, "evict {pod}"),
            Self::Evict {
                pod,
                grace_period_seconds: Some(seconds),
            } => write!(f, "evict {pod} with {seconds} s of grace"),
            Self::Delete {
                pod,
                grace_period_seconds,
                propagation,
            } => {
                write!(f, "delete {pod} ({propagation:?})")?;
                match grace_period_seconds {
                    Some(seconds) => write!(f, " with {seconds} s of grace"),
                    None => Ok(()),
                }
            }
            Self::RestartRollout { workload } => write!(f, "restart the rollout of {workload}"),
            Self::Scale { workload, from, to } => write!(f, "scale {workload} from {from} to {to}"),
        }
    }
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The call.
    pub operation: Operation,
    /// Its identity, for approvals.
    pub digest: String,
}

impl Plan {
    fn new(operation: Operation) -> Self {
        let line = operation.to_string();
        let digest = digest::hex([line.as_str(), operation.target().uid.as_str()]);
        Self { operation, digest }
    }

    /// The plan as the status shows it, one call a line.
    pub fn lines(&self) -> Vec<String> {
        vec![self.operation.to_string()]
    }
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
    let operation = match action.kind {
        Remedy::Restart => restart::restart(action, target),
        Remedy::Scale => scale::scale(action, target, snapshot.autoscaler.as_deref()),
        Remedy::Delete => delete::delete(action, target),
        Remedy::Patch
        | Remedy::Resize
        | Remedy::Rollback
        | Remedy::Cordon
        | Remedy::Notify
        | Remedy::Custom => Err(Refusal::new(
            Reason::NotImplementedYet,
            format!(
                "this version of the actuator cannot carry out {}; it carries out restart, scale and delete",
                action.kind.as_str()
            ),
        )),
    };
    operation.map(Plan::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named_action, snapshot};

    #[test]
    fn the_digest_is_bound_to_the_object_and_the_change_alone() {
        let mut snapshot = snapshot();
        let planned = plan(&snapshot).unwrap();
        assert_eq!(planned.lines(), ["evict Pod shop/web-1"]);
        let target = snapshot.target.as_mut().unwrap();
        target.resource_version = "another".to_owned();
        assert_eq!(plan(&snapshot).unwrap().digest, planned.digest);
        let target = snapshot.target.as_mut().unwrap();
        target.target.uid = "another".to_owned();
        assert_ne!(plan(&snapshot).unwrap().digest, planned.digest);
    }

    #[test]
    fn a_remedy_that_is_not_there_yet_says_so() {
        let mut snapshot = snapshot();
        snapshot.action.spec.action = named_action("x", Remedy::Resize);
        let refusal = plan(&snapshot).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotImplementedYet);
        assert!(refusal.message.contains("resize"));
    }
}
