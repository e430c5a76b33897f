//! What exists: the objects of the cluster as the objects stream tells of them.
//!
//! In: object states, in the order of the stream. Out: objects by UID, the
//! pods that an owner has, and which objects a scope selects. An object that
//! the collector has not repeated for longer than it promises is forgotten, as
//! a restarted analyzer, which replays no further back, would not know it either.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::object::ObjectState;

use crate::scope::Scope;

/// The objects that exist.
#[derive(Debug, Default)]
pub struct Inventory {
    objects: BTreeMap<String, Known>,
    by_kind: BTreeMap<String, BTreeSet<String>>,
    by_owner: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
struct Known {
    state: ObjectState,
    told_at: Timestamp,
}

impl Inventory {
    /// Applies one message of the objects stream that was stored at `told_at`.
    pub fn apply(&mut self, state: ObjectState, told_at: Timestamp) {
        self.forget(&state.target.uid);
        if state.deleted {
            return;
        }
        let uid = state.target.uid.clone();
        self.by_kind
            .entry(state.target.kind.clone())
            .or_default()
            .insert(uid.clone());
        self.by_owner
            .entry(state.top_owner().uid)
            .or_default()
            .insert(uid.clone());
        self.objects.insert(uid, Known { state, told_at });
    }

    fn forget(&mut self, uid: &str) {
        let Some(known) = self.objects.remove(uid) else {
            return;
        };
        remove(&mut self.by_kind, &known.state.target.kind, uid);
        remove(&mut self.by_owner, &known.state.top_owner().uid, uid);
    }

    /// Forgets what was last told of more than `span` before `at`, and returns the UIDs.
    pub fn expire(&mut self, at: Timestamp, span: SignedDuration) -> Vec<String> {
        let stale: Vec<String> = self
            .objects
            .iter()
            .filter(|(_, known)| at.duration_since(known.told_at) > span)
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in &stale {
            self.forget(uid);
        }
        stale
    }

    /// The object with this UID.
    pub fn get(&self, uid: &str) -> Option<&ObjectState> {
        self.objects.get(uid).map(|known| &known.state)
    }

    /// The object of this kind and name.
    pub fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&ObjectState> {
        self.of_kind(kind)
            .find(|state| state.target.namespace == namespace && state.target.name == name)
    }

    /// Every object of a kind, by UID.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &ObjectState> {
        let uids = self.by_kind.get(kind).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid))
    }

    /// The pods whose top-most owner has this UID, a pod without an owner being its own.
    pub fn pods_of(&self, owner_uid: &str) -> impl Iterator<Item = &ObjectState> {
        let uids = self.by_owner.get(owner_uid).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid))
            .filter(|state| state.target.kind == "Pod")
    }

    /// The objects that `scope` selects and that can be acted on, by UID.
    pub fn targets(&self, scope: &Scope) -> Vec<&ObjectState> {
        let kinds: BTreeSet<&str> = scope.kinds().collect();
        kinds
            .into_iter()
            .flat_map(|kind| self.of_kind(kind))
            .filter(|state| is_alive(state) && scope.selects(state))
            .collect()
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// Whether an object is there to stay: a pod that ends, or has ended well, needs no healing.
pub fn is_alive(state: &ObjectState) -> bool {
    let succeeded = state
        .pod
        .as_ref()
        .is_some_and(|pod| pod.phase == "Succeeded");
    !state.deleted && !state.terminating && !succeeded
}

/// Whether an object does its work: a pod is ready, a workload has every replica it wants.
pub fn is_ready(state: &ObjectState) -> bool {
    match &state.replicas {
        Some(replicas) => replicas.observed && replicas.ready >= replicas.desired,
        None => !state.terminating && state.is_ready(),
    }
}

fn remove(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, uid: &str) {
    if let Some(uids) = index.get_mut(key) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, pod, policy, scope_of};

    #[test]
    fn a_deleted_object_leaves_every_index() {
        let mut inventory = Inventory::default();
        inventory.apply(pod("web-1").owned_by("web").state(), at(0));
        assert_eq!(inventory.pods_of("uid-web").count(), 1);
        let gone = ObjectState {
            deleted: true,
            ..pod("web-1").owned_by("web").state()
        };
        inventory.apply(gone, at(1));
        assert!(inventory.is_empty() && inventory.by_kind.is_empty());
        assert_eq!(inventory.pods_of("uid-web").count(), 0);
    }

    #[test]
    fn a_pod_that_ends_or_has_ended_well_is_no_target() {
        let scope = scope_of(&policy("p"));
        let mut inventory = Inventory::default();
        inventory.apply(pod("stays").state(), at(0));
        let mut ending = pod("ends").state();
        ending.terminating = true;
        inventory.apply(ending, at(0));
        let mut done = pod("done").state();
        done.pod.as_mut().unwrap().phase = "Succeeded".to_owned();
        inventory.apply(done, at(0));
        let names: Vec<_> = inventory
            .targets(&scope)
            .iter()
            .map(|state| state.target.name.clone())
            .collect();
        assert_eq!(names, ["stays"]);
    }

    #[test]
    fn an_object_nobody_speaks_of_any_more_is_forgotten() {
        let mut inventory = Inventory::default();
        inventory.apply(pod("silent").state(), at(0));
        inventory.apply(pod("repeated").state(), at(0));
        inventory.apply(pod("repeated").state(), at(50));
        let span = SignedDuration::from_secs(60);
        assert!(inventory.expire(at(60), span).is_empty());
        assert_eq!(inventory.expire(at(61), span), ["uid-silent"]);
        assert_eq!(inventory.len(), 1);
    }
}
