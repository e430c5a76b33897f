//! Watches `events.k8s.io/v1`.
//!
//! Deletions say nothing: the API server drops every Event an hour after its
//! last occurrence.

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};

use super::Source;
use crate::reading::{Reading, event};

/// A watch of the Events of one namespace, or of all.
pub struct Events {
    client: Client,
    namespace: Option<String>,
}

/// A watch for each namespace.
pub fn all(client: &Client, namespaces: &[String]) -> Vec<Box<dyn Source>> {
    let watch = |namespace| {
        let client = client.clone();
        Box::new(Events { client, namespace }) as Box<dyn Source>
    };
    match namespaces {
        [] => vec![watch(None)],
        names => names.iter().map(|name| watch(Some(name.clone()))).collect(),
    }
}

/// The names of the watches, as their readings spell them.
pub fn names(namespaces: &[String]) -> Vec<String> {
    match namespaces {
        [] => vec![name(None)],
        names => names.iter().map(|each| name(Some(each))).collect(),
    }
}

fn name(namespace: Option<&str>) -> String {
    namespace.map_or_else(
        || "events".to_owned(),
        |namespace| format!("events in {namespace}"),
    )
}

impl Source for Events {
    fn readings(self: Box<Self>) -> BoxStream<'static, Reading> {
        let name = name(self.namespace.as_deref());
        let api: Api<Event> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        watcher(api, watcher::Config::default())
            .default_backoff()
            .flat_map(move |event| stream::iter(readings(&name, event)))
            .boxed()
    }
}

fn readings(name: &str, event: watcher::Result<watcher::Event<Event>>) -> Vec<Reading> {
    let works = || Reading::Works(name.to_owned());
    let told = |event: &Event| event::read(event).map(|event| Reading::Event(Box::new(event)));
    match event {
        Ok(watcher::Event::Init) => Vec::new(),
        Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => vec![works()],
        Ok(watcher::Event::InitApply(event)) => told(&event).into_iter().collect(),
        Ok(watcher::Event::Apply(event)) => told(&event).into_iter().chain([works()]).collect(),
        Err(error) => vec![Reading::Broken(name.to_owned(), runtime::chain(&error))],
    }
}
