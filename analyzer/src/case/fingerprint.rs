//! A digest of what a case looks like.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeSet;

use schemas::digest;

use super::Member;
use crate::evidence::{Fact, Piece};

/// The fingerprint of a case.
pub(super) fn fingerprint(owners: &[Member], evidence: &[Piece]) -> String {
    let kinds = owners
        .iter()
        .map(|member| format!("owner {}", member.owner.kind));
    let facts = evidence.iter().filter_map(|piece| {
        let Fact::Finding(finding) = &piece.fact else {
            return None;
        };
        Some(format!("{} {}", piece.about.kind, finding.subject))
    });
    let all: BTreeSet<String> = kinds.chain(facts).collect();
    digest::short(all, 32)
}
