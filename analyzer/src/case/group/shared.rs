//! Owners that lack the same thing, or were rolled out together.
//!
//! Many workloads share a `ConfigMap`, a pull secret or a namespace and fail
//! for reasons of their own, so sharing alone joins nobody: the pods must be
//! held up by that kind of thing, or the rollout must just have happened.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::object::{ObjectState, PodState, Reference};

use super::{Ailing, CORRELATION, JITTER, Union};
use crate::{evidence::is_used_up, inventory::Inventory};

/// Names the release that an object belongs to, by the labels that Kubernetes recommends.
const RELEASE: [&str; 2] = ["app.kubernetes.io/instance", "app.kubernetes.io/part-of"];

/// How long after a rollout a trouble may be due to it: pods start one after another, and probes take their time.
pub(in crate::case) const AFTER_ROLLOUT: SignedDuration = SignedDuration::from_mins(15);

/// Put into every namespace, and mounted by nearly every pod.
const EVERYWHERE: &str = "kube-root-ca.crt";

/// What owners can have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Common<'a> {
    /// What a pod needs: namespace, kind and name.
    Need(&'a str, &'a str, &'a str),
    /// A quota that is used up: its namespace.
    Quota(&'a str),
    /// A release that was rolled out: namespace and name.
    Release(&'a str, &'a str),
    /// An image that came with a rollout: namespace and reference.
    Image(&'a str, &'a str),
}

/// Joins the owners that have something in common that just failed them.
pub(super) fn join<'a>(ailing: &'a [Ailing<'a>], inventory: &'a Inventory, union: &mut Union) {
    let mut common: BTreeMap<Common<'a>, Vec<(Timestamp, usize)>> = BTreeMap::new();
    for (place, one) in ailing.iter().enumerate() {
        for need in needs(one, inventory) {
            common.entry(need).or_default().push((one.since(), place));
        }
        if let Some(quota) = starved(one, inventory) {
            common.entry(quota).or_default().push((one.since(), place));
        }
        for (rolled_out, at) in rollout(one, inventory) {
            common.entry(rolled_out).or_default().push((at, place));
        }
    }
    for places in common.into_values() {
        union.chain(places, CORRELATION);
    }
}

/// The references that hold the pods of an owner up, or the claim that is in trouble itself.
fn needs<'a>(one: &'a Ailing<'a>, inventory: &'a Inventory) -> Vec<Common<'a>> {
    let namespace = one.owner.namespace.as_str();
    if one.owner.kind == "PersistentVolumeClaim" {
        return vec![Common::Need(
            namespace,
            "PersistentVolumeClaim",
            &one.owner.name,
        )];
    }
    let Some(pod) = one.pod(inventory).and_then(|state| state.pod.as_ref()) else {
        return Vec::new();
    };
    let held = pod.needs.iter().filter(|need| {
        !need.optional && need.name != EVERYWHERE && holds_up(pod, need, (namespace, inventory))
    });
    held.map(|need| Common::Need(namespace, &need.kind, &need.name))
        .collect()
}

/// Whether a pod waits for the kind of thing that a reference is.
fn holds_up(pod: &PodState, need: &Reference, (namespace, inventory): (&str, &Inventory)) -> bool {
    let waits = |reasons: &[&str]| {
        let mut containers = pod.init_containers.iter().chain(&pod.containers);
        containers.any(|one| one.state == "waiting" && reasons.contains(&one.reason.as_str()))
    };
    match (need.kind.as_str(), need.via.as_str()) {
        ("PersistentVolumeClaim", _) => {
            let claim = inventory.claim(namespace, &need.name);
            let phase = claim.and_then(|claim| claim.claim.as_ref());
            pod.phase == "Pending" && phase.is_some_and(|claim| claim.phase != "Bound")
        }
        (_, "env") => waits(&["CreateContainerConfigError"]),
        (_, "volume") => pod.phase == "Pending" && waits(&["ContainerCreating", "PodInitializing"]),
        (_, "imagePull") => waits(&["ErrImagePull", "ImagePullBackOff"]),
        _ => false,
    }
}

/// The quota that keeps an owner from having its pods.
fn starved<'a>(one: &'a Ailing<'a>, inventory: &Inventory) -> Option<Common<'a>> {
    let namespace = one.owner.namespace.as_str();
    if one.owner.kind == "ResourceQuota" {
        return Some(Common::Quota(namespace));
    }
    let owner = inventory.get(&one.owner.uid)?;
    let replicas = owner.replicas?;
    let used_up = || {
        let mut quotas = inventory.quotas(namespace);
        quotas.any(|quota| quota.quota.as_ref().is_some_and(is_used_up))
    };
    (replicas.current < replicas.desired && used_up()).then_some(Common::Quota(namespace))
}

/// What came with the newest revision of an owner, and when, if its trouble began soon after.
fn rollout<'a>(one: &'a Ailing<'a>, inventory: &'a Inventory) -> Vec<(Common<'a>, Timestamp)> {
    let revisions: Vec<&ObjectState> = inventory.revisions_of(&one.owner.uid);
    let Some(newest) = revisions.first().copied() else {
        return Vec::new();
    };
    let Some(at) = newest.created_at else {
        return Vec::new();
    };
    let from = at.saturating_sub(JITTER).unwrap_or(at);
    let until = at.saturating_add(AFTER_ROLLOUT).unwrap_or(at);
    if revisions.len() < 2 || one.onsets.range(from..=until).next().is_none() {
        return Vec::new();
    }
    let namespace = one.owner.namespace.as_str();
    let owner = inventory.get(&one.owner.uid);
    let release = RELEASE
        .iter()
        .find_map(|label| owner?.labels.get(*label))
        .map(|release| Common::Release(namespace, release));
    let images = images(newest, revisions.get(1).copied());
    let images = images.map(|image| Common::Image(namespace, image));
    release
        .into_iter()
        .chain(images)
        .map(|common| (common, at))
        .collect()
}

/// The images of a revision that the one before did not have.
fn images<'a>(
    newest: &'a ObjectState,
    previous: Option<&'a ObjectState>,
) -> impl Iterator<Item = &'a str> {
    let template = |state: &'a ObjectState| state.revision.as_ref().map(|one| &one.template);
    let before = previous.and_then(template);
    template(newest)
        .into_iter()
        .flatten()
        .filter(move |(field, value)| {
            crate::evidence::is_image(field)
                && before.and_then(|before| before.get(*field)) != Some(*value)
        })
        .map(|(_, image)| image.as_str())
}
