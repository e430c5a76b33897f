//! Services: how many endpoints they have, and which pods call them.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemas::{
    object::{ObjectState, ServiceName},
    target::Target,
};

use crate::{
    kind::Kind,
    reading::{
        Key, Seen,
        endpoints::{FAMILY, SERVICE},
    },
};

/// The slices of every Service.
#[derive(Debug, Default)]
pub(super) struct Slices(HashMap<Key, BTreeSet<Key>>);

impl Slices {
    /// Takes note that the slice at `key` is `present` now and was `previous`; returns the Services
    /// that it is of, or was.
    pub(super) fn changed(
        &mut self,
        key: &Key,
        previous: Option<&ObjectState>,
        present: Option<&ObjectState>,
    ) -> Vec<Key> {
        let before = previous.and_then(service_of);
        let now = present.and_then(service_of);
        if before != now
            && let Some(service) = &before
            && let Some(slices) = self.0.get_mut(service)
        {
            slices.remove(key);
            if slices.is_empty() {
                self.0.remove(service);
            }
        }
        if let Some(service) = &now {
            let slices = self.0.entry(service.clone()).or_default();
            slices.insert(key.clone());
        }
        let mut services: Vec<_> = before.into_iter().chain(now).collect();
        services.dedup();
        services
    }

    /// The slices of a Service.
    pub(super) fn of(&self, service: &Target) -> impl Iterator<Item = &Key> {
        let key = key_of(&service.namespace, &service.name);
        self.0.get(&key).into_iter().flatten()
    }
}

/// Endpoints in `slices` that are ready, and that are not.
///
/// A Service with two families of addresses has every endpoint in both, so the families are
/// counted each by itself and the fuller one is taken.
pub(super) fn count<'a>(
    objects: &BTreeMap<Key, Seen>,
    slices: impl Iterator<Item = &'a Key>,
) -> (u32, u32) {
    let mut families: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for slice in slices {
        let state = objects.get(slice).map(|seen| &seen.state);
        let Some((state, counted)) =
            state.and_then(|state| state.service.as_ref().map(|counted| (state, counted)))
        else {
            continue;
        };
        let family = state.labels.get(FAMILY).map_or("", String::as_str);
        let (ready, not_ready) = families.entry(family).or_default();
        *ready = ready.saturating_add(counted.ready);
        *not_ready = not_ready.saturating_add(counted.not_ready);
    }
    let fullness = |(ready, not_ready): &(u32, u32)| ready.saturating_add(*not_ready);
    let counts = families.into_values();
    counts.max_by_key(fullness).unwrap_or_default()
}

/// The pods that may call the Service at `key`.
pub(super) fn callers<'a>(pods: impl Iterator<Item = (&'a Key, &'a Seen)>, key: &Key) -> Vec<Key> {
    let is_it = |called: &ServiceName| called.name == key.name && called.namespace == key.namespace;
    pods.filter(|(_, seen)| {
        let pod = seen.state.pod.as_ref();
        pod.is_some_and(|pod| pod.calls.iter().any(is_it))
    })
    .map(|(key, _)| key.clone())
    .collect()
}

/// Whether there is a Service called `called`, and it does not send to the pod itself.
pub(super) fn is_called(
    objects: &BTreeMap<Key, Seen>,
    called: &ServiceName,
    pod: &ObjectState,
) -> bool {
    let key = key_of(&called.namespace, &called.name);
    let Some(Seen { state, .. }) = objects.get(&key) else {
        return false;
    };
    let selector = state.service.iter().flat_map(|service| &service.selector);
    let mut labels = selector.peekable();
    let is_own = called.namespace == pod.target.namespace
        && labels.peek().is_some()
        && labels.all(|(label, value)| pod.labels.get(label) == Some(value));
    !is_own
}

/// The Service that a slice names.
fn service_of(slice: &ObjectState) -> Option<Key> {
    let name = slice.labels.get(SERVICE)?;
    Some(key_of(&slice.target.namespace, name))
}

fn key_of(namespace: &str, name: &str) -> Key {
    Key {
        kind: Kind::Service,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
