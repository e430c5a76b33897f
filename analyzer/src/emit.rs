//! Everything the analyzer writes: alerts and observations to the bus, actions
//! and statuses to the API server. Nothing is written without the lease.
//!
//! Alerts are kept until the alerts stream has them, whoever published them:
//! a replica that takes over publishes what its predecessor could not. Actions,
//! observations and statuses are asked for again at every tick, so what fails
//! is not kept.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::HeaderMap;
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use runtime::{bus::Bus, chain, lease::Lease, shutdown::Shutdown};
use schemas::{
    action::HealingAction,
    alert::Alert,
    observation::Observation,
    policy::{HealingPolicy, HealingPolicyStatus},
};
use tokio::sync::mpsc;

use crate::{
    PROGRAM,
    actions::ActionName,
    advise::consult::Consultants,
    analysis::{Output, PolicyReport, Proposal},
    telemetry::{OfKind, Telemetry},
    told::Told,
};

/// The field manager of everything the analyzer writes.
const MANAGER: &str = "kubeskippy-analyzer";

/// Labels of an action, by which people find what belongs together.
const POLICY_LABEL: &str = "kubeskippy.io/policy";
const TRIGGER_LABEL: &str = "kubeskippy.io/trigger";

/// Alerts that may wait to be published. A storm that outlives a lost bus for
/// long loses its oldest alerts, counted.
const MOST_WAITING: usize = 10_000;

/// How often a status is written of which only the time of evaluation changed.
const REFRESH: SignedDuration = SignedDuration::from_secs(60);

/// Requests under way at once: a tick with many offenders must not queue behind
/// the round trips of an API server, nor flood it.
const AT_ONCE: usize = 8;

/// What was told before, shared with the analysis.
pub(crate) type SharedTold = Arc<Mutex<Told>>;

/// Locks what was told before. A panic elsewhere leaves it usable.
pub(crate) fn lock(told: &SharedTold) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What follows from one tick.
#[derive(Debug)]
pub(crate) struct Emission {
    /// The tick.
    pub(crate) at: Timestamp,
    /// What follows.
    pub(crate) outputs: Vec<Output>,
}

/// Writes what follows from the ticks.
#[derive(Debug)]
pub(crate) struct Emitter {
    client: KubeClient,
    bus: Bus,
    lease: Lease,
    told: SharedTold,
    telemetry: Telemetry,
    consultants: Consultants,
    waiting: VecDeque<(Alert, Timestamp)>,
    written: BTreeMap<String, Written>,
}

/// A client that can be shown.
struct KubeClient(Client);

impl std::fmt::Debug for KubeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeClient")
    }
}

#[derive(Debug)]
struct Written {
    status: HealingPolicyStatus,
    at: Timestamp,
}

impl Emitter {
    /// Writes nothing yet.
    pub(crate) fn new(
        client: Client,
        (bus, lease): (Bus, Lease),
        told: SharedTold,
        (telemetry, consultants): (Telemetry, Consultants),
    ) -> Self {
        Self {
            client: KubeClient(client),
            bus,
            lease,
            told,
            telemetry,
            consultants,
            waiting: VecDeque::new(),
            written: BTreeMap::new(),
        }
    }

    /// Writes what comes until shutdown, and what waits then.
    pub(crate) async fn run(mut self, mut emissions: mpsc::Receiver<Emission>, shutdown: Shutdown) {
        let mut lease = self.lease.clone();
        loop {
            tokio::select! {
                () = shutdown.wait() => break,
                () = lease.changed() => self.publish_waiting().await,
                emission = emissions.recv() => match emission {
                    Some(emission) => self.emit(emission).await,
                    None => break,
                },
            }
            self.telemetry.leading.set(i64::from(self.lease.holds()));
        }
        self.publish_waiting().await;
    }

    async fn emit(&mut self, emission: Emission) {
        let Emission { at, outputs } = emission;
        for output in &outputs {
            if let Output::Alert(alert) = output {
                self.keep(Alert::clone(alert), at);
            }
        }
        self.publish_waiting().await;
        let (mut observed, mut proposed, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for output in outputs {
            match output {
                // These were kept above, to be told before anything is done.
                Output::Alert(_) => {}
                Output::Observe(name, observation) => observed.push((name, observation)),
                Output::Propose(proposal) => proposed.push(proposal),
                Output::Ask(asked) => {
                    if self.lease.holds() {
                        self.consultants.offer(*asked);
                    }
                }
                Output::Report(report) => reports.push(report),
            }
        }
        // The actuator looks for the reading behind an action as soon as it sees the action.
        stream::iter(observed)
            .for_each_concurrent(AT_ONCE, |(name, observation)| {
                self.observe(name, observation)
            })
            .await;
        let created: Vec<Option<Alert>> = stream::iter(proposed)
            .map(|proposal| self.propose(*proposal))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for alert in created.into_iter().flatten() {
            self.keep(alert, at);
        }
        for report in reports {
            if !self.lease.holds() {
                // Another replica writes the statuses now, and may write others.
                self.written.clear();
                return;
            }
            self.report(*report, at).await;
        }
        self.publish_waiting().await;
    }

    fn keep(&mut self, alert: Alert, at: Timestamp) {
        self.waiting.push_back((alert, at));
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
            self.telemetry.count_undelivered("alert", "TooManyWaiting");
        }
    }

    /// Publishes the alerts that the stream does not have yet, in their order.
    async fn publish_waiting(&mut self) {
        let told = Arc::clone(&self.told);
        self.waiting.retain(|(alert, at)| {
            let id = alert.clone().envelope(PROGRAM, *at).id;
            !lock(&told).has(&id)
        });
        while self.lease.holds() {
            let Some((alert, at)) = self.waiting.front().cloned() else {
                return;
            };
            let event = alert.clone().envelope(PROGRAM, at);
            let published = self.bus.publish_alert(alert, PROGRAM, at).await;
            if let Err(error) = published {
                self.telemetry.count_undelivered("alert", error.reason());
                tracing::warn!(error = chain(&error), "alert not published; it waits");
                return;
            }
            let kind = event.data.kind.event_type();
            self.telemetry.alerts.get_or_create(&OfKind { kind }).inc();
            let alert = &event.data;
            tracing::info!(
                namespace = alert.namespace,
                policy = alert.policy,
                trigger = alert.trigger,
                target = %alert.target,
                kind,
                "alert"
            );
            lock(&self.told).hear(&event);
            self.waiting.pop_front();
        }
    }

    /// Creates an action, and returns what to tell of it. One that is there
    /// already, of another replica or a run before, is just as good.
    async fn propose(&self, proposal: Proposal) -> Option<Alert> {
        if !self.lease.holds() {
            return None;
        }
        let Proposal {
            recommendation,
            alert,
        } = proposal;
        let (namespace, name) = recommendation.name;
        let labels = [
            (POLICY_LABEL, label_value(&alert.policy)),
            (TRIGGER_LABEL, label_value(&alert.trigger)),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value));
        let mut action = HealingAction::new(&name, recommendation.spec);
        action.metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        };
        let how = PostParams {
            dry_run: false,
            field_manager: Some(MANAGER.to_owned()),
        };
        let api: Api<HealingAction> = Api::namespaced(self.client.0.clone(), &namespace);
        match api.create(&how, &action).await {
            Ok(_) => {
                self.telemetry.proposed.inc();
                tracing::info!(namespace, action = name, target = %alert.target, "action proposed");
                Some(alert)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Some(alert),
            Err(error) => {
                self.telemetry.count_undelivered("action", reason(&error));
                tracing::warn!(
                    namespace,
                    action = name,
                    error = chain(&error),
                    "action not created"
                );
                None
            }
        }
    }

    async fn observe(&self, name: ActionName, observation: Box<Observation>) {
        if !self.lease.holds() {
            return;
        }
        let subject = self.bus.subjects.observation(&name.0, &name.1);
        let Ok(payload) = serde_json::to_vec(&*observation) else {
            self.telemetry.count_undelivered("observation", "Encode");
            return;
        };
        let published = self
            .bus
            .publish(&subject, HeaderMap::new(), payload.into(), None);
        if let Err(error) = published.await {
            self.telemetry
                .count_undelivered("observation", error.reason());
            tracing::warn!(error = chain(&error), "observation not published");
        }
    }

    async fn report(&mut self, mut report: PolicyReport, at: Timestamp) {
        for state in self.consultants.states(at) {
            let mut advisors = report.status.advisors.iter_mut();
            if let Some(named) = advisors.find(|named| named.name == state.name) {
                *named = state;
            }
        }
        let same = self.written.get(&report.uid).is_some_and(|written| {
            let recent = at.duration_since(written.at) < REFRESH;
            let evaluated = HealingPolicyStatus {
                last_evaluated: written.status.last_evaluated,
                ..report.status.clone()
            };
            recent && evaluated == written.status
        });
        if same {
            return;
        }
        let body = serde_json::json!({
            "apiVersion": format!("{}/{}", schemas::GROUP, schemas::VERSION),
            "kind": "HealingPolicy",
            "metadata": {"name": report.name, "namespace": report.namespace, "uid": report.uid},
            "status": report.status,
        });
        let api: Api<HealingPolicy> = Api::namespaced(self.client.0.clone(), &report.namespace);
        let how = PatchParams::apply(MANAGER).force();
        match api
            .patch_status(&report.name, &how, &Patch::Apply(&body))
            .await
        {
            Ok(_) => {
                let status = report.status;
                self.written.insert(report.uid, Written { status, at });
            }
            // It was deleted, or replaced by another of its name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.written.remove(&report.uid);
            }
            Err(error) => {
                self.telemetry.count_undelivered("status", reason(&error));
                let (namespace, policy) = (report.namespace, report.name);
                tracing::warn!(
                    namespace,
                    policy,
                    error = chain(&error),
                    "status not written"
                );
            }
        }
    }
}

/// A short, bounded label for what the API server said.
fn reason(error: &kube::Error) -> &'static str {
    let kube::Error::Api(status) = error else {
        return "Unreachable";
    };
    match status.code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        500.. => "ServerError",
        _ => "Refused",
    }
}

/// A name as a label's value: at most 63 characters, an alphanumeric at the end.
fn label_value(name: &str) -> String {
    let mut value: String = name.chars().take(63).collect();
    while value.ends_with(['-', '.', '_']) {
        value.pop();
    }
    value
}
