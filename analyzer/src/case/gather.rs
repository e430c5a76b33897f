//! What is known of each case.
//!
//! In: the groups of a tick, and what the tick knows. Out: pieces of evidence,
//! bounded per case and per tick, with identifiers. Looking is confined to a
//! few owners of each case, those whose trouble began first, and a few of their
//! pods: two hundred pods of one node have nothing to add to the first six.
//!
//! The cost is bounded, whatever goes on in the cluster: samples and events are
//! walked once or a few times per tick for all cases together ([`tick`]), at
//! most 1,000 pods are looked at closely, and each kind of fact is read off
//! indexes of the inventory. 50 cases in a window of 5,000 pods and 40 scrapes
//! took 0.64 s without optimization, grouping included
//! (`many_cases_in_a_large_window_are_gathered_in_time`).
//!
//! Pure: no IO, no clock.

use std::cmp::Reverse;

use jiff::Timestamp;
use schemas::{diagnosis::Provenance, target::Target};

use super::{Sources, group::Group};
use crate::evidence::{Fact, Id, Piece};

mod actions;
mod autoscaler;
mod budget;
mod claim;
mod conditions;
mod container;
mod dependency;
mod events;
mod findings;
mod job;
mod neighbour;
mod node;
mod quota;
mod replicas;
mod rollout;
mod scheduling;
mod series;
mod service;
mod siblings;
mod termination;
#[cfg(test)]
mod tests;
mod tick;
mod view;
mod waiting;

use tick::Tick;
use view::View;

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

impl Draft {
    /// A fact of the control plane.
    fn new(worth: u8, about: &Target, since: Timestamp, fact: Fact) -> Self {
        Self {
            worth,
            about: about.clone(),
            provenance: Provenance::ControlPlane,
            since,
            fact,
        }
    }

    fn of(mut self, provenance: Provenance) -> Self {
        self.provenance = provenance;
        self
    }

    /// The same of an owner, or a pod, that does not stand first.
    fn later(mut self, owner: u8, pod: u8) -> Self {
        let less = owner
            .saturating_mul(2)
            .saturating_add(pod.saturating_mul(10));
        self.worth = self.worth.saturating_sub(less);
        self
    }
}

/// Facts of one kind about an owner.
type Gatherer = for<'a> fn(&View<'a>, &Tick<'a>) -> Vec<Draft>;

/// What is asked of every owner that is looked at closely.
const OF_OWNERS: [Gatherer; 18] = [
    series::of,
    events::of,
    conditions::of,
    termination::of,
    waiting::of,
    container::of,
    rollout::of,
    replicas::of,
    siblings::of,
    autoscaler::of,
    budget::of,
    scheduling::of,
    quota::of,
    claim::of,
    service::of,
    job::of,
    neighbour::of,
    actions::of,
];

/// The evidence of each group, in the order of the groups.
pub(super) fn gather<'a>(groups: &[&'a Group<'a>], sources: &Sources<'a>) -> Vec<Vec<Piece>> {
    let views = view::views(groups, sources);
    let tick = Tick::new(groups, &views, sources);
    let cases = groups.iter().zip(&views);
    cases
        .map(|(group, views)| {
            let mut drafts = findings::of(group);
            drafts.extend(node::of(group, &tick));
            for view in views {
                drafts.extend(OF_OWNERS.iter().flat_map(|gather| gather(view, &tick)));
                drafts.extend(dependency::of(view, &tick));
            }
            keep(drafts)
        })
        .collect()
}

/// The most useful drafts, in a stable order and with identifiers. What is said twice is told once.
fn keep(mut drafts: Vec<Draft>) -> Vec<Piece> {
    drafts.sort_by(|one, other| {
        let key = |draft: &Draft| (Reverse(draft.worth), draft.since);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.about.cmp(&other.about))
    });
    let mut kept: Vec<Draft> = Vec::new();
    for draft in drafts {
        let same = |known: &Draft| known.about == draft.about && known.fact == draft.fact;
        if kept.len() < MOST_PIECES && !kept.iter().any(same) {
            kept.push(draft);
        }
    }
    (1_u16..)
        .zip(kept)
        .map(|(number, draft)| Piece {
            id: Id(number),
            about: draft.about,
            provenance: draft.provenance,
            since: draft.since,
            fact: draft.fact,
        })
        .collect()
}
