//! Deployment, `StatefulSet`, `DaemonSet`, Job → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{JobState, ObjectState, Replicas};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions};
use crate::kind::Kind;

/// A workload of any kind.
pub type Workload = Watched<Spec, Status>;

/// The wanted parts of a workload's spec, of whichever kind.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    replicas: Option<i32>,
    parallelism: Option<i32>,
    backoff_limit: Option<i32>,
}

/// The wanted parts of a workload's status, of whichever kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    observed_generation: Option<i64>,
    conditions: Vec<Condition>,
    replicas: i32,
    ready_replicas: i32,
    updated_replicas: i32,
    desired_number_scheduled: i32,
    current_number_scheduled: i32,
    number_ready: i32,
    updated_number_scheduled: i32,
    active: i32,
    ready: i32,
    succeeded: i32,
    failed: i32,
}

/// What is told of a workload of `kind`.
pub fn read(kind: Kind, workload: &Workload, now: Timestamp) -> ObjectState {
    ObjectState {
        conditions: conditions(&workload.status.conditions),
        replicas: replicas(kind, workload),
        job: (kind == Kind::Job).then(|| job(workload)),
        ..base(kind, &workload.metadata, now)
    }
}

fn replicas(kind: Kind, workload: &Workload) -> Option<Replicas> {
    let (spec, status) = (&workload.spec, &workload.status);
    // Where nothing is set the API server has filled in 1.
    let observed = status.observed_generation >= workload.metadata.generation;
    match kind {
        Kind::Deployment | Kind::StatefulSet => Some(Replicas {
            desired: spec.replicas.unwrap_or(1),
            current: status.replicas,
            ready: status.ready_replicas,
            updated: status.updated_replicas,
            observed,
        }),
        Kind::DaemonSet => Some(Replicas {
            desired: status.desired_number_scheduled,
            current: status.current_number_scheduled,
            ready: status.number_ready,
            updated: status.updated_number_scheduled,
            observed,
        }),
        // A job has no revisions, and its status no observed generation.
        Kind::Job => Some(Replicas {
            desired: spec.parallelism.unwrap_or(1),
            current: status.active,
            ready: status.ready,
            updated: status.active,
            observed: true,
        }),
        Kind::Pod
        | Kind::Node
        | Kind::ReplicaSet
        | Kind::ControllerRevision
        | Kind::Autoscaler
        | Kind::Budget
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::Claim
        | Kind::Quota => None,
    }
}

/// What became of a Job's pods.
fn job(workload: &Workload) -> JobState {
    let status = &workload.status;
    JobState {
        active: status.active,
        succeeded: status.succeeded,
        failed: status.failed,
        // Where nothing is set the API server has filled in 6.
        backoff_limit: workload.spec.backoff_limit.unwrap_or(6),
    }
}
