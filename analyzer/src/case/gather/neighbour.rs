//! Who else takes a large part of the node that a sick pod is on.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    diagnosis::Provenance,
    object::{ObjectState, Owner},
    target::Target,
};

use super::{
    Draft, series,
    tick::{Tick, whole},
    view::{View, containers},
};
use crate::{
    case::Sources,
    evidence::Fact,
    window::{ContainerName, Histories, Span, Values},
};

/// Nodes that are looked at in a tick.
const MOST_NODES: usize = 32;
/// Pods of a node that are looked at: more than twice what a kubelet takes by default.
const MOST_PODS: usize = 256;
/// The largest users of a node that are remembered, of each resource.
const MOST_USERS: usize = 3;
/// The share of a node from which on a pod counts as a large user.
const LARGE: f64 = 0.2;
/// How old the newest measurement may be.
const FRESH: SignedDuration = SignedDuration::from_mins(3);

/// The largest users by the name of their node.
pub(super) type Neighbours<'a> = BTreeMap<&'a str, Vec<User<'a>>>;

/// A large user of a node.
#[derive(Clone, Debug)]
pub(super) struct User<'a> {
    pod: &'a ObjectState,
    resource: &'static str,
    share: f64,
    over_request: Option<f64>,
    since: Timestamp,
}

/// The largest users of the nodes that cases have pods on.
pub(super) fn largest<'a, 'v>(
    views: impl Iterator<Item = &'v View<'a>>,
    nodes: &BTreeMap<&'a str, &'a ObjectState>,
    sources: &Sources<'a>,
) -> Neighbours<'a>
where
    'a: 'v,
{
    let names = views
        .filter_map(|view| view.pods.first())
        .filter_map(|pod| {
            let name = pod.pod.as_ref()?.node.as_str();
            nodes.get(name).map(|node| node.target.name.as_str())
        });
    let names: BTreeSet<&str> = names.collect();
    let hosted: Vec<(&'a ObjectState, Vec<&'a ObjectState>)> = names
        .into_iter()
        .take(MOST_NODES)
        .filter_map(|name| {
            let pods = sources.inventory.pods_on(name).take(MOST_PODS);
            Some((*nodes.get(name)?, pods.collect()))
        })
        .collect();
    let until = sources.at.as_millisecond();
    let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    let span = Span {
        after: until.saturating_sub(fresh),
        until,
    };
    let pods = || hosted.iter().flat_map(|(_, pods)| pods.iter().copied());
    let newest = sources.window.histories(pods().flat_map(names_of), span);
    let mut users: Vec<(&str, Vec<User<'_>>)> = hosted
        .iter()
        .map(|(node, pods)| {
            (
                node.target.name.as_str(),
                users(node, pods, &newest, sources.at),
            )
        })
        .collect();
    let large = users
        .iter()
        .flat_map(|(_, users)| users)
        .map(|user| user.pod);
    let past = sources
        .window
        .histories(large.flat_map(names_of), whole(sources));
    for user in users.iter_mut().flat_map(|(_, users)| users) {
        user.since = since(user, &past).unwrap_or(sources.at);
    }
    users.into_iter().collect()
}

fn names_of(pod: &ObjectState) -> impl Iterator<Item = ContainerName<'_>> {
    containers(pod).map(|one| (pod.target.uid.as_str(), one.name.as_str()))
}

fn users<'a>(
    node: &ObjectState,
    pods: &[&'a ObjectState],
    newest: &Histories<'_>,
    at: Timestamp,
) -> Vec<User<'a>> {
    let Some(state) = &node.node else {
        return Vec::new();
    };
    let of = |resource: &'static str, can_give: f64| {
        let mut users: Vec<User<'_>> = pods
            .iter()
            .filter_map(|pod| used(pod, resource, can_give, (newest, at)))
            .filter(|user| user.share >= LARGE)
            .collect();
        users.sort_by(|one, other| {
            let by_share = other.share.total_cmp(&one.share);
            by_share.then_with(|| one.pod.target.cmp(&other.pod.target))
        });
        users.truncate(MOST_USERS);
        users
    };
    let mut users = of("cpu", state.cpu_allocatable_cores);
    users.extend(of("memory", state.memory_allocatable_bytes));
    users
}

fn values<'h>(
    resource: &str,
    histories: &'h Histories<'_>,
    name: ContainerName<'h>,
) -> Option<&'h Values> {
    let history = histories.get(&name)?;
    Some(if resource == "memory" {
        &history.memory
    } else {
        &history.cpu
    })
}

fn used<'a>(
    pod: &'a ObjectState,
    resource: &'static str,
    can_give: f64,
    (newest, at): (&Histories<'_>, Timestamp),
) -> Option<User<'a>> {
    let used = names_of(pod).filter_map(|name| Some(values(resource, newest, name)?.last()?.1));
    let used: f64 = used.sum();
    let requests = containers(pod).filter_map(|one| {
        let resources = &one.resources;
        if resource == "memory" {
            resources.memory_request_bytes
        } else {
            resources.cpu_request_cores
        }
    });
    let requested: f64 = requests.sum();
    let share = used / can_give;
    share.is_finite().then(|| User {
        pod,
        resource,
        share,
        over_request: (requested > 0.0).then(|| used / requested),
        since: at,
    })
}

/// Since when it takes as much: how far back its largest container stays above seven tenths of what it takes now.
fn since(user: &User<'_>, past: &Histories<'_>) -> Option<Timestamp> {
    let of = names_of(user.pod).filter_map(|name| values(user.resource, past, name));
    let newest = |values: &&Values| values.last().map_or(0.0, |(_, value)| *value);
    let largest = of.max_by(|one, other| newest(one).total_cmp(&newest(other)))?;
    let points = series::points(largest);
    let (_, now) = points.last().copied()?;
    let run = points
        .iter()
        .rev()
        .take_while(|(_, value)| *value >= 0.7 * now);
    run.last().map(|(at, _)| *at)
}

/// Pods of others that take a large part of the first pod's node.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let Some(pod) = view.pods.first() else {
        return Vec::new();
    };
    let node = pod.pod.as_ref().map_or("", |pod| pod.node.as_str());
    let users = tick.neighbours.get(node).into_iter().flatten();
    let others = users.filter(|user| user.pod.top_owner().uid != view.target().uid);
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let first = others.filter(|user| told.insert(user.resource));
    let drafts = first.map(|user| {
        let Owner {
            api_version,
            kind,
            name,
            uid,
        } = user.pod.top_owner();
        let fact = Fact::Neighbour {
            pod: Target {
                api_version,
                kind,
                namespace: user.pod.target.namespace.clone(),
                name,
                uid,
            },
            resource: user.resource.to_owned(),
            share: user.share,
            over_request: user.over_request,
        };
        let greedy = user.over_request.is_none_or(|times| times >= 1.2);
        let worth = if user.share >= 0.3 && greedy { 81 } else { 47 };
        let draft = Draft::new(worth, &pod.target, user.since, fact);
        draft.of(Provenance::Metric).later(view.place, 0)
    });
    drafts.collect()
}
