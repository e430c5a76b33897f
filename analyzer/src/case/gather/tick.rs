//! What all cases of a tick share: read once, whatever their number.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::{object::ObjectState, target::Target};

use super::{
    dependency::{self, Behind},
    neighbour::{self, Neighbours},
    view::{self, View},
};
use crate::{
    case::{Sources, group::Group},
    window::{ContainerName, Happened, Histories, History, Span},
};

/// What a tick knows.
pub(super) struct Tick<'a> {
    /// The inventory, the window and the actions.
    pub(super) sources: Sources<'a>,
    /// Nodes of the cluster, by name.
    nodes: BTreeMap<&'a str, &'a ObjectState>,
    /// Those of them that are not ready.
    pub(super) not_ready: u32,
    /// Since when each owner in trouble is, by UID.
    pub(super) onsets: BTreeMap<&'a str, Timestamp>,
    /// Services that pods of the cases call, and who is behind them.
    pub(super) behind: Behind<'a>,
    /// The largest users of each node that a case has a pod on.
    pub(super) neighbours: Neighbours<'a>,
    histories: Histories<'a>,
    events: BTreeMap<&'a str, Vec<Happened<'a>>>,
}

impl<'a> Tick<'a> {
    /// Reads what the views of all cases need.
    pub(super) fn new(
        groups: &[&'a Group<'a>],
        views: &[Vec<View<'a>>],
        sources: &Sources<'a>,
    ) -> Self {
        let all = || views.iter().flatten();
        let pods: Vec<&'a ObjectState> = all().flat_map(|view| view.pods.iter().copied()).collect();
        let services = all().filter_map(|view| view.owner);
        let services: Vec<&ObjectState> =
            services.filter(|owner| owner.service.is_some()).collect();
        let nodes = sources.inventory.nodes();
        let nodes: BTreeMap<&str, &ObjectState> = nodes
            .map(|node| (node.target.name.as_str(), node))
            .collect();
        let not_ready = nodes.values().filter(|node| !node.is_ready()).count();
        let onsets = groups
            .iter()
            .flat_map(|group| &group.ailing)
            .map(|ailing| (ailing.owner.uid.as_str(), ailing.since()));
        Self {
            sources: *sources,
            not_ready: count(not_ready),
            neighbours: neighbour::largest(all(), &nodes, sources),
            nodes,
            onsets: onsets.collect(),
            behind: dependency::behind(&pods, sources, &services),
            histories: histories(&pods, sources),
            events: events(all(), sources),
        }
    }

    /// The node of this name.
    pub(super) fn node(&self, name: &str) -> Option<&'a ObjectState> {
        self.nodes.get(name).copied()
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> u32 {
        count(self.nodes.len())
    }

    /// Event time of the tick.
    pub(super) fn at(&self) -> Timestamp {
        self.sources.at
    }

    /// How long ago an instant was.
    pub(super) fn ago(&self, then: Timestamp) -> SignedDuration {
        self.at().duration_since(then)
    }

    /// What a container did; of a pod as a whole where the name is empty.
    pub(super) fn history<'s>(
        &'s self,
        pod: &'s Target,
        container: &'s str,
    ) -> Option<&'s History> {
        self.histories.get(&(pod.uid.as_str(), container))
    }

    /// What events there are about an object, the oldest first.
    pub(super) fn events(&self, target: &Target) -> impl Iterator<Item = &Happened<'a>> {
        let of = |key: &str| self.events.get(key).into_iter().flatten();
        // Kubelets put the name of their node where its UID belongs.
        let by_name = if target.kind == "Node" {
            target.name.as_str()
        } else {
            ""
        };
        of(&target.uid).chain(of(by_name))
    }
}

/// A count of objects.
pub(super) fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// The whole of the window.
pub(super) fn whole(sources: &Sources<'_>) -> Span {
    Span {
        after: i64::MIN,
        until: sources.at.as_millisecond(),
    }
}

fn histories<'a>(pods: &[&'a ObjectState], sources: &Sources<'a>) -> Histories<'a> {
    let names = pods.iter().copied().flat_map(|pod| {
        let uid = pod.target.uid.as_str();
        let containers = view::containers(pod).map(move |one| (uid, one.name.as_str()));
        let whole: ContainerName<'_> = (uid, "");
        containers.chain([whole])
    });
    sources.window.histories(names, whole(sources))
}

fn events<'a, 'v>(
    views: impl Iterator<Item = &'v View<'a>>,
    sources: &Sources<'a>,
) -> BTreeMap<&'a str, Vec<Happened<'a>>>
where
    'a: 'v,
{
    let mut uids: BTreeSet<&str> = BTreeSet::new();
    for view in views {
        for target in super::events::subjects(view, sources) {
            uids.insert(&target.uid);
            if target.kind == "Node" {
                uids.insert(&target.name);
            }
        }
    }
    let mut found: BTreeMap<&str, Vec<Happened<'_>>> = BTreeMap::new();
    if uids.is_empty() {
        return found;
    }
    uids.remove("");
    for happened in sources.window.events_about(&uids) {
        found
            .entry(&happened.target.uid)
            .or_default()
            .push(happened);
    }
    found
}
