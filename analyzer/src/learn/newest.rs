//! The newest lessons, one per action, in bounded memory.
//!
//! What is held is a function of the set of everything that was taken: of two
//! lessons about one action the later counts, of all actions the newest, and
//! nothing from before the horizon.
//!
//! Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::outcome::{Opinions, Outcome};
use serde::Serialize;

use super::MOST;

/// What is held by action and by age.
pub(super) trait Dated: Serialize + PartialEq {
    /// UID of the action.
    fn uid(&self) -> &str;
    /// When the action ended.
    fn at(&self) -> Timestamp;
    /// Which of two of the same action and instant counts: the higher.
    fn version(&self) -> i64;
}

impl Dated for Outcome {
    fn uid(&self) -> &str {
        &self.action_uid
    }

    fn at(&self) -> Timestamp {
        self.at
    }

    fn version(&self) -> i64 {
        0
    }
}

impl Dated for Opinions {
    fn uid(&self) -> &str {
        &self.action_uid
    }

    fn at(&self) -> Timestamp {
        self.at
    }

    fn version(&self) -> i64 {
        self.generation
    }
}

/// The newest items, one per action.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Newest<T> {
    items: BTreeMap<String, T>,
    ages: BTreeSet<(Timestamp, String)>,
    horizon: Timestamp,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            ages: BTreeSet::new(),
            horizon: Timestamp::MIN,
        }
    }
}

impl<T: Dated> Newest<T> {
    /// Takes an item; whether that changes anything.
    pub(super) fn take(&mut self, item: T) -> bool {
        if item.at() < self.horizon {
            return false;
        }
        let uid = item.uid().to_owned();
        if let Some(held) = self.items.get(&uid) {
            if !counts_more(&item, held) {
                return false;
            }
            self.ages.remove(&(held.at(), uid.clone()));
        }
        self.ages.insert((item.at(), uid.clone()));
        self.items.insert(uid.clone(), item);
        if self.ages.len() > MOST
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.items.remove(&oldest);
            return oldest != uid;
        }
        true
    }

    /// Forgets what ended before `horizon`, now and later; whether there was any.
    pub(super) fn forget_before(&mut self, horizon: Timestamp) -> bool {
        if horizon <= self.horizon {
            return false;
        }
        self.horizon = horizon;
        let kept = self.ages.split_off(&(horizon, String::new()));
        let gone = std::mem::replace(&mut self.ages, kept);
        for (_, uid) in &gone {
            self.items.remove(uid);
        }
        !gone.is_empty()
    }

    pub(super) fn get(&self, uid: &str) -> Option<&T> {
        self.items.get(uid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.items.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

/// Whether `item` counts more than `held`: a total order, so that the order of arrival does not matter.
fn counts_more<T: Dated>(item: &T, held: &T) -> bool {
    if item == held {
        return false;
    }
    // The genuine differ in their version; what is left decides only between forged ones.
    let text = |one: &T| serde_json::to_string(one).unwrap_or_default();
    let rank = |one: &T| (one.at(), one.version(), text(one));
    rank(item) > rank(held)
}
