//! Where facts come from: watches of the API server, the metrics API, and a
//! subscription on NATS, as anybody may have one.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use schemas::action::HealingAction;
use schemas::policy::HealingPolicy;
use schemas::quantity;
use schemas::subject::{self, Subjects};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::fact::{Fact, PodView};

/// How often the metrics API is asked. It has news every ten seconds or so.
const USAGE_EVERY: Duration = Duration::from_secs(2);

/// How often time itself is a fact, so that the screen follows.
const TICK: Duration = Duration::from_millis(500);

/// Starts every source but the bus; they end when the set is dropped.
pub(crate) fn follow(
    client: &Client,
    namespace: &str,
    facts: &UnboundedSender<Fact>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(send_all(
        watch(client, namespace, |pod: Pod, is_there| {
            let view = PodView::of(&pod);
            Some(if is_there {
                Fact::Pod(view)
            } else {
                Fact::PodGone(view.uid)
            })
        }),
        facts.clone(),
    ));
    tasks.spawn(send_all(
        watch(client, namespace, |policy: HealingPolicy, is_there| {
            is_there.then(|| Fact::Policy(Box::new(policy)))
        }),
        facts.clone(),
    ));
    tasks.spawn(send_all(
        watch(client, namespace, |action: HealingAction, is_there| {
            is_there.then(|| Fact::Action(Box::new(action)))
        }),
        facts.clone(),
    ));
    tasks.spawn(usage(client.clone(), namespace.to_owned(), facts.clone()));
    tasks.spawn(ticks(facts.clone()));
    tasks
}

async fn send_all(stream: impl Stream<Item = Fact>, facts: UnboundedSender<Fact>) {
    let mut stream = std::pin::pin!(stream);
    while let Some(fact) = stream.next().await {
        if facts.send(fact).is_err() {
            return;
        }
    }
}

/// Every object of a kind, whenever it changes; `fact` is told whether it is still there.
fn watch<K, F>(client: &Client, namespace: &str, fact: F) -> impl Stream<Item = Fact> + use<K, F>
where
    F: Fn(K, bool) -> Option<Fact>,
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Send
        + serde::de::DeserializeOwned
        + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    watcher(api, watcher::Config::default())
        .default_backoff()
        .filter_map(move |event| {
            let fact = match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => fact(object, true),
                Ok(Event::Delete(object)) => fact(object, false),
                // the watch is taken up again by itself
                Ok(Event::Init | Event::InitDone) | Err(_) => None,
            };
            std::future::ready(fact)
        })
}

/// Asks the metrics API again and again.
async fn usage(client: Client, namespace: String, facts: UnboundedSender<Fact>) {
    let resource = ApiResource {
        group: "metrics.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metrics.k8s.io/v1beta1".to_owned(),
        kind: "PodMetrics".to_owned(),
        plural: "pods".to_owned(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &resource);
    let mut every = tokio::time::interval(USAGE_EVERY);
    loop {
        every.tick().await;
        // an answer that does not come is a line that stays as it is
        let Ok(list) = api.list(&ListParams::default()).await else {
            continue;
        };
        let pods = list.items.iter().filter_map(|pod| {
            let containers = pod.data.get("containers")?.as_array()?;
            let bytes = containers.iter().filter_map(memory).sum();
            Some((pod.metadata.name.clone()?, bytes))
        });
        if facts.send(Fact::Usage(pods.collect())).is_err() {
            return;
        }
    }
}

fn memory(container: &Value) -> Option<f64> {
    let text = container.get("usage")?.get("memory")?.as_str()?;
    quantity::parse(text).ok()
}

async fn ticks(facts: UnboundedSender<Fact>) {
    let mut every = tokio::time::interval(TICK);
    loop {
        every.tick().await;
        if facts.send(Fact::Tick).is_err() {
            return;
        }
    }
}

/// Subscribes to the alerts of a cluster, with no more than a NATS client.
pub(crate) async fn subscribe(
    client: &async_nats::Client,
    cluster: &str,
    tasks: &mut JoinSet<()>,
    facts: UnboundedSender<Fact>,
) -> anyhow::Result<()> {
    let subject = Subjects::new(cluster).all(subject::Stream::Alerts);
    let alerts = client
        .subscribe(subject.to_string())
        .await
        .with_context(|| format!("failed to subscribe to {subject}"))?;
    client.flush().await.context("failed to subscribe")?;
    let facts_of = |message: async_nats::Message| {
        let event = serde_json::from_slice(&message.payload);
        std::future::ready(Some(match event {
            Ok(event) => Fact::Alert(Box::new(event)),
            Err(error) => Fact::Said(format!("an alert that cannot be read: {error}")),
        }))
    };
    tasks.spawn(send_all(alerts.filter_map(facts_of), facts));
    Ok(())
}
