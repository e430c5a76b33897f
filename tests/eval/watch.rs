//! Looks at what KubeSkippy says and does: at its objects through the API server, and at the bus as any subscriber may.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client};
use schemas::action::HealingAction;
use schemas::advice::Advice;
use schemas::alert::Alert;
use schemas::envelope::Envelope;
use schemas::policy::HealingPolicy;
use schemas::subject::{Stream, Subjects};
use tokio::task::JoinSet;

use crate::progress::Voice;
use crate::seen::Seen;

/// How often objects are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What was seen, shared by those who look.
pub(crate) type SharedSeen = Arc<Mutex<Seen>>;

/// Where to look.
#[derive(Clone)]
pub(crate) struct Place {
    /// The API server.
    pub(crate) client: Client,
    /// The bus.
    pub(crate) nats: async_nats::Client,
    /// The cluster's name on the bus.
    pub(crate) cluster: String,
    /// Namespace and name of each policy of the scenario.
    pub(crate) policies: Vec<(String, String)>,
}

/// Does something with what was seen; nobody holds it across a wait.
pub(crate) fn with<T>(seen: &SharedSeen, what: impl FnOnce(&mut Seen) -> T) -> T {
    what(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Begins to look; the looking ends when the set is dropped.
pub(crate) async fn watch(place: &Place, voice: &Voice) -> Result<(SharedSeen, JoinSet<()>)> {
    let seen = SharedSeen::default();
    let mut tasks = JoinSet::new();
    let subjects = Subjects::new(&place.cluster);
    let mut alerts = subscribe(place, &subjects, Stream::Alerts).await?;
    let mut advice = subscribe(place, &subjects, Stream::Advice).await?;
    let (heard, tell) = (Arc::clone(&seen), voice.clone());
    tasks.spawn(async move {
        while let Some(message) = alerts.next().await {
            let at = runtime::clock::now();
            match serde_json::from_slice::<Envelope<Alert>>(&message.payload) {
                Ok(event) => tell.say_all(with(&heard, |seen| seen.alert(at, &event.data))),
                Err(error) => tell.say(&format!("an alert that cannot be read: {error}")),
            }
        }
    });
    let (heard, tell) = (Arc::clone(&seen), voice.clone());
    tasks.spawn(async move {
        while let Some(message) = advice.next().await {
            if let Ok(reply) = serde_json::from_slice::<Advice>(&message.payload) {
                tell.say(&with(&heard, |seen| seen.advice(&reply)));
            }
        }
    });
    tasks.spawn(look(place.clone(), Arc::clone(&seen), voice.clone()));
    Ok((seen, tasks))
}

async fn subscribe(
    place: &Place,
    subjects: &Subjects,
    stream: Stream,
) -> Result<async_nats::Subscriber> {
    let subject = subjects.all(stream);
    let subscriber = place.nats.subscribe(subject.to_string()).await;
    let subscriber = subscriber.with_context(|| format!("failed to subscribe to {subject}"))?;
    place.nats.flush().await.context("failed to subscribe")?;
    Ok(subscriber)
}

async fn look(place: Place, seen: SharedSeen, voice: Voice) {
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // an answer that does not come is one look less
        if let Ok((policies, actions)) = objects(&place).await {
            let at: Timestamp = runtime::clock::now();
            voice.say_all(with(&seen, |seen| seen.policies(at, &policies)));
            voice.say_all(with(&seen, |seen| seen.actions(at, actions)));
        }
    }
}

/// The scenario's policies, and the actions under them.
pub(crate) async fn objects(place: &Place) -> Result<(Vec<HealingPolicy>, Vec<HealingAction>)> {
    let (mut policies, mut actions) = (Vec::new(), Vec::new());
    for (namespace, name) in &place.policies {
        let api: Api<HealingPolicy> = Api::namespaced(place.client.clone(), namespace);
        policies.extend(api.get_opt(name).await?);
        let api: Api<HealingAction> = Api::namespaced(place.client.clone(), namespace);
        let of_policy = ListParams::default().fields(&format!("spec.policyName={name}"));
        actions.extend(api.list(&of_policy).await?);
    }
    Ok((policies, actions))
}
