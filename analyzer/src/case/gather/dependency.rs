//! Owners that an owner's pods call, and since when those are in trouble.
//!
//! Which Services a pod calls is read off its environment, so a call that is
//! configured elsewhere is not seen, and one that is never made is.
//!
//! Who is behind a Service costs a look at the pods of its namespace. It is
//! asked once per tick and Service, and of so many pods in all.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::{object::ObjectState, target::Target};

use super::{
    Draft,
    tick::{Tick, count},
    view::View,
};
use crate::{case::Sources, evidence::Fact, inventory};

/// Calls of an owner that are told.
const MOST: usize = 8;
/// Pods whose labels are looked at in a tick: some 20 ms.
const MOST_LOOKS: usize = 300_000;

/// Who is behind Services, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Behind<'a>(BTreeMap<(&'a str, &'a str), Answer<'a>>);

#[derive(Debug)]
struct Answer<'a> {
    service: &'a ObjectState,
    /// Pods that its selector matches.
    pods: Vec<&'a ObjectState>,
}

/// Looks at who is behind the Services that these pods call, that select them, or that are in trouble.
pub(super) fn behind<'a>(
    pods: &[&'a ObjectState],
    sources: &Sources<'a>,
    services: &[&'a ObjectState],
) -> Behind<'a> {
    let inventory = sources.inventory;
    let called = pods.iter().flat_map(|state| {
        let calls = state.pod.iter().flat_map(|pod| &pod.calls).take(MOST);
        calls.filter_map(|call| inventory.service(&call.namespace, &call.name))
    });
    let selecting = pods
        .iter()
        .flat_map(|pod| inventory.services_selecting(pod).take(2));
    let mut behind = Behind::default();
    let mut left = MOST_LOOKS;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for service in services.iter().copied().chain(called).chain(selecting) {
        let target = &service.target;
        let name = (target.namespace.as_str(), target.name.as_str());
        if behind.0.contains_key(&name) {
            continue;
        }
        let size = *sizes
            .entry(name.0)
            .or_insert_with(|| inventory.in_namespace("Pod", name.0).count());
        if size > left {
            continue;
        }
        left -= size;
        let pods = inventory.pods_behind(service).collect();
        behind.0.insert(name, Answer { service, pods });
    }
    behind
}

impl Behind<'_> {
    fn answer<'s>(&'s self, namespace: &'s str, name: &'s str) -> Option<&'s Answer<'s>> {
        self.0.get(&(namespace, name))
    }

    /// How many pods a Service selects, if it was looked at.
    pub(super) fn selected(&self, service: &ObjectState) -> Option<u32> {
        let Target {
            namespace, name, ..
        } = &service.target;
        self.answer(namespace, name)
            .map(|answer| count(answer.pods.len()))
    }

    /// The Services that a pod calls and that select nothing, and have no endpoint from elsewhere.
    pub(super) fn empty<'s>(
        &'s self,
        pod: &'s ObjectState,
    ) -> impl Iterator<Item = &'s ObjectState> {
        let calls = pod.pod.iter().flat_map(|pod| &pod.calls).take(MOST);
        calls.filter_map(|call| {
            let answer = self.answer(&call.namespace, &call.name)?;
            let state = answer.service.service.as_ref()?;
            let empty = answer.pods.is_empty() && state.ready == 0 && !state.selector.is_empty();
            empty.then_some(answer.service)
        })
    }
}

/// The owners that an owner's first pod calls.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let Some(pod) = view.pods.first() else {
        return Vec::new();
    };
    let calls = pod.pod.iter().flat_map(|pod| &pod.calls).take(MOST);
    let called = calls.filter_map(|call| tick.behind.answer(&call.namespace, &call.name));
    let drafts = called.filter_map(|answer| {
        let (on, failed_at) = on(answer, tick);
        let itself = on.uid == view.target().uid;
        let worth = if failed_at.is_some() { 90 } else { 41 };
        let since = failed_at.or(pod.created_at).unwrap_or(pod.observed_at);
        let fact = Fact::Dependency { on, failed_at };
        (!itself).then(|| Draft::new(worth, view.target(), since, fact).later(view.place, 0))
    });
    drafts.collect()
}

/// The owner behind a Service, the Service itself where nobody is, and since when it is in trouble.
fn on(answer: &Answer<'_>, tick: &Tick<'_>) -> (Target, Option<Timestamp>) {
    let service = &answer.service.target;
    let alive = || answer.pods.iter().copied().filter(|pod| !pod.terminating);
    let Some(pod) = alive().next() else {
        let since = tick.onsets.get(service.uid.as_str()).copied();
        return (service.clone(), since);
    };
    let owner = pod.top_owner();
    let target = Target {
        api_version: owner.api_version,
        kind: owner.kind,
        namespace: pod.target.namespace.clone(),
        name: owner.name,
        uid: owner.uid,
    };
    let found = tick.onsets.get(target.uid.as_str()).copied();
    let since = found.or_else(|| unserved(alive()));
    (target, since)
}

/// Since when no pod is ready: since the last of them ceased to be.
fn unserved<'a>(pods: impl Iterator<Item = &'a ObjectState>) -> Option<Timestamp> {
    let mut since = None;
    for pod in pods {
        if inventory::is_ready(pod) {
            return None;
        }
        let ready = pod.condition("Ready").and_then(|ready| ready.since);
        since = since.max(ready);
    }
    since
}
