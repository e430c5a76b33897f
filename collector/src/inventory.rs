//! Everything that is known of the cluster's objects.
//!
//! In: what the watches tell. Out: which objects changed, what to tell of each,
//! and the pods and nodes of a scrape. A list that does not name an object any
//! more is how a deletion shows that happened while no watch was running.
//!
//! An object that is gone stays here until its end has been told: its key keeps
//! a row of last states, which come before the state of whatever has taken its
//! name since.
//!
//! Some of what is told is put together here: a Service with the endpoints of
//! its slices, a pod with those of the Services that it may call that exist, and
//! of the revisions of a workload only the newest.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use schemas::object::{ObjectState, Owner};

use crate::{
    kind::Kind,
    reading::{Key, Scope, Seen},
};

mod revisions;
mod services;

use revisions::Revisions;
use services::Slices;

/// Deepest chain of owners that is followed: pod, set, deployment and what an operator may add.
const DEEPEST: usize = 8;

/// The cluster's objects.
#[derive(Debug, Default)]
pub struct Inventory {
    objects: BTreeMap<Key, Seen>,
    /// Last states of objects whose end has not been told yet, oldest first.
    ended: BTreeMap<Key, Vec<Seen>>,
    /// The owner of each owner, by the UID of what is owned.
    owners: HashMap<String, Owner>,
    /// What the lists that are under way have named so far.
    listing: HashMap<Scope, HashSet<Key>>,
    listed: BTreeSet<Scope>,
    revisions: Revisions,
    slices: Slices,
}

/// What is to be told of one key next.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// The message.
    pub state: ObjectState,
    /// The resource version it was seen in.
    pub version: String,
    /// Whether it tells the end of an object, which is over once it was told.
    pub is_end: bool,
}

impl Inventory {
    /// Begins a list of `scope`.
    pub fn listing(&mut self, scope: Scope) {
        self.listing.insert(scope, HashSet::new());
    }

    /// Takes what a watch saw, and returns the objects of which there is something new to tell.
    pub fn seen(&mut self, scope: &Scope, seen: Seen) -> Vec<Key> {
        let key = Key::of(scope.kind, &seen.state);
        if let Some(named) = self.listing.get_mut(scope) {
            named.insert(key.clone());
        }
        let mut changed = self.link(scope.kind, &seen.state);
        let previous = self.objects.get(&key);
        let is_news = previous.is_none_or(|previous| !same(&previous.state, &seen.state));
        if !is_news {
            return changed;
        }
        let uid = seen.state.target.uid.clone();
        let previous = self.objects.insert(key.clone(), seen);
        changed.extend(self.joined(&key, previous.as_ref()));
        if let Some(previous) = previous
            && previous.state.target.uid != uid
        {
            self.bury(key.clone(), previous);
        }
        if self.is_told(&key) {
            changed.push(key);
        }
        changed
    }

    /// Takes the end of the object `uid` at `key`.
    pub fn gone(&mut self, scope: &Scope, key: &Key, uid: &str) -> Vec<Key> {
        if let Some(named) = self.listing.get_mut(scope) {
            named.remove(key);
        }
        // What has taken the name since is another object.
        match self.objects.get(key) {
            Some(known) if known.state.target.uid == uid => self.remove(key),
            _ => Vec::new(),
        }
    }

    /// Ends a list of `scope`: objects that it did not name are gone.
    pub fn listed(&mut self, scope: &Scope) -> Vec<Key> {
        let Some(named) = self.listing.remove(scope) else {
            return Vec::new();
        };
        self.listed.insert(scope.clone());
        let missing: Vec<_> = self
            .keys(scope.kind)
            .filter(|key| scope.covers(key) && !named.contains(key))
            .cloned()
            .collect();
        missing.iter().flat_map(|key| self.remove(key)).collect()
    }

    /// Takes a state that an earlier collector told, of an object that may have
    /// ended since; returns its key when it has, so that its end can be told.
    pub fn left_behind(&mut self, scopes: &[Scope], state: ObjectState) -> Option<Key> {
        let key = Key::of(Kind::named(&state.target.kind)?, &state);
        let is_watched = scopes.iter().any(|scope| scope.covers(&key));
        if !is_watched || self.objects.contains_key(&key) || self.ended.contains_key(&key) {
            return None;
        }
        let last = Seen {
            state,
            version: "left-behind".to_owned(),
        };
        self.bury(key.clone(), last);
        Some(key)
    }

    /// Whether every one of `scopes` has been listed completely at least once.
    pub fn has_listed(&self, scopes: &[Scope]) -> bool {
        scopes.iter().all(|scope| self.listed.contains(scope))
    }

    /// What to tell of `key` next: the end of what it stood for, or its present state.
    pub fn telling(&self, key: &Key) -> Option<Telling> {
        if let Some(last) = self.ended.get(key).and_then(|ended| ended.first()) {
            // A state left behind has its whole chain of owners already.
            let mut state = match last.state.owners.as_slice() {
                [] | [_] => self.project(&last.state),
                [_, _, ..] => last.state.clone(),
            };
            state.deleted = true;
            return Some(Telling {
                state,
                version: last.version.clone(),
                is_end: true,
            });
        }
        let present = self.objects.get(key).filter(|_| self.is_told(key));
        present.map(|seen| Telling {
            state: self.project(&seen.state),
            version: seen.version.clone(),
            is_end: false,
        })
    }

    /// Notes that the end of `uid` was told; whether there is more to tell of `key`.
    pub fn told_end(&mut self, key: &Key, uid: &str) -> bool {
        if let Some(ended) = self.ended.get_mut(key) {
            ended.retain(|last| last.state.target.uid != uid);
            if ended.is_empty() {
                self.ended.remove(key);
            }
        }
        self.ended.contains_key(key) || self.objects.contains_key(key)
    }

    /// Every key of which there is something to tell.
    pub fn published(&self) -> impl Iterator<Item = &Key> {
        let present = self.objects.keys().filter(|key| self.is_told(key));
        self.ended.keys().chain(present)
    }

    /// The present objects of `kind`, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ObjectState> {
        self.range(kind).map(|(_, seen)| &seen.state)
    }

    /// How many objects of `kind` there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.range(kind).count()
    }

    /// The top-most known owner of `state`.
    pub fn top_owner<'a>(&'a self, state: &'a ObjectState) -> Option<&'a Owner> {
        self.chain(state).last()
    }

    /// Marks every present object as seen at `now`, for re-publishing.
    pub fn confirm(&mut self, key: &Key, now: Timestamp) {
        if let Some(seen) = self.objects.get_mut(key) {
            seen.state.observed_at = now;
        }
    }

    /// Forgets owners that nothing refers to any more.
    pub fn prune(&mut self) {
        let present: HashSet<&str> = self
            .objects
            .values()
            .map(|seen| seen.state.target.uid.as_str())
            .collect();
        let wanted: HashSet<String> = self
            .objects
            .values()
            .chain(self.ended.values().flatten())
            .flat_map(|seen| self.chain(&seen.state))
            .map(|owner| owner.uid.clone())
            .collect();
        self.owners
            .retain(|uid, _| present.contains(uid.as_str()) || wanted.contains(uid));
    }

    /// Takes out what is gone; returns the objects of which there is something new to tell.
    fn remove(&mut self, key: &Key) -> Vec<Key> {
        let Some(last) = self.objects.remove(key) else {
            return Vec::new();
        };
        let mut changed = self.joined(key, Some(&last));
        if self.bury(key.clone(), last) {
            changed.push(key.clone());
        }
        changed
    }

    /// Keeps what is gone until that was told; whether it is to be told.
    ///
    /// The end of any revision is: it may have been among the newest before.
    fn bury(&mut self, key: Key, mut last: Seen) -> bool {
        let is_link = key.kind.is_revision() && last.state.revision.is_none();
        if !key.kind.is_published() || is_link {
            return false;
        }
        last.state.deleted = true;
        self.ended.entry(key).or_default().push(last);
        true
    }

    /// Whether there is anything to tell of the present object at `key`.
    fn is_told(&self, key: &Key) -> bool {
        let is_whole = || {
            let revision = self
                .objects
                .get(key)
                .and_then(|seen| seen.state.revision.as_ref());
            revision.is_some_and(|revision| !revision.template.is_empty())
        };
        let is_revision = key.kind.is_revision();
        key.kind.is_published() && (!is_revision || self.revisions.is_told(key) && is_whole())
    }

    /// Brings what is put together up to date after the object at `key` came, changed or went;
    /// returns the other objects that are to be told anew because of it.
    fn joined(&mut self, key: &Key, previous: Option<&Seen>) -> Vec<Key> {
        let present = self.objects.get(key).map(|seen| &seen.state);
        let previous = previous.map(|seen| &seen.state);
        match key.kind {
            Kind::Service if present.is_none() || previous.is_none() => {
                services::callers(self.range(Kind::Pod), key)
            }
            Kind::EndpointSlice => {
                let of = self.slices.changed(key, previous, present);
                of.into_iter()
                    .filter(|service| self.objects.contains_key(service))
                    .collect()
            }
            Kind::ReplicaSet | Kind::ControllerRevision => {
                for key in self.revisions.changed(key, present) {
                    if let Some(aged) = self.objects.get_mut(&key) {
                        revisions::thin(&mut aged.state);
                    }
                }
                Vec::new()
            }
            Kind::Pod
            | Kind::Node
            | Kind::Deployment
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::Autoscaler
            | Kind::Budget
            | Kind::Service
            | Kind::Claim
            | Kind::Quota => Vec::new(),
        }
    }

    /// Learns who owns `state`; returns the pods whose chain of owners became longer by it.
    fn link(&mut self, kind: Kind, state: &ObjectState) -> Vec<Key> {
        let Some(owner) = state.owners.first().filter(|_| kind.owns()) else {
            return Vec::new();
        };
        let uid = &state.target.uid;
        if self.owners.get(uid) == Some(owner) {
            return Vec::new();
        }
        self.owners.insert(uid.clone(), owner.clone());
        self.range(Kind::Pod)
            .filter(|(_, pod)| pod.state.owners.iter().any(|owner| owner.uid == *uid))
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn chain<'a>(&'a self, state: &'a ObjectState) -> impl Iterator<Item = &'a Owner> {
        std::iter::successors(state.owners.first(), |owner| self.owners.get(&owner.uid))
            .take(DEEPEST)
    }

    fn project(&self, state: &ObjectState) -> ObjectState {
        let mut told = ObjectState {
            owners: self.chain(state).cloned().collect(),
            ..state.clone()
        };
        if let Some(pod) = &mut told.pod {
            pod.calls
                .retain(|called| services::is_called(&self.objects, called, state));
        }
        if let Some(service) = &mut told.service {
            let slices = self.slices.of(&state.target);
            (service.ready, service.not_ready) = services::count(&self.objects, slices);
        }
        told
    }

    fn keys(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.range(kind).map(|(key, _)| key)
    }

    fn range(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Seen)> {
        let first = Key {
            kind,
            namespace: String::new(),
            name: String::new(),
        };
        self.objects
            .range(first..)
            .take_while(move |(key, _)| key.kind == kind)
    }
}

/// Whether two states say the same, seen at whatever time.
fn same(a: &ObjectState, b: &ObjectState) -> bool {
    let at = b.observed_at;
    if a.observed_at == at {
        return a == b;
    }
    let a = ObjectState {
        observed_at: at,
        ..a.clone()
    };
    a == *b
}

#[cfg(test)]
mod tests;
