//! Which revisions of a workload's template are told: the newest of each owner.
//!
//! A Deployment keeps ten by default, and a cluster has thousands of Deployments:
//! what changed last is all that anybody asks of them, so of the older ones the
//! template is not even kept. A rollback makes one of them the newest again, and
//! the watch then tells its template with its number. Where one of the newest is
//! deleted, an older one is not told in its place before the next list.
//!
//! Pure: no IO, no clock.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use schemas::object::ObjectState;

use crate::reading::Key;

/// Revisions of one owner that are told: the newest, the one before, and the one to go back to when
/// the newest undid the one before.
const TOLD: usize = 3;

/// The revisions of every owner.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    by_owner: HashMap<String, BTreeSet<(Reverse<i64>, Key)>>,
    places: HashMap<Key, (String, i64)>,
}

impl Revisions {
    /// Whether the revision at `key` is one of the newest of its owner.
    pub(super) fn is_told(&self, key: &Key) -> bool {
        let Some((owner, _)) = self.places.get(key) else {
            return false;
        };
        let mut newest = self.by_owner.get(owner).into_iter().flatten().take(TOLD);
        newest.any(|(_, each)| each == key)
    }

    /// Takes note that the revision at `key` is `present` now, or gone; returns those of its owner
    /// that are not among the newest.
    pub(super) fn changed(&mut self, key: &Key, present: Option<&ObjectState>) -> Vec<Key> {
        let place = present.and_then(place);
        if self.places.get(key) != place.as_ref() {
            self.take_out(key);
            if let Some((owner, number)) = &place {
                let of = self.by_owner.entry(owner.clone()).or_default();
                of.insert((Reverse(*number), key.clone()));
                self.places.insert(key.clone(), (owner.clone(), *number));
            }
        }
        let of = place.and_then(|(owner, _)| self.by_owner.get(&owner));
        let aged = of.into_iter().flatten().skip(TOLD);
        aged.map(|(_, key)| key.clone()).collect()
    }

    fn take_out(&mut self, key: &Key) {
        let Some((owner, number)) = self.places.remove(key) else {
            return;
        };
        if let Some(of) = self.by_owner.get_mut(&owner) {
            of.remove(&(Reverse(number), key.clone()));
            if of.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }
}

/// The owner of a revision, and its number.
fn place(state: &ObjectState) -> Option<(String, i64)> {
    let revision = state.revision.as_ref()?;
    let owner = state.owners.first()?;
    Some((owner.uid.clone(), revision.number))
}

/// Drops the template of a revision that is not told.
pub(super) fn thin(state: &mut ObjectState) {
    if let Some(revision) = &mut state.revision {
        revision.template = BTreeMap::new();
    }
}
