//! Watches pods, nodes, workloads and their revisions, autoscalers, disruption
//! budgets, Services, volume claims and quotas.
//!
//! In: the API server's lists and watches. Out: what was seen, pruned while it
//! is parsed.

use std::{fmt::Debug, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::WatchParams,
    core::DynamicResourceScope,
    runtime::{WatchStreamExt, watcher},
};
use runtime::lease::Lease;
use schemas::object::ObjectState;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::Source;
use crate::{
    kind::Kind,
    reading::{
        Key, Reading, Scope, Seen, autoscaler,
        budget::{self, Budget},
        claim, endpoints, node, pod, quota, revision, service,
        template::DigestKey,
        workload::{self, Workload},
    },
};

/// Objects in one page of a list: what kubectl and client-go use.
const PAGE: u32 = 500;
/// First minor version whose servers stream lists by default.
const STREAMS_SINCE: u32 = 34;

/// How long the lease may be new, or the API server away, before the lease is asked for again.
const LEASE_PAUSE: Duration = Duration::from_secs(1);

/// A watch of the objects of one scope.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    scope: Scope,
    streaming: bool,
    lease: Lease,
}

/// A watch for each kind and namespace.
pub async fn all(client: &Client, namespaces: &[String], lease: &Lease) -> Vec<Box<dyn Source>> {
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
                lease: lease.clone(),
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
            Kind::ReplicaSet => self.keyed(|watch, key| {
                watch.watch(move |seen, now| revision::read_set(seen, &key, now))
            }),
            Kind::ControllerRevision => self
                .keyed(|watch, key| watch.watch(move |seen, now| revision::read(seen, &key, now))),
            Kind::Autoscaler => self.watch(autoscaler::read),
            Kind::Budget => self.watch(budget::read),
            Kind::Service => self.watch(service::read),
            Kind::EndpointSlice => self.watch(endpoints::read),
            Kind::Claim => self.watch(claim::read),
            Kind::Quota => self.watch(quota::read),
        }
    }
}

/// The key of digests: it follows from the UID of the collector's lease, which every replica can
/// read, which outlives them all, and which is told nowhere.
async fn key(lease: Lease) -> DigestKey {
    loop {
        match lease.uid().await {
            Ok(Some(uid)) => return DigestKey::new(&uid),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(error = runtime::chain(&error), "lease not read");
            }
        }
        sleep(LEASE_PAUSE).await;
    }
}

impl Objects {
    /// A watch that begins once the key of digests is known.
    fn keyed<F>(&self, watch: F) -> BoxStream<'static, Reading>
    where
        F: Fn(&Self, DigestKey) -> BoxStream<'static, Reading> + Send + 'static,
    {
        let this = self.clone();
        stream::once(key(this.lease.clone()))
            .flat_map(move |key| watch(&this, key))
            .boxed()
    }

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
