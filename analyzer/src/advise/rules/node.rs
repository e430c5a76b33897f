//! Nodes: one that is not ready, many at once, one that runs out of something, and who takes it.
//!
//! A node's trouble is told once, whatever runs on it.
//!
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

use schemas::{diagnosis::FailureMode, policy::Remedy, target::Target};

use super::{
    claim::Claim,
    scene::{Scene, Subject, pieces},
    series,
};
use crate::evidence::{Fact, Metric, Node, Piece};

type Seen<'a> = Vec<(&'a Piece, &'a Node)>;

/// What is known of each node, by its name.
fn by_name<'a>(scene: &Scene<'a>) -> BTreeMap<&'a str, Seen<'a>> {
    let mut nodes: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    for &piece in &scene.firm {
        if let Fact::Node(node) = &piece.fact {
            nodes.entry(&node.name).or_default().push((piece, node));
        }
    }
    nodes
}

/// The node as a target: as evidence or a member has it, else by its name alone.
fn target(scene: &Scene<'_>, name: &str) -> Target {
    let members = scene.subjects.iter().map(Subject::owner);
    let abouts = scene.firm.iter().map(|piece| &piece.about);
    let known = members
        .chain(abouts)
        .find(|target| target.kind == "Node" && target.name == name);
    known.cloned().unwrap_or_else(|| Target {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        ..Target::default()
    })
}

/// Whether so many are down that it is no matter of one node: two or more, and three in ten.
const fn is_many(node: &Node) -> bool {
    node.not_ready >= 2 && node.not_ready.saturating_mul(10) >= node.nodes.saturating_mul(3)
}

/// Faults of the members that no node explains.
fn own_faults<'a>(scene: &Scene<'a>) -> Vec<&'a Piece> {
    let faults = scene.subjects.iter().map(|subject| {
        let mut faults = pieces(&subject.out_of_memory());
        faults.extend(subject.lacks_image());
        faults.extend(subject.lacks_reference());
        faults
    });
    let faults: Vec<Vec<&Piece>> = faults.collect();
    // One member with a fault of its own beside others that only lost their node proves nothing.
    if faults.iter().all(|found| !found.is_empty()) {
        faults.concat()
    } else {
        Vec::new()
    }
}

/// A node is not ready.
pub(super) fn not_ready(scene: &Scene<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (name, seen) in by_name(scene) {
        let mut down = seen;
        down.retain(|(_, node)| node.ready != "True");
        let Some((_, node)) = down.first() else {
            continue;
        };
        let about = target(scene, name);
        let mut claim = Claim::new(FailureMode::NodeNotReady, &about)
            .fitting(&[Remedy::Cordon, Remedy::Notify]);
        let on = pieces(&down);
        claim.ground(5.0, &on, format!("node {name} is not ready"));
        if is_many(node) {
            let text = format!("{} of {} nodes are not", node.not_ready, node.nodes);
            claim.ground(-4.5, &on, text);
        }
        let faults = own_faults(scene);
        if !faults.is_empty() {
            claim.ground(-3.0, &faults, "what runs there has a fault of its own");
        }
        claims.push(claim);
    }
    claims
}

/// Many nodes are not ready at once: a network, a zone, a control plane. People decide.
pub(super) fn many_not_ready(scene: &Scene<'_>) -> Vec<Claim> {
    let nodes = by_name(scene);
    let mut down: Seen<'_> = nodes.into_values().flatten().collect();
    down.retain(|(_, node)| is_many(node));
    // The same node in every view, so that the claim is one.
    let worst = down
        .iter()
        .map(|(_, node)| *node)
        .filter(|node| node.ready != "True");
    let worst = worst.min_by(|a, b| a.name.cmp(&b.name));
    let first = worst.or_else(|| down.first().map(|(_, node)| *node));
    let Some(node) = first else {
        return Vec::new();
    };
    let about = target(scene, &node.name);
    let mut claim = Claim::new(FailureMode::NodesNotReady, &about).fitting(&[Remedy::Notify]);
    let text = format!("{} of {} nodes are not ready", node.not_ready, node.nodes);
    claim.ground(5.5, &pieces(&down), text);
    let faults = own_faults(scene);
    if !faults.is_empty() {
        claim.ground(-3.0, &faults, "what runs there has a fault of its own");
    }
    vec![claim]
}

/// A node has run out of disk, memory or processes.
pub(super) fn pressure(scene: &Scene<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (name, mut seen) in by_name(scene) {
        seen.retain(|(_, node)| !node.pressures.is_empty());
        let Some((_, node)) = seen.first() else {
            continue;
        };
        // The pressure's own taint comes and goes with it, and lets pods on again; a cordon does not.
        let mut claim = Claim::new(FailureMode::NodePressure, &target(scene, name))
            .fitting(&[Remedy::Cordon, Remedy::Notify]);
        let on = pieces(&seen);
        let what = node.pressures.join(", ");
        claim.ground(4.0, &on, format!("node {name} reports {what}"));
        if node.ready != "True" {
            claim.ground(-2.5, &on, "it is not even ready");
        }
        let evicted: Vec<&Piece> = scene.subjects.iter().flat_map(evicted).collect();
        if !evicted.is_empty() {
            claim.ground(1.0, &evicted, "the kubelet evicts pods");
        }
        let faults = own_faults(scene);
        if !faults.is_empty() {
            claim.ground(-2.5, &faults, "what runs there has a fault of its own");
        }
        claims.push(claim);
    }
    claims
}

/// Pods that the kubelet ended to save its node.
fn evicted<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    let mut found = of.condition("DisruptionTarget", "True");
    found.retain(|(_, condition)| condition.reason == "TerminationByKubelet");
    let mut ends = of.ends();
    ends.retain(|(_, end)| end.reason == "Evicted");
    let mut found = pieces(&found);
    found.extend(pieces(&ends));
    found
}

/// Another workload's use of the node.
struct Use<'a> {
    pod: &'a Target,
    resource: &'a str,
    share: f64,
    over_request: Option<f64>,
}

/// Another workload on the node takes what this one needs.
pub(super) fn noisy_neighbour(of: &Subject<'_>) -> Option<Claim> {
    let neighbours = of.read(|fact| {
        if let Fact::Neighbour {
            pod,
            resource,
            share,
            over_request,
        } = fact
        {
            Some(Use {
                pod,
                resource,
                share: *share,
                over_request: *over_request,
            })
        } else {
            None
        }
    });
    let (piece, found) = neighbours
        .into_iter()
        .max_by(|a, b| a.1.share.total_cmp(&b.1.share))?;
    // Its own request and limit are the remedy: with them the scheduler and the kernel know what
    // it takes. A restart of either pod brings it back to the same place.
    let mut claim = Claim::new(FailureMode::NoisyNeighbour, found.pod)
        .fitting(&[Remedy::Resize, Remedy::Notify]);
    weigh_use(&mut claim, piece, &found);
    if piece.since <= of.member.since {
        claim.ground(1.0, &[piece], "it did so before the trouble began");
    }
    let metric = if found.resource == "memory" {
        Metric::MemoryBytes
    } else {
        Metric::CpuCores
    };
    for (piece, series) in of.measured(metric) {
        let limited = match metric {
            Metric::CpuCores => !of.at_cpu_limit().is_empty(),
            Metric::MemoryBytes | Metric::Restarts | Metric::Ready => {
                series::of_limit(series).is_some_and(|share| share >= 0.9)
            }
        };
        if limited {
            claim.ground(-3.0, &[piece], "the pod is at its own limit");
        }
    }
    let mut faults = of.own_fault();
    if let Some(recent) = of
        .rollout()
        .filter(|recent| recent.rollout.previous.is_some())
    {
        faults.push(recent.piece);
    }
    if !faults.is_empty() {
        claim.ground(-2.5, &faults, "the pod has a fault of its own");
    }
    Some(claim)
}

fn weigh_use(claim: &mut Claim, piece: &Piece, found: &Use<'_>) {
    let (percent, resource) = (found.share * 100.0, found.resource);
    let text = format!("it takes {percent:.0} % of its node's {resource}");
    if found.share >= 0.5 {
        claim.ground(2.0, &[piece], text);
    } else if found.share >= 0.3 {
        claim.ground(1.0, &[piece], text);
    } else {
        claim.ground(-1.0, &[piece], text);
    }
    match found.over_request {
        None => claim.ground(1.5, &[piece], "and asked for none of it"),
        Some(times) if times >= 2.0 => {
            claim.ground(2.0, &[piece], format!("{times:.1} times what it asked for"));
        }
        Some(times) if times >= 1.2 => claim.ground(0.5, &[piece], "more than it asked for"),
        Some(_) => claim.ground(-3.0, &[piece], "no more than it asked for"),
    }
}
