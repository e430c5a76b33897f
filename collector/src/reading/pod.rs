//! Pod → [`ObjectState`].
//!
//! Limits are the ones in force: those that the kubelet reports after an
//! in-place resize come before those that the spec asks for. What is not known
//! stays absent; no limit is ever assumed.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemas::object::{ContainerState, ObjectState, PodState, Resources, Termination};
use serde::Deserialize;

use super::{Condition, Watched, base, conditions, quantity};
use crate::kind::Kind;

/// A pod.
pub type Pod = Watched<Spec, Status>;

/// The wanted parts of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    node_name: Option<String>,
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    resources: Option<Wanted>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    limits: BTreeMap<String, String>,
    requests: BTreeMap<String, String>,
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
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    restart_count: u32,
    #[serde(default)]
    resources: Option<Wanted>,
    #[serde(default)]
    state: Phase,
    #[serde(default)]
    last_state: Phase,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Phase {
    waiting: Option<Waiting>,
    running: Option<Running>,
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Running {}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    exit_code: i32,
    #[serde(default)]
    finished_at: Option<Time>,
}

/// What is told of a pod.
pub fn read(pod: &Pod, now: Timestamp) -> ObjectState {
    let Status {
        phase,
        reason,
        qos_class,
        conditions: found,
        container_statuses,
    } = &pod.status;
    let container = |container: &Container| {
        let status = container_statuses
            .iter()
            .find(|status| status.name == container.name);
        read_container(container, status)
    };
    ObjectState {
        conditions: conditions(found),
        pod: Some(PodState {
            phase: phase.clone().unwrap_or_else(|| "Unknown".to_owned()),
            reason: reason.clone().unwrap_or_default(),
            node: pod.spec.node_name.clone().unwrap_or_default(),
            qos: qos_class.clone().unwrap_or_default(),
            containers: pod.spec.containers.iter().map(container).collect(),
            ..PodState::default()
        }),
        ..base(Kind::Pod, &pod.metadata, now)
    }
}

fn read_container(container: &Container, status: Option<&ContainerStatus>) -> ContainerState {
    let actual = status.and_then(|status| status.resources.as_ref());
    let (state, reason) = status
        .map(|status| state(&status.state))
        .unwrap_or_default();
    ContainerState {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        resources: resources(container.resources.as_ref(), actual),
        restarts: status.map_or(0, |status| status.restart_count),
        ready: status.is_some_and(|status| status.ready),
        state,
        reason,
        last_termination: status.and_then(last_termination),
        ..ContainerState::default()
    }
}

/// A container's state and the reason of it.
fn state(phase: &Phase) -> (String, String) {
    let Phase {
        waiting,
        running,
        terminated,
    } = phase;
    let (state, reason) = match (waiting, running, terminated) {
        (Some(waiting), _, _) => ("waiting", waiting.reason.clone()),
        (None, _, Some(terminated)) => ("terminated", terminated.reason.clone()),
        (None, Some(Running {}), None) => ("running", None),
        (None, None, None) => ("", None),
    };
    (state.to_owned(), reason.unwrap_or_default())
}

/// How the container ended last: it may be ended still, as it is during most of a back-off.
fn last_termination(status: &ContainerStatus) -> Option<Termination> {
    let ended = status.state.terminated.as_ref();
    ended
        .or(status.last_state.terminated.as_ref())
        .map(|terminated| Termination {
            reason: terminated.reason.clone().unwrap_or_default(),
            exit_code: terminated.exit_code,
            finished_at: terminated.finished_at.as_ref().map(|time| time.0),
        })
}

fn resources(wanted: Option<&Wanted>, actual: Option<&Wanted>) -> Resources {
    let pick = |part: fn(&Wanted) -> &BTreeMap<String, String>, name: &str| {
        let read = |wanted: Option<&Wanted>| quantity(wanted.and_then(|w| part(w).get(name)));
        // A limit of zero is Kubernetes's way to say that there is none.
        read(actual)
            .or_else(|| read(wanted))
            .filter(|value| *value > 0.0)
    };
    Resources {
        cpu_limit_cores: pick(|w| &w.limits, "cpu"),
        memory_limit_bytes: pick(|w| &w.limits, "memory"),
        cpu_request_cores: pick(|w| &w.requests, "cpu"),
        memory_request_bytes: pick(|w| &w.requests, "memory"),
    }
}
