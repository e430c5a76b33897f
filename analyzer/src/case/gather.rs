//! What is known of each case.
//!
//! In: the groups of a tick, and what the tick knows. Out: pieces of evidence,
//! bounded per case and per tick, with identifiers. Looking is confined to a
//! few owners of each case, those whose trouble began first, and a few of their
//! pods: two hundred pods of one node have nothing to add to the first six.
//!
//! Pure: no IO, no clock.

use std::cmp::Reverse;

use jiff::Timestamp;
use schemas::{diagnosis::Provenance, target::Target};

use super::group::Group;
use crate::evidence::{Fact, Id, Piece};

mod findings;

/// The most pieces of a case: as many as a diagnosis can carry.
const MOST_PIECES: usize = 32;

/// A piece before it is known whether it is kept.
#[derive(Clone, Debug)]
struct Draft {
    /// How useful: what tells most stands highest.
    worth: u8,
    about: Target,
    provenance: Provenance,
    since: Timestamp,
    fact: Fact,
}

/// The evidence of each group, in the order of the groups.
pub(super) fn gather(groups: &[&Group<'_>]) -> Vec<Vec<Piece>> {
    groups
        .iter()
        .map(|group| keep(findings::of(group)))
        .collect()
}

/// The most useful drafts, in a stable order and with identifiers.
fn keep(mut drafts: Vec<Draft>) -> Vec<Piece> {
    drafts.sort_by(|one, other| {
        let key = |draft: &Draft| (Reverse(draft.worth), draft.since);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.about.cmp(&other.about))
    });
    drafts.truncate(MOST_PIECES);
    (1_u16..)
        .zip(drafts)
        .map(|(number, draft)| Piece {
            id: Id(number),
            about: draft.about,
            provenance: draft.provenance,
            since: draft.since,
            fact: draft.fact,
        })
        .collect()
}
