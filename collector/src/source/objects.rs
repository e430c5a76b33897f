//! Watches pods, nodes, workloads, autoscalers and disruption budgets.
//!
//! In: the API server's lists and watches. Out: what was seen, pruned while it
//! is parsed. `ReplicaSets` are watched by their metadata alone.

use std::fmt::Debug;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::WatchParams,
    core::{DynamicResourceScope, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use schemas::object::ObjectState;
use serde::de::DeserializeOwned;

use super::Source;
use crate::{
    kind::Kind,
    reading::{
        Key, Reading, Scope, Seen, autoscaler, base,
        budget::{self, Budget},
        node, pod,
        workload::{self, Workload},
    },
};

/// Objects in one page of a list: what kubectl and client-go use.
const PAGE: u32 = 500;
/// First minor version whose servers stream lists by default.
const STREAMS_SINCE: u32 = 34;

/// A watch of the objects of one scope.
pub struct Objects {
    client: Client,
    scope: Scope,
    streaming: bool,
}

/// A watch for each kind and namespace.
pub async fn all(client: &Client, namespaces: &[String]) -> Vec<Box<dyn Source>> {
    let scopes = scopes(namespaces);
    let streaming = streams_lists(client, &scopes).await;
    tracing::info!(watches = scopes.len(), streaming, "watching objects");
    scopes
        .into_iter()
        .map(|scope| {
            let client = client.clone();
            Box::new(Objects {
                client,
                scope,
                streaming,
            }) as Box<dyn Source>
        })
        .collect()
}

/// What is watched: each kind, in each of the namespaces or everywhere.
pub fn scopes(namespaces: &[String]) -> Vec<Scope> {
    let everywhere = |kind| Scope {
        kind,
        namespace: None,
    };
    Kind::ALL
        .into_iter()
        .flat_map(|kind| match namespaces {
            [] => vec![everywhere(kind)],
            _ if !kind.is_namespaced() => vec![everywhere(kind)],
            names => names
                .iter()
                .map(|name| Scope {
                    kind,
                    namespace: Some(name.clone()),
                })
                .collect(),
        })
        .collect()
}

/// Whether the server streams lists: new enough, and it does not refuse when asked.
///
/// kube has no fallback of its own: on a server that refuses, such a watch would
/// try for ever. Budgets are asked for because there are few of them.
async fn streams_lists(client: &Client, scopes: &[Scope]) -> bool {
    let Ok(version) = client.apiserver_version().await else {
        return false;
    };
    let minor = version.minor.trim_end_matches('+').parse().unwrap_or(0);
    if version.major == "1" && minor < STREAMS_SINCE {
        return false;
    }
    let Some(scope) = scopes.iter().find(|scope| scope.kind == Kind::Budget) else {
        return false;
    };
    let asked = WatchParams::default().initial_events().timeout(1);
    api::<Budget>(client, scope)
        .watch(&asked, "0")
        .await
        .is_ok()
}

impl Source for Objects {
    fn readings(self: Box<Self>) -> BoxStream<'static, Reading> {
        let kind = self.scope.kind;
        match kind {
            Kind::Pod => self.watch(pod::read),
            Kind::Node => self.watch(node::read),
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
                self.watch(move |seen: &Workload, now| workload::read(kind, seen, now))
            }
            Kind::ReplicaSet => self.watch(owner_only),
            Kind::Autoscaler => self.watch(autoscaler::read),
            Kind::Budget => self.watch(budget::read),
        }
    }
}

/// A `ReplicaSet` is known only as a link between pods and a Deployment.
fn owner_only(set: &PartialObjectMeta<Workload>, now: Timestamp) -> ObjectState {
    let mut state = base(Kind::ReplicaSet, &set.metadata, now);
    state.labels.clear();
    state.annotations.clear();
    state
}

impl Objects {
    fn watch<K, F>(&self, read: F) -> BoxStream<'static, Reading>
    where
        K: Watchable,
        F: Fn(&K, Timestamp) -> ObjectState + Send + 'static,
    {
        let config = if self.streaming {
            watcher::Config::default().streaming_lists()
        } else {
            watcher::Config::default().page_size(PAGE)
        };
        let scope = self.scope.clone();
        watcher(api::<K>(&self.client, &scope), config)
            .default_backoff()
            .flat_map(move |event| stream::iter(readings(&scope, event, &read)))
            .boxed()
    }
}

/// What can be watched here.
trait Watchable:
    Resource<DynamicType = Kind, Scope = DynamicResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
}

impl<K> Watchable for K where
    K: Resource<DynamicType = Kind, Scope = DynamicResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static
{
}

fn api<K: Watchable>(client: &Client, scope: &Scope) -> Api<K> {
    match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &scope.kind),
        None => Api::all_with(client.clone(), &scope.kind),
    }
}

/// What a watch's event says, and that the watch works.
fn readings<K: Watchable>(
    scope: &Scope,
    event: watcher::Result<watcher::Event<K>>,
    read: &impl Fn(&K, Timestamp) -> ObjectState,
) -> Vec<Reading> {
    let works = || Reading::Works(scope.to_string());
    let seen = |object: &K| {
        Reading::Seen(
            scope.clone(),
            Box::new(Seen {
                state: read(object, runtime::clock::now()),
                version: object.resource_version().unwrap_or_default(),
            }),
        )
    };
    match event {
        // The list has only been asked for: it may still fail.
        Ok(watcher::Event::Init) => vec![Reading::Listing(scope.clone())],
        Ok(watcher::Event::InitApply(object)) => vec![seen(&object)],
        Ok(watcher::Event::InitDone) => vec![Reading::Listed(scope.clone()), works()],
        Ok(watcher::Event::Apply(object)) => vec![seen(&object), works()],
        Ok(watcher::Event::Delete(object)) => vec![gone(scope, &object), works()],
        Err(error) => vec![Reading::Broken(scope.to_string(), runtime::chain(&error))],
    }
}

fn gone<K: Watchable>(scope: &Scope, object: &K) -> Reading {
    let key = Key {
        kind: scope.kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    Reading::Gone(scope.clone(), key, object.uid().unwrap_or_default())
}
