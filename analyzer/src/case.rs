//! Findings that belong together: one trouble, however many objects show it.
//!
//! A node that fails is one case, not two hundred. A case knows the owners that
//! are in trouble, since when each, and the evidence; its fingerprint tells
//! cases of the same structure, whatever the names and numbers.
//!
//! Pure: no IO, no clock.

use jiff::Timestamp;
use schemas::target::Target;

use crate::evidence::{Id, Piece};

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
