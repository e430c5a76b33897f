//! Pod → [`ObjectState`].
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::object::{ContainerState, ObjectState, PodState};
use serde::Deserialize;

use super::{
    Condition, Watched, base, calls, conditions,
    container::{self, Container, ContainerStatus},
    needs::{self, PullSecret, Volume},
};
use crate::kind::Kind;

/// A pod.
pub type Pod = Watched<Spec, Status>;

/// The wanted parts of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    node_name: Option<String>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    volumes: Vec<Volume>,
    image_pull_secrets: Vec<PullSecret>,
}

/// The wanted parts of a pod's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    phase: Option<String>,
    reason: Option<String>,
    qos_class: Option<String>,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

/// What is told of a pod. Its calls name Services that may not exist: who knows the Services sorts those out.
pub fn read(pod: &Pod, now: Timestamp) -> ObjectState {
    let base = base(Kind::Pod, &pod.metadata, now);
    let spec = &pod.spec;
    let Status {
        phase,
        reason,
        qos_class,
        conditions: found,
        container_statuses,
        init_container_statuses: _,
    } = &pod.status;
    let every = || spec.init_containers.iter().chain(&spec.containers);
    let volumes = needs::of_volumes(&spec.volumes, &base.target.name);
    ObjectState {
        conditions: conditions(found),
        pod: Some(PodState {
            phase: phase.clone().unwrap_or_else(|| "Unknown".to_owned()),
            reason: reason.clone().unwrap_or_default(),
            node: spec.node_name.clone().unwrap_or_default(),
            qos: qos_class.clone().unwrap_or_default(),
            containers: container::read(&spec.containers, container_statuses),
            init_containers: init_containers(pod),
            needs: needs::gather(every(), volumes, &spec.image_pull_secrets),
            calls: calls::gather(every(), &base.target.namespace),
        }),
        ..base
    }
}

/// The init containers, unless none of them stands in the way any more.
fn init_containers(pod: &Pod) -> Vec<ContainerState> {
    let (containers, status) = (&pod.spec.init_containers, &pod.status);
    let statuses = &status.init_container_statuses;
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded"));
    let mut each = containers.iter();
    if is_over || each.all(|container| container::is_done(container, statuses)) {
        return Vec::new();
    }
    container::read(containers, statuses)
}
