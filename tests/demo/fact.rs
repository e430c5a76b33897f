//! What the sources see.
//!
//! Pure: no IO, no clock.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use schemas::action::HealingAction;
use schemas::alert::Alert;
use schemas::envelope::Envelope;
use schemas::policy::HealingPolicy;
use schemas::quantity;

use crate::story::Victim;

/// One thing that was seen, or done.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// A pod exists and is as it is.
    Pod(PodView),
    /// The pod with this UID is gone.
    PodGone(String),
    /// What the metrics API says that pods use: name and bytes.
    Usage(Vec<(String, f64)>),
    /// A policy as the API server has it.
    Policy(Box<HealingPolicy>),
    /// An action as the API server has it.
    Action(Box<HealingAction>),
    /// A message that a NATS subscriber received.
    Alert(Box<Envelope<Alert>>),
    /// The demo did something that is worth a line.
    Said(String),
    /// The demo made a pod misbehave; the pods there are now are the siblings.
    Begun {
        /// The label `app` of its story.
        app: &'static str,
        /// The pod.
        victim: Victim,
    },
    /// Time passed.
    Tick,
    /// The show is over.
    End,
}

/// What the demo looks at in a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodView {
    pub(crate) uid: String,
    pub(crate) name: String,
    /// The label `app`.
    pub(crate) app: String,
    pub(crate) ready: bool,
    pub(crate) terminating: bool,
    pub(crate) restarts: i32,
    /// Why its container does not run, when it does not.
    pub(crate) trouble: Option<String>,
    /// Whether the kernel ever killed its container for want of memory.
    pub(crate) out_of_memory: bool,
    /// Memory limit in bytes.
    pub(crate) limit: Option<f64>,
    /// Memory in use in bytes, as the metrics API said last.
    pub(crate) usage: Option<f64>,
}

impl PodView {
    /// The pod as the API server has it; usage is another source's.
    pub(crate) fn of(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let label = |name: &str| meta.labels.as_ref().and_then(|all| all.get(name));
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_deref());
        let container = containers.and_then(<[_]>::first);
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let limits = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.containers.first())
            .and_then(|container| container.resources.as_ref()?.limits.as_ref());
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            app: label("app").cloned().unwrap_or_default(),
            ready: conditions
                .unwrap_or_default()
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            terminating: meta.deletion_timestamp.is_some(),
            restarts: container.map_or(0, |container| container.restart_count),
            trouble: container.and_then(trouble),
            out_of_memory: container.is_some_and(out_of_memory),
            limit: limits
                .and_then(|limits| limits.get("memory"))
                .and_then(|limit| quantity::parse(&limit.0).ok()),
            usage: None,
        }
    }

    /// Memory in use, in percent of the limit.
    pub(crate) fn percent(&self) -> Option<f64> {
        Some(self.usage? / self.limit? * 100.0)
    }

    /// What is the matter with it, in a few words.
    pub(crate) fn state(&self) -> String {
        let times = match self.restarts {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            n => format!(", restarted {n} times"),
        };
        if self.terminating {
            "is terminating".to_owned()
        } else if self.ready {
            format!("is ready{times}")
        } else if let Some(trouble) = &self.trouble {
            format!("is in {trouble}{times}")
        } else {
            format!("is not ready{times}")
        }
    }
}

/// The reason of a container's waiting or end, but for its first start.
fn trouble(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|it| it.reason.clone());
    let ended = state.terminated.as_ref().and_then(|it| it.reason.clone());
    waiting
        .or(ended)
        .filter(|reason| reason != "ContainerCreating")
}

fn out_of_memory(container: &ContainerStatus) -> bool {
    [&container.state, &container.last_state]
        .into_iter()
        .flatten()
        .filter_map(|state| state.terminated.as_ref())
        .any(|ended| ended.reason.as_deref() == Some("OOMKilled"))
}
