//! The kill switch: a `ConfigMap` in the system namespace whose existence stops all healing.
//!
//! The guard reads it from the API server at every judgement. The watch here only
//! wakes what waits, so that a pause or a resume is seen at once.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::chain;

use crate::config::PAUSE;

/// The key under which the `ConfigMap` says why.
pub const REASON: &str = "reason";

/// The key under which it says who.
pub const BY: &str = "by";

/// A pause of all healing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// Why, as the one who paused says.
    pub reason: Option<String>,
    /// Who, as the one who paused says.
    pub by: Option<String>,
    /// Since when, by the API server's clock.
    pub since: Option<Timestamp>,
}

impl Pause {
    /// What the `ConfigMap` says.
    pub fn read(switch: &ConfigMap) -> Self {
        let data = switch.data.as_ref();
        let said = |key: &str| data.and_then(|data: &BTreeMap<_, _>| data.get(key).cloned());
        let created = switch.metadata.creation_timestamp.as_ref();
        Self {
            reason: said(REASON),
            by: said(BY),
            since: created.map(|created| created.0),
        }
    }

    /// Why, by whom and since when, in a phrase.
    pub fn told(&self) -> String {
        let Self { reason, by, since } = self;
        let why = reason.as_deref().unwrap_or("no reason given");
        let by = by.as_ref().map(|by| format!("by {by}"));
        let since = since.map(|since| format!("since {since}"));
        let more: Vec<_> = [by, since].into_iter().flatten().collect();
        if more.is_empty() {
            why.to_owned()
        } else {
            format!("{why} ({})", more.join(", "))
        }
    }
}

/// Yields whenever somebody pauses or resumes. A watch that fails is begun again; until
/// then, what waits looks again by itself.
pub(crate) fn switched(
    client: &Client,
    namespace: &str,
) -> impl Stream<Item = ()> + Send + 'static {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let seen = watcher::watch_object(api, PAUSE).default_backoff();
    let versions = seen.filter_map(|seen| {
        let version = match seen {
            Ok(switch) => Some(switch.and_then(|switch| switch.metadata.resource_version)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "kill switch not watched");
                None
            }
        };
        futures::future::ready(version)
    });
    let mut last = None;
    versions.filter_map(move |version| {
        // The first look is no change: every action is looked at when the lease is taken.
        let is_new = last.as_ref().is_some_and(|last| *last != version);
        last = Some(version);
        futures::future::ready(is_new.then_some(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pause_tells_why_by_whom_and_since_when_as_far_as_it_is_known() {
        let read = |value| Pause::read(&serde_json::from_value(value).unwrap()).told();
        let full = json!({
            "metadata": {"creationTimestamp": "2030-01-01T12:00:00Z"},
            "data": {"reason": "incident 7", "by": "ada"},
        });
        assert_eq!(
            read(full),
            "incident 7 (by ada, since 2030-01-01T12:00:00Z)"
        );
        assert_eq!(read(json!({"metadata": {}})), "no reason given");
    }
}
