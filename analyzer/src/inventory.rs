//! What exists: the objects of the cluster as the objects stream tells of them.
//!
//! In: object states, in the order of the stream. Out: objects by UID, the
//! pods that an owner or a node has, an owner's revisions, what belongs to a
//! pod by its labels, and which objects a scope selects. An object that
//! the collector has not repeated for longer than it promises is forgotten, as
//! a restarted analyzer, which replays no further back, would not know it either.
//!
//! Pure: no IO, no clock.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::{SignedDuration, Timestamp};
use schemas::{object::ObjectState, target::Target};

use crate::scope::Scope;

/// The objects that exist.
#[derive(Debug, Default)]
pub struct Inventory {
    objects: BTreeMap<String, Known>,
    by_kind: Index,
    by_owner: Index,
    by_namespace: BTreeMap<String, Index>,
    by_node: Index,
    revisions: Index,
}

/// UIDs of objects by something that they have in common.
type Index = BTreeMap<String, BTreeSet<String>>;

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
        insert(&mut self.by_kind, &state.target.kind, &uid);
        insert(&mut self.by_owner, &state.top_owner().uid, &uid);
        let of_kind = self.by_namespace.entry(state.target.kind.clone());
        insert(of_kind.or_default(), &state.target.namespace, &uid);
        if let Some(node) = node_of(&state) {
            insert(&mut self.by_node, node, &uid);
        }
        if state.revision.is_some() {
            for owner in &state.owners {
                insert(&mut self.revisions, &owner.uid, &uid);
            }
        }
        self.objects.insert(uid, Known { state, told_at });
    }

    fn forget(&mut self, uid: &str) {
        let Some(Known { state, told_at: _ }) = self.objects.remove(uid) else {
            return;
        };
        remove(&mut self.by_kind, &state.target.kind, uid);
        remove(&mut self.by_owner, &state.top_owner().uid, uid);
        if let Some(of_kind) = self.by_namespace.get_mut(&state.target.kind) {
            remove(of_kind, &state.target.namespace, uid);
            if of_kind.is_empty() {
                self.by_namespace.remove(&state.target.kind);
            }
        }
        if let Some(node) = node_of(&state) {
            remove(&mut self.by_node, node, uid);
        }
        for owner in &state.owners {
            remove(&mut self.revisions, &owner.uid, uid);
        }
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
        self.in_namespace(kind, namespace)
            .find(|state| state.target.name == name)
    }

    /// Every object of a kind, by UID.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &ObjectState> {
        let uids = self.by_kind.get(kind).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid))
    }

    /// Every object of a kind in one namespace, by UID; the namespace of a cluster-wide object is empty.
    pub fn in_namespace(&self, kind: &str, namespace: &str) -> impl Iterator<Item = &ObjectState> {
        let of_kind = self.by_namespace.get(kind);
        let uids = of_kind.and_then(|of_kind| of_kind.get(namespace));
        uids.into_iter().flatten().filter_map(|uid| self.get(uid))
    }

    /// The pods whose top-most owner has this UID, a pod without an owner being its own.
    pub fn pods_of(&self, owner_uid: &str) -> impl Iterator<Item = &ObjectState> {
        let uids = self.by_owner.get(owner_uid).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid))
            .filter(|state| state.target.kind == "Pod")
    }

    /// The pods that are bound to the node of this name, by UID.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &ObjectState> {
        let uids = self.by_node.get(node).into_iter().flatten();
        uids.filter_map(|uid| self.get(uid))
    }

    /// The revisions of the template of the owner with this UID, the newest first: those that the
    /// collector tells, which are not all that exist.
    ///
    /// An owner further up the chain has the revisions of all that it owns.
    pub fn revisions_of(&self, owner_uid: &str) -> Vec<&ObjectState> {
        let uids = self.revisions.get(owner_uid).into_iter().flatten();
        let mut found: Vec<_> = uids.filter_map(|uid| self.get(uid)).collect();
        // A rollback gives an old object a new number, so its age says nothing.
        found.sort_by_key(|state| {
            let number = state.revision.as_ref().map(|revision| revision.number);
            Reverse((number, state.created_at))
        });
        found
    }

    /// The Services that send to this pod, as far as their selectors say, by UID.
    pub fn services_selecting(&self, pod: &ObjectState) -> impl Iterator<Item = &ObjectState> {
        self.in_namespace("Service", &pod.target.namespace)
            .filter(|state| {
                let service = state.service.as_ref();
                service.is_some_and(|service| selects(&service.selector, &pod.labels))
            })
    }

    /// The pods that a Service sends to, ready or not, by UID; none where it has no selector.
    pub fn pods_behind(&self, service: &ObjectState) -> impl Iterator<Item = &ObjectState> {
        self.in_namespace("Pod", &service.target.namespace)
            .filter(|pod| {
                let service = service.service.as_ref();
                service.is_some_and(|service| selects(&service.selector, &pod.labels))
            })
    }

    /// The Service of this name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&ObjectState> {
        self.find("Service", namespace, name)
    }

    /// The volume claim of this name.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&ObjectState> {
        self.find("PersistentVolumeClaim", namespace, name)
    }

    /// The quotas of a namespace, by UID.
    pub fn quotas(&self, namespace: &str) -> impl Iterator<Item = &ObjectState> {
        self.in_namespace("ResourceQuota", namespace)
    }

    /// The autoscalers that scale this workload, by UID.
    pub fn autoscalers_of(&self, workload: &Target) -> impl Iterator<Item = &ObjectState> {
        self.in_namespace("HorizontalPodAutoscaler", &workload.namespace)
            .filter(|state| {
                state.autoscaler.as_ref().is_some_and(|scaler| {
                    scaler.scales_kind == workload.kind && scaler.scales_name == workload.name
                })
            })
    }

    /// The disruption budgets that cover this pod, by UID; one that selects by expressions is not seen.
    pub fn budgets_covering(&self, pod: &ObjectState) -> impl Iterator<Item = &ObjectState> {
        self.in_namespace("PodDisruptionBudget", &pod.target.namespace)
            .filter(|state| {
                let budget = state.budget.as_ref();
                budget.is_some_and(|budget| selects(&budget.match_labels, &pod.labels))
            })
    }

    /// Every node, by UID.
    pub fn nodes(&self) -> impl Iterator<Item = &ObjectState> {
        self.of_kind("Node")
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

/// Whether labels have all that a selector asks for. One that asks for nothing selects nothing
/// here: of a Service it means that somebody else keeps the endpoints, of a budget that it may ask
/// by expressions.
fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    let mut asked = selector.iter();
    !selector.is_empty() && asked.all(|(key, value)| labels.get(key) == Some(value))
}

/// The node that a pod is bound to.
fn node_of(state: &ObjectState) -> Option<&str> {
    let node = state.pod.as_ref().map(|pod| pod.node.as_str());
    node.filter(|node| !node.is_empty())
}

fn insert(index: &mut Index, key: &str, uid: &str) {
    if let Some(uids) = index.get_mut(key) {
        uids.insert(uid.to_owned());
    } else {
        index.insert(key.to_owned(), BTreeSet::from([uid.to_owned()]));
    }
}

fn remove(index: &mut Index, key: &str, uid: &str) {
    if let Some(uids) = index.get_mut(key) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
