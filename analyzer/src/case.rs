//! Findings that belong together: one trouble, however many objects show it.
//!
//! A node that fails is one case, not two hundred. A case knows the owners that
//! are in trouble, since when each, and the evidence; its fingerprint tells
//! cases of the same structure, whatever the names and numbers.
//!
//! Findings come in at every tick, [`Cases`] remembers which case each owner
//! is in, and the open cases go out. What belongs together is decided in
//! `group`, what is known of it is collected in `gather`. Nothing is read
//! but what the tick brings, so a replay gives the same cases.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::{digest, object::ObjectState, target::Target};

use crate::{
    accepted::Watched,
    actions::Actions,
    evidence::{Id, Piece},
    inventory::Inventory,
    measure::Measured,
    trigger::Episode,
    window::Window,
};

mod fingerprint;
mod gather;
mod group;
#[cfg(test)]
mod tests;

use group::Group;

/// Findings that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Identifier: a function of the first finding, the same in every analyzer and every replay.
    pub id: String,
    /// When the first trouble began, in event time.
    pub opened_at: Timestamp,
    /// Event time of this view of it.
    pub at: Timestamp,
    /// The owners in trouble, the one whose trouble began first standing first.
    pub owners: Vec<Member>,
    /// What is known, by identifier.
    pub evidence: Vec<Piece>,
    /// Digest of its structure: facts without names, numbers in coarse steps.
    pub fingerprint: String,
}

/// An owner in trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The top-most owner of the objects in trouble, or the object itself.
    pub owner: Target,
    /// When its trouble began.
    pub since: Timestamp,
    /// The objects of it that are in trouble.
    pub sick: Vec<Target>,
    /// How bad.
    pub severity: schemas::policy::Severity,
}

impl Case {
    /// The piece with this identifier.
    pub fn piece(&self, id: Id) -> Option<&Piece> {
        self.evidence.iter().find(|piece| piece.id == id)
    }

    /// The pieces about an object.
    pub fn about<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Piece> {
        self.evidence
            .iter()
            .filter(move |piece| piece.about.uid == target.uid)
    }
}

/// What is known at a tick beside the findings.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The objects that exist.
    pub inventory: &'a Inventory,
    /// The samples and events of the last period.
    pub window: &'a Window,
    /// The actions that exist.
    pub actions: &'a Actions,
    /// Event time of the tick.
    pub at: Timestamp,
}

/// A trigger that is pending or firing on an object.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Namespace and name of the policy.
    pub policy: (&'a str, &'a str),
    /// The trigger.
    pub watched: &'a Watched,
    /// The object.
    pub offender: &'a ObjectState,
    /// Since when, and whether it has fired.
    pub episode: Episode,
    /// What was measured last, if anything was.
    pub measured: Option<&'a Measured>,
}

/// The cases that are open.
///
/// A case is named by its first finding and keeps the name while any finding of
/// it is pending or firing. Owners join it and leave it; once together, they
/// stay together while they are in trouble, so that a case does not fall apart
/// when the node that began it is back before its pods are. Cases that turn out
/// to be one go on under the name of the oldest.
#[derive(Debug, Default)]
pub struct Cases {
    /// By UID of each owner in trouble.
    of_owner: BTreeMap<String, Opened>,
}

/// Name and beginning of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Opened {
    at: Timestamp,
    id: String,
}

impl Opened {
    /// A function of the first finding alone.
    fn of(group: &Group<'_>) -> Self {
        let first = group.ailing.first();
        let owner = first.map_or("", |ailing| ailing.owner.uid.as_str());
        let at = first.map_or(Timestamp::UNIX_EPOCH, group::Ailing::since);
        Self {
            at,
            id: digest::short(["case", owner, &at.to_string()], ID_DIGITS),
        }
    }
}

/// Hex digits of a case's identifier: among a million cases, two share one by chance of one in thirty million.
const ID_DIGITS: usize = 16;

impl Cases {
    /// Takes in every finding of a tick and returns the open cases, the oldest first.
    pub fn update(&mut self, found: &[Found<'_>], sources: &Sources<'_>) -> Vec<Case> {
        let before = std::mem::take(&mut self.of_owner);
        let ids = before
            .iter()
            .map(|(owner, opened)| (owner.as_str(), opened.id.as_str()))
            .collect();
        let groups = group::group(found, sources.inventory, &ids);
        let mut open: Vec<(Opened, Group<'_>)> = groups
            .into_iter()
            .map(|group| {
                let owners = group.ailing.iter().map(|ailing| &ailing.owner.uid);
                let known = owners.filter_map(|uid| before.get(uid)).min().cloned();
                (known.unwrap_or_else(|| Opened::of(&group)), group)
            })
            .collect();
        open.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (opened, group) in &open {
            let owners = group.ailing.iter().map(|ailing| ailing.owner.uid.clone());
            self.of_owner
                .extend(owners.map(|uid| (uid, opened.clone())));
        }
        let groups: Vec<&Group<'_>> = open.iter().map(|(_, group)| group).collect();
        let evidence = gather::gather(&groups, sources);
        let cases = open
            .iter()
            .zip(evidence)
            .map(|((opened, group), evidence)| {
                let owners: Vec<Member> = group.ailing.iter().map(group::Ailing::member).collect();
                Case {
                    id: opened.id.clone(),
                    opened_at: opened.at,
                    at: sources.at,
                    fingerprint: fingerprint::fingerprint(&owners, &evidence),
                    owners,
                    evidence,
                }
            });
        cases.collect()
    }

    /// Goes on with a case that was open before a restart: its name and beginning, and the UID of an owner of it.
    pub fn adopt(&mut self, owner_uid: String, id: String, at: Timestamp) {
        self.of_owner.insert(owner_uid, Opened { at, id });
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        let ids: std::collections::BTreeSet<_> =
            self.of_owner.values().map(|opened| &opened.id).collect();
        ids.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.of_owner.is_empty()
    }
}
