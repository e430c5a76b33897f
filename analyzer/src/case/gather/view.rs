//! Which owners and pods of a case are looked at closely.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemas::{
    object::{ContainerState, ObjectState},
    target::Target,
};

use crate::{
    case::{
        Sources,
        group::{Ailing, Group},
    },
    inventory,
};

/// Owners of a case that are looked at closely.
const MOST_OWNERS: usize = 8;
/// Pods of the first owner, of the next three, and of the others.
const MOST_PODS: [usize; 3] = [3, 2, 1];
/// Pods of all cases of a tick.
const MOST_PODS_OF_TICK: usize = 1000;
/// Containers of a pod.
const MOST_CONTAINERS: usize = 4;

/// An owner that is looked at closely.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The owner in trouble, with its findings.
    pub(super) ailing: &'a Ailing<'a>,
    /// What is known of the owner, if it is known.
    pub(super) owner: Option<&'a ObjectState>,
    /// The pods that stand for it, those in trouble first.
    pub(super) pods: Vec<&'a ObjectState>,
    /// Its place among the owners of the case.
    pub(super) place: u8,
}

impl<'a> View<'a> {
    /// The owner in trouble.
    pub(super) fn target(&self) -> &'a Target {
        &self.ailing.owner
    }

    /// When its trouble began.
    pub(super) fn since(&self) -> Timestamp {
        self.ailing.since()
    }

    /// The pods with their places.
    pub(super) fn placed(&self) -> impl Iterator<Item = (u8, &'a ObjectState)> {
        (0_u8..).zip(self.pods.iter().copied())
    }

    /// The objects in trouble that are no pods: the owner itself among them, where it is known.
    pub(super) fn others(&self) -> Vec<&'a ObjectState> {
        let sick = self.ailing.sick().into_iter().map(|(state, _)| state);
        let all = self.owner.into_iter().chain(sick);
        let mut seen = BTreeSet::new();
        all.filter(|state| state.pod.is_none() && seen.insert(state.target.uid.as_str()))
            .take(MOST_PODS[0])
            .collect()
    }
}

/// The owners that are looked at closely, of each group.
pub(super) fn views<'a>(groups: &[&'a Group<'a>], sources: &Sources<'a>) -> Vec<Vec<View<'a>>> {
    let mut left = MOST_PODS_OF_TICK;
    let mut of_group = |group: &&'a Group<'a>| {
        let ailing = (0_u8..).zip(group.ailing.iter().take(MOST_OWNERS));
        let views = ailing.map(|(place, ailing)| {
            let most = match place {
                0 => MOST_PODS[0],
                1..=3 => MOST_PODS[1],
                _ => MOST_PODS[2],
            };
            let pods = pods(ailing, sources, most.min(left));
            left -= pods.len().min(left);
            View {
                ailing,
                owner: sources.inventory.get(&ailing.owner.uid),
                pods,
                place,
            }
        });
        views.collect()
    };
    groups.iter().map(&mut of_group).collect()
}

/// The pods that stand for an owner: those with findings, then those that are not ready, or any one.
fn pods<'a>(ailing: &'a Ailing<'a>, sources: &Sources<'a>, most: usize) -> Vec<&'a ObjectState> {
    let inventory = sources.inventory;
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut chosen: Vec<&ObjectState> = Vec::new();
    let spoke = ailing.findings.iter().filter_map(|found| {
        let state = found.offender;
        if state.pod.is_some() {
            return Some(state);
        }
        // A workload's value is that of its worst pod.
        let name = found.measured.and_then(|measured| measured.pod.as_ref())?;
        let mut pods = inventory.pods_of(&ailing.owner.uid);
        pods.find(|pod| pod.target.name == *name)
    });
    for pod in spoke {
        if chosen.len() >= most {
            return chosen;
        }
        if seen.insert(&pod.target.uid) {
            chosen.push(pod);
        }
    }
    let all = || inventory.pods_of(&ailing.owner.uid);
    let mut unwell: Vec<&ObjectState> = all()
        .filter(|pod| inventory::is_alive(pod) && !inventory::is_ready(pod))
        .filter(|pod| !seen.contains(pod.target.uid.as_str()))
        .collect();
    let unready = |pod: &ObjectState| pod.condition("Ready").and_then(|ready| ready.since);
    unwell.sort_by(|one, other| {
        let key = |pod: &ObjectState| {
            (
                unready(pod).unwrap_or(Timestamp::MAX),
                pod.target.name.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    let room = most - chosen.len();
    chosen.extend(unwell.into_iter().take(room));
    if chosen.is_empty() {
        chosen.extend(
            all()
                .filter(|pod| inventory::is_alive(pod))
                .take(most.min(1)),
        );
    }
    chosen
}

/// Containers of a pod, init containers first, with whether they are such.
pub(super) fn every_container(pod: &ObjectState) -> Vec<(bool, &ContainerState)> {
    let Some(pod) = &pod.pod else {
        return Vec::new();
    };
    let init = pod.init_containers.iter().map(|one| (true, one));
    let containers = pod.containers.iter().map(|one| (false, one));
    init.take(MOST_CONTAINERS)
        .chain(containers.take(MOST_CONTAINERS))
        .collect()
}

/// The containers of a pod whose usage is read.
pub(super) fn containers(pod: &ObjectState) -> impl Iterator<Item = &ContainerState> {
    let containers = pod.pod.iter().flat_map(|pod| &pod.containers);
    containers.take(MOST_CONTAINERS)
}

/// The container that matters most: the one that a finding names, else one that waits or has
/// ended badly, else the first.
pub(super) fn main_container<'a>(
    view: &View<'a>,
    pod: &'a ObjectState,
) -> Option<&'a ContainerState> {
    let named = view.ailing.findings.iter().filter_map(|found| {
        let about = found.offender.target.uid == pod.target.uid
            || found.measured.and_then(|measured| measured.pod.as_ref()) == Some(&pod.target.name);
        let container = found.measured?.container.as_ref()?;
        let mut all = containers(pod);
        all.find(|one| about && one.name == *container)
    });
    let waits = || {
        let mut waiting = every_container(pod).into_iter();
        waiting.find(|(_, one)| one.state == "waiting" && !is_queued(&one.reason))
    };
    let ended = || {
        let ends = containers(pod).filter(|one| one.last_termination.is_some());
        ends.max_by_key(|one| one.restarts)
    };
    let mut named = named;
    named
        .next()
        .or_else(|| waits().map(|(_, one)| one))
        .or_else(ended)
        .or_else(|| containers(pod).next())
}

/// Whether a container waits because it is not its turn yet.
pub(super) fn is_queued(reason: &str) -> bool {
    matches!(reason, "" | "PodInitializing" | "ContainerCreating")
}
