//! The names that a question knows.
//!
//! Pure: no IO, no clock.

use schemas::target::Target;

use crate::{
    advise::{Question, redact::names::Pseudonyms},
    evidence::Fact,
};

/// Kinds by which pseudonyms are called.
const KINDS: [&str; 11] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Job",
    "Node",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicaSet",
    "Service",
    "StatefulSet",
];

/// A pseudonym for every name of an object in the question.
pub(super) fn names(question: &Question) -> Pseudonyms {
    let mut names = Pseudonyms::default();
    let members = question.case.owners.iter();
    let sick = members.flat_map(|member| std::iter::once(&member.owner).chain(&member.sick));
    let pieces = &question.case.evidence;
    let causes = question
        .hypotheses
        .iter()
        .map(|hypothesis| &hypothesis.about);
    let targets = question.targets.iter().chain(sick).chain(causes);
    for target in targets.chain(pieces.iter().map(|piece| &piece.about)) {
        add(&mut names, target);
    }
    for piece in pieces {
        of_fact(&mut names, &piece.fact);
    }
    names
}

fn add(names: &mut Pseudonyms, target: &Target) {
    names.add("namespace", &target.namespace);
    // A kind is a text too: of one that is not known, nothing is told.
    let kind = KINDS.iter().find(|kind| **kind == target.kind);
    names.add(kind.unwrap_or(&"object"), &target.name);
}

fn of_fact(names: &mut Pseudonyms, fact: &Fact) {
    match fact {
        Fact::Finding(finding) => names.add("namespace", &finding.policy.0),
        Fact::Series(series) => names.add("container", &series.container),
        Fact::Termination(ended) => names.add("container", &ended.container),
        Fact::Waiting(waiting) => names.add("container", &waiting.container),
        Fact::Container(container) => {
            names.add("container", &container.name);
            // What an image is called names its owner; what its version is does not.
            let path = container.image.split(['/', '@']);
            for part in path {
                names.add("image", part.split(':').next().unwrap_or_default());
            }
        }
        Fact::Autoscaler(scaler) => names.add("autoscaler", &scaler.name),
        Fact::Budget { name, .. } => names.add("budget", name),
        Fact::Node(node) => names.add("node", &node.name),
        Fact::Quota { name, .. } => names.add("quota", name),
        Fact::Claim {
            name,
            storage_class,
            ..
        } => {
            names.add("claim", name);
            names.add("storageclass", storage_class);
        }
        Fact::Dependency { on, .. } => add(names, on),
        Fact::Neighbour { pod, .. } => add(names, pod),
        Fact::Log { container, .. } => names.add("container", container),
        Fact::Events(_)
        | Fact::Condition(_)
        | Fact::Rollout(_)
        | Fact::Replicas(_)
        | Fact::Scheduling(_)
        | Fact::Service { .. }
        | Fact::Job(_)
        | Fact::PastAction { .. }
        | Fact::Siblings { .. } => {}
    }
}
