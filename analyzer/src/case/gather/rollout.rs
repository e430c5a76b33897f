//! The newest rollout of an owner: what it changed, and when it came.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::object::{ObjectState, Replicas, RevisionState};

use super::{Draft, tick::Tick, view::View};
use crate::{
    case::group::{AFTER_ROLLOUT, JITTER},
    evidence::{Fact, Rollout},
    explain::cut,
};

/// Fields that are told of what a rollout changed.
const MOST_CHANGES: usize = 16;
/// Characters of a field's name and of its value.
const LONGEST: usize = 128;
/// How long after a rollout trouble may still be due to it.
const REACH: SignedDuration = SignedDuration::from_hours(1);

/// Labels by which a pod tells the revision that it is of.
pub(super) const HASHES: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// The newest rollout of an owner.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let revisions = tick.sources.inventory.revisions_of(&view.target().uid);
    let mut known = revisions
        .iter()
        .filter_map(|state| Some((*state, state.revision.as_ref()?)));
    let Some((newest, revision)) = known.next() else {
        return Vec::new();
    };
    let previous = known.next();
    let since = came(newest, previous.map(|(state, _)| state), view, tick);
    let fact = Rollout {
        revision: revision.number,
        changes: previous.map_or_else(BTreeMap::new, |(_, before)| changes(before, revision)),
        previous: previous.map(|(_, before)| before.number),
        previous_ready: previous.and_then(|(_, before)| before.ready),
        complete: view
            .owner
            .and_then(|owner| owner.replicas)
            .is_some_and(is_complete),
    };
    let delay = view.since().duration_since(since);
    let worth = match delay {
        // With nothing before it, a revision is the beginning of the workload, which changed nothing.
        _ if fact.previous.is_none() => 44,
        delay if delay >= -JITTER && delay <= AFTER_ROLLOUT => 93,
        delay if (delay >= -JITTER && delay <= REACH) || !fact.complete => 86,
        _ => 46,
    };
    vec![Draft::new(worth, view.target(), since, Fact::Rollout(fact)).later(view.place, 0)]
}

/// When the newest revision came. One that is older than the one before was brought back: then
/// its oldest pod tells.
fn came(
    newest: &ObjectState,
    previous: Option<&ObjectState>,
    view: &View<'_>,
    tick: &Tick<'_>,
) -> Timestamp {
    let created = newest.created_at.unwrap_or(newest.observed_at);
    let brought_back = previous.is_some_and(|previous| previous.created_at > newest.created_at);
    if !brought_back {
        return created;
    }
    let hash = newest
        .revision
        .as_ref()
        .map(|revision| revision.hash.as_str());
    let pods = tick.sources.inventory.pods_of(&view.target().uid);
    let of_it = pods.filter(|pod| hash_of(pod) == hash);
    let oldest = of_it.filter_map(|pod| pod.created_at).min();
    oldest.unwrap_or(newest.observed_at)
}

/// The revision that a pod is of, as its label tells.
pub(super) fn hash_of(pod: &ObjectState) -> Option<&str> {
    let mut labels = HASHES.iter().filter_map(|label| pod.labels.get(*label));
    labels.next().map(String::as_str)
}

fn changes(
    before: &RevisionState,
    after: &RevisionState,
) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let fields = before.template.keys().chain(after.template.keys());
    let differing = fields.filter_map(|field| {
        let value = |of: &RevisionState| {
            of.template
                .get(field)
                .map(|value| cut(value.clone(), LONGEST))
        };
        let (from, to) = (value(before), value(after));
        let differs = before.template.get(field) != after.template.get(field);
        differs.then(|| (cut(field.clone(), LONGEST), (from, to)))
    });
    let all: BTreeMap<_, _> = differing.collect();
    // Images first: what rules ask for is never cut off by a long list of others.
    let (images, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(field, _)| crate::evidence::is_image(field));
    images
        .into_iter()
        .chain(others)
        .take(MOST_CHANGES)
        .collect()
}

/// Whether every replica is of the newest revision and ready, and no other is left.
fn is_complete(replicas: Replicas) -> bool {
    let Replicas {
        desired,
        current,
        ready,
        updated,
        observed,
    } = replicas;
    observed && updated >= desired && ready >= desired && current <= updated
}
