//! What was promised and may not show in the actions' status yet.
//!
//! An action is entered here, on the lease object, before its intent is written
//! to its status: at the version of the lease that was read before the history.
//! Two actuators can therefore not both take the last place of a budget,
//! whatever their clocks say; and one that is killed between the two writes has
//! spent it all the same. An entry goes once the status shows the intent.
//!
//! Pure: no IO, no clock.

use jiff::{SignedDuration, Timestamp};
use schemas::action::Phase;
use serde::{Deserialize, Serialize};

use crate::snapshot::{Past, Snapshot};

/// How long an entry counts whose action never showed its intent: as long as budgets count.
const COUNTS: SignedDuration = SignedDuration::from_hours(1);

/// One action that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// UID of the action.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Name of its policy.
    pub policy: String,
    /// UID of its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_uid: Option<String>,
    /// UID of the top-most owner of its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_uid: Option<String>,
    /// When it was entered.
    pub at: Timestamp,
}

impl Entry {
    /// The entry of the action of `snapshot`.
    pub fn of(snapshot: &Snapshot, at: Timestamp) -> Self {
        let action = &snapshot.action;
        Self {
            uid: action.uid.clone(),
            namespace: action.namespace.clone(),
            policy: action.spec.policy_name.clone(),
            target_uid: snapshot.pinned_uid().map(ToOwned::to_owned),
            owner_uid: snapshot.top_owner().map(|owner| owner.target.uid.clone()),
            at,
        }
    }

    fn past(&self) -> Past {
        Past {
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            policy: self.policy.clone(),
            target_uid: self.target_uid.clone(),
            owner_uid: self.owner_uid.clone(),
            offender_uid: None,
            phase: Phase::InProgress,
            started_at: Some(self.at),
            finished_at: None,
        }
    }
}

/// Reads the ledger. What is not understood was written by no actuator: it counts for nothing.
pub fn read(text: &str) -> Vec<Entry> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The ledger as text.
pub fn write(entries: &[Entry]) -> String {
    // Serialising this type cannot fail: it is a list of words and times.
    serde_json::to_string(entries).unwrap_or_default()
}

/// The entries that `history`, read after them, does not show yet.
pub fn open(entries: Vec<Entry>, history: &[Past], now: Timestamp) -> Vec<Entry> {
    let is_open = |entry: &Entry| {
        let known = history.iter().find(|past| past.uid == entry.uid);
        let shows = known.is_some_and(|past| past.started_at.is_some() || past.phase.is_final());
        !shows && now.duration_since(entry.at) < COUNTS
    };
    entries.into_iter().filter(is_open).collect()
}

/// Adds to `history` what the open entries say of actions other than `own`.
pub fn count(history: &mut Vec<Past>, entries: &[Entry], own: &str) {
    for entry in entries.iter().filter(|entry| entry.uid != own) {
        history.retain(|past| past.uid != entry.uid);
        history.push(entry.past());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        judge::judge,
        testing::{NOW, ended, past, snapshot},
    };
    use proptest::prelude::*;

    fn entry(uid: &str, at: Timestamp) -> Entry {
        let mut other = snapshot();
        other.action.uid = uid.to_owned();
        Entry::of(&other, at)
    }

    #[test]
    fn what_is_entered_counts_before_its_status_shows_it() {
        let mut snapshot = snapshot();
        assert!(judge(&snapshot, NOW).is_allowed());
        let open = open(vec![entry("other", NOW)], &snapshot.history, NOW);
        count(&mut snapshot.history, &open, "action-uid");
        assert!(!judge(&snapshot, NOW).is_allowed());
    }

    #[test]
    fn the_own_entry_does_not_stand_in_its_own_way() {
        let mut history = Vec::new();
        count(&mut history, &[entry("action-uid", NOW)], "action-uid");
        assert!(history.is_empty());
    }

    #[test]
    fn an_entry_goes_when_its_intent_shows_when_it_ended_or_after_an_hour() {
        let entries = || vec![entry("other", NOW)];
        let started = [past("other", NOW)];
        assert!(open(entries(), &started, NOW).is_empty());
        let mut denied = ended(Phase::Denied, NOW);
        (denied.uid, denied.started_at) = ("other".to_owned(), None);
        assert!(open(entries(), &[denied], NOW).is_empty());
        assert!(open(entries(), &[], NOW + COUNTS).is_empty());
        // A clock that jumped back frees nothing.
        assert_eq!(open(entries(), &[], NOW - COUNTS).len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(uids in proptest::collection::vec(".{0,12}", 0..6)) {
            let entries: Vec<_> = uids.iter().map(|uid| entry(uid, NOW)).collect();
            prop_assert_eq!(read(&write(&entries)), entries);
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,60}") {
            let _entries = read(&text);
        }
    }
}
