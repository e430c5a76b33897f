//! Which findings belong together.
//!
//! In: the findings of a tick and what exists. Out: groups of owners in trouble.
//! Findings about one top-most owner are one; owners are joined by what they
//! have in common *and* by when their troubles began:
//!
//! - a node that is not ready, or runs out of something, with the owners most
//!   of whose sick pods are on it ([`node`]);
//! - a Service that the one's pods name in their environment and that sends to
//!   the other's, if who calls failed no sooner than who is called ([`calls`]);
//! - a claim, `ConfigMap` or Secret that holds the pods of both up, a quota that
//!   is used up, or one rollout of several workloads ([`shared`]).
//!
//! That things happen at the same time is no reason by itself: two unrelated
//! failures at once stay two. The cost is that of sorting the findings, and of
//! looking once at the pods of each owner in trouble.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::{object::ObjectState, policy::Severity, target::Target};

use super::{Found, Member};
use crate::inventory::Inventory;

mod calls;
mod node;
mod shared;
mod union;

pub(super) use node::trouble;
pub(super) use shared::AFTER_ROLLOUT;
use union::Union;

/// Onsets further apart than this have, as far as time tells, nothing to do with each other.
///
/// A node is told to be not ready 40 to 50 s after it fell silent, its pods are
/// evicted 5 minutes after that, probes and back-offs take up to 5 minutes.
pub(super) const CORRELATION: SignedDuration = SignedDuration::from_mins(5);

/// How much sooner than its cause a consequence may be seen: triggers are evaluated at ticks, and
/// probes and the metrics API have periods of their own.
pub(super) const JITTER: SignedDuration = SignedDuration::from_secs(30);

/// Owners whose findings belong together; the one whose trouble began first stands first.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The owners.
    pub(super) ailing: Vec<Ailing<'a>>,
}

/// An owner in trouble, with every finding about it or its objects.
#[derive(Debug)]
pub(super) struct Ailing<'a> {
    /// The owner.
    pub(super) owner: Target,
    /// The findings, the oldest first.
    pub(super) findings: Vec<&'a Found<'a>>,
    /// When its troubles began.
    pub(super) onsets: BTreeSet<Timestamp>,
}

impl<'a> Ailing<'a> {
    /// When its first trouble began.
    pub(super) fn since(&self) -> Timestamp {
        self.onsets.first().copied().unwrap_or(Timestamp::MAX)
    }

    fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|found| found.watched.severity);
        severities.max().unwrap_or_default()
    }

    /// The objects in trouble, each with the instant its first trouble began, the earliest first.
    pub(super) fn sick(&self) -> Vec<(&'a ObjectState, Timestamp)> {
        let mut seen = BTreeSet::new();
        self.findings
            .iter()
            .filter(|found| seen.insert(found.offender.target.uid.as_str()))
            .map(|found| (found.offender, found.episode.since))
            .collect()
    }

    /// As the case shows it.
    pub(super) fn member(&self) -> Member {
        Member {
            owner: self.owner.clone(),
            since: self.since(),
            sick: self
                .sick()
                .into_iter()
                .map(|(state, _)| state.target.clone())
                .collect(),
            severity: self.severity(),
        }
    }

    /// A pod that stands for the owner's pods: the first that is in trouble, or any.
    pub(super) fn pod(&self, inventory: &'a Inventory) -> Option<&'a ObjectState> {
        let sick = self.findings.iter().map(|found| found.offender);
        sick.into_iter()
            .find(|state| state.pod.is_some())
            .or_else(|| inventory.pods_of(&self.owner.uid).next())
    }

    /// Whether a trouble of this one began after a trouble of `first`, or as good as at once, and not long after.
    fn follows(&self, first: &Self) -> bool {
        first.onsets.iter().any(|began| {
            let from = began.saturating_sub(JITTER).unwrap_or(*began);
            let until = began.saturating_add(CORRELATION).unwrap_or(*began);
            self.onsets.range(from..=until).next().is_some()
        })
    }
}

/// The groups of the findings of a tick, in the order in which their troubles
/// began. `before` names the case that each owner was in at the last tick.
pub(super) fn group<'a>(
    found: &'a [Found<'a>],
    inventory: &'a Inventory,
    before: &BTreeMap<&str, &str>,
) -> Vec<Group<'a>> {
    let ailing = ailing(found);
    let mut union = Union::new(ailing.len());
    stay(&ailing, before, &mut union);
    node::join(&ailing, inventory, &mut union);
    calls::join(&ailing, inventory, &mut union);
    shared::join(&ailing, inventory, &mut union);
    let mut groups: BTreeMap<usize, Group<'a>> = BTreeMap::new();
    for (place, ailing) in ailing.into_iter().enumerate() {
        let group = groups.entry(union.root(place));
        let group = group.or_insert_with(|| Group { ailing: Vec::new() });
        group.ailing.push(ailing);
    }
    groups.into_values().collect()
}

/// The owners in trouble, in the order in which their troubles began.
fn ailing<'a>(found: &'a [Found<'a>]) -> Vec<Ailing<'a>> {
    let mut owners: BTreeMap<String, Ailing<'a>> = BTreeMap::new();
    for one in found {
        let owner = one.offender.top_owner();
        let ailing = owners.entry(owner.uid.clone()).or_insert_with(|| Ailing {
            owner: Target {
                api_version: owner.api_version,
                kind: owner.kind,
                namespace: one.offender.target.namespace.clone(),
                name: owner.name,
                uid: owner.uid,
            },
            findings: Vec::new(),
            onsets: BTreeSet::new(),
        });
        ailing.findings.push(one);
        ailing.onsets.insert(one.episode.since);
    }
    let mut ailing: Vec<Ailing<'a>> = owners.into_values().collect();
    for one in &mut ailing {
        one.findings.sort_by(|a, b| key(a).cmp(&key(b)));
    }
    ailing.sort_by(|a, b| (a.since(), &a.owner.uid).cmp(&(b.since(), &b.owner.uid)));
    ailing
}

type Key<'a> = (Timestamp, &'a str, (&'a str, &'a str), &'a str);

fn key<'a>(found: &Found<'a>) -> Key<'a> {
    (
        found.episode.since,
        found.offender.target.uid.as_str(),
        found.policy,
        found.watched.name.as_str(),
    )
}

/// Owners that were one case stay one while they are in trouble.
fn stay(ailing: &[Ailing<'_>], before: &BTreeMap<&str, &str>, union: &mut Union) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, one) in ailing.iter().enumerate() {
        if let Some(id) = before.get(one.owner.uid.as_str()) {
            union.join(place, *first.entry(id).or_insert(place));
        }
    }
}
