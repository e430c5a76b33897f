//! Containers of a pod, and how they fare.
//!
//! Limits are the ones in force: those that the kubelet reports after an
//! in-place resize come before those that the spec asks for. What is not known
//! stays absent; no limit is ever assumed. Of probes only their patience is
//! read, of environment variables only what they refer to.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemas::object::{ContainerState, Probe, Probes, Resources, Termination};
use serde::Deserialize;

use super::{calls::Variable, cut, needs::EnvironmentFrom, quantity};

/// Bytes that are kept of what the kubelet says of a waiting container.
const MESSAGE: usize = 256;

/// The wanted parts of a container's spec.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    /// Name.
    pub name: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    resources: Option<Wanted>,
    #[serde(default)]
    liveness_probe: Option<Patience>,
    #[serde(default)]
    readiness_probe: Option<Patience>,
    #[serde(default)]
    startup_probe: Option<Patience>,
    /// Its environment, without values.
    #[serde(default)]
    pub env: Vec<Variable>,
    /// What its environment is taken from as a whole.
    #[serde(default)]
    pub env_from: Vec<EnvironmentFrom>,
    /// `Always` for an init container that goes on beside the others.
    #[serde(default)]
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    limits: BTreeMap<String, String>,
    requests: BTreeMap<String, String>,
}

/// How patient a probe is.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Patience {
    #[serde(default)]
    initial_delay_seconds: u32,
    period_seconds: Option<u32>,
    timeout_seconds: Option<u32>,
    failure_threshold: Option<u32>,
}

/// The wanted parts of a container's status.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerStatus {
    /// Name.
    pub name: String,
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
    #[serde(default)]
    message: Option<String>,
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

/// What is told of each of `containers`, in their order.
pub(crate) fn read(containers: &[Container], statuses: &[ContainerStatus]) -> Vec<ContainerState> {
    let told = |container: &Container| told(container, status_of(container, statuses));
    containers.iter().map(told).collect()
}

/// Whether an init container stands in the way of those after it no more.
pub(crate) fn is_done(container: &Container, statuses: &[ContainerStatus]) -> bool {
    let goes_on = container.restart_policy.as_deref() == Some("Always");
    status_of(container, statuses).is_some_and(|status| {
        let ended = status.state.terminated.as_ref();
        ended.is_some_and(|ended| ended.exit_code == 0) || (goes_on && status.ready)
    })
}

fn status_of<'a>(
    container: &Container,
    statuses: &'a [ContainerStatus],
) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == container.name)
}

fn told(container: &Container, status: Option<&ContainerStatus>) -> ContainerState {
    let actual = status.and_then(|status| status.resources.as_ref());
    let (state, reason) = status
        .map(|status| state(&status.state))
        .unwrap_or_default();
    let waits = status.and_then(|status| status.state.waiting.as_ref());
    let message = waits.and_then(|waiting| waiting.message.as_deref());
    ContainerState {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        resources: resources(container.resources.as_ref(), actual),
        restarts: status.map_or(0, |status| status.restart_count),
        ready: status.is_some_and(|status| status.ready),
        state,
        reason,
        message: message.map_or_else(String::new, |message| cut(message, MESSAGE)),
        last_termination: status.and_then(last_termination),
        probes: Probes {
            liveness: container.liveness_probe.map(probe),
            readiness: container.readiness_probe.map(probe),
            startup: container.startup_probe.map(probe),
        },
    }
}

/// A probe; where nothing is set the API server has filled in its defaults.
fn probe(patience: Patience) -> Probe {
    Probe {
        initial_delay_seconds: patience.initial_delay_seconds,
        period_seconds: patience.period_seconds.unwrap_or(10),
        timeout_seconds: patience.timeout_seconds.unwrap_or(1),
        failure_threshold: patience.failure_threshold.unwrap_or(3),
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
