//! Cluster events about the objects in trouble, by their shape.
//!
//! Whoever may create Events may write anything into them, under any name, so
//! all of it is text. Reasons that Kubernetes itself gives in trouble come
//! first, so that a flood of others does not hide them.
//!
//! Pure: no IO, no clock.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use schemas::{diagnosis::Provenance, target::Target};

use super::{Draft, claim::needed, tick::Tick, view::View};
use crate::{
    case::Sources,
    evidence::{EventShape, Fact, template},
    explain::cut,
};

/// Shapes that are told of an owner.
const MOST: usize = 5;
/// Events that are looked at, of one object.
const MOST_OF_ONE: usize = 500;
/// Characters of a reason and of a reporter.
const LONGEST: usize = 64;

/// Reasons that kubelets and controllers give in trouble.
const KNOWN: [&str; 22] = [
    "BackOff",
    "Failed",
    "FailedMount",
    "FailedAttachVolume",
    "FailedScheduling",
    "FailedCreate",
    "FailedCreatePodSandBox",
    "FailedToRetrieveImagePullSecret",
    "Unhealthy",
    "Killing",
    "OOMKilling",
    "SystemOOM",
    "Evicted",
    "NodeNotReady",
    "ProvisioningFailed",
    "FailedBinding",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "EvictionBlocked",
    "DrainFailed",
    "FailedGetResourceMetric",
    "ProbeWarning",
];

/// The objects whose events are read: owner, pods, newest revision, claims.
pub(super) fn subjects<'a>(view: &View<'a>, sources: &Sources<'a>) -> Vec<&'a Target> {
    let inventory = sources.inventory;
    let mut subjects = vec![view.target()];
    subjects.extend(view.others().into_iter().map(|state| &state.target));
    subjects.extend(view.pods.iter().map(|pod| &pod.target));
    let revisions = inventory.revisions_of(&view.target().uid).into_iter();
    subjects.extend(revisions.take(1).map(|state| &state.target));
    if let Some(pod) = view.pods.first() {
        let claims = needed(pod).filter_map(|name| inventory.claim(&pod.target.namespace, name));
        subjects.extend(claims.map(|state| &state.target));
    }
    subjects.sort();
    subjects.dedup();
    subjects
}

/// What tells two shapes apart: kind of the object, type, reason, reporter, and the template's number.
type Key<'a> = (&'a str, &'a str, &'a str, &'a str, usize);

#[derive(Debug)]
struct Seen<'a> {
    about: &'a Target,
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// The events of an owner, the most telling first.
pub(super) fn of<'a>(view: &View<'a>, tick: &Tick<'a>) -> Vec<Draft> {
    let mut miner = template::Miner::default();
    let mut seen: BTreeMap<Key<'_>, Seen<'_>> = BTreeMap::new();
    for target in subjects(view, &tick.sources) {
        for event in tick.events(target).take(MOST_OF_ONE) {
            let Ok(at) = Timestamp::from_millisecond(event.at) else {
                continue;
            };
            let number = miner.add(event.template, u64::from(event.increase));
            let key = (
                target.kind.as_str(),
                event.kind,
                event.reason,
                event.reporter,
                number,
            );
            let shape = seen.entry(key).or_insert(Seen {
                about: target,
                first: at,
                last: at,
                count: 0,
            });
            shape.first = shape.first.min(at);
            shape.last = shape.last.max(at);
            shape.count = shape.count.saturating_add(u64::from(event.increase));
        }
    }
    let mut shapes: Vec<(Key<'_>, Seen<'_>)> = seen.into_iter().collect();
    shapes.sort_by_key(|(key, seen)| (Reverse(rank(key)), Reverse(seen.count), *key));
    let told = shapes
        .into_iter()
        .filter(|(key, _)| rank(key) > 0)
        .take(MOST);
    told.map(|(key, seen)| draft(key, &seen, &miner).later(view.place, 0))
        .collect()
}

/// How telling: what Kubernetes itself says in trouble, then other warnings; what is normal only if it ends something.
fn rank((_, kind, reason, ..): &Key<'_>) -> u8 {
    match (*kind, KNOWN.contains(reason)) {
        ("Warning", true) => 3,
        (_, true) => 2,
        ("Warning", false) => 1,
        _ => 0,
    }
}

fn draft(key: Key<'_>, seen: &Seen<'_>, miner: &template::Miner) -> Draft {
    let (_, kind, reason, reporter, number) = key;
    let worth = match rank(&key) {
        3 => 73,
        2 => 52,
        _ => 45,
    };
    let word = |text: &str| cut(template::plain(text), LONGEST);
    let fact = EventShape {
        kind: word(kind),
        reason: word(reason),
        reporter: word(reporter),
        template: miner.template(number),
        count: seen.count,
        last: seen.last,
    };
    let draft = Draft::new(worth, seen.about, seen.first, Fact::Events(fact));
    draft.of(Provenance::Text)
}
