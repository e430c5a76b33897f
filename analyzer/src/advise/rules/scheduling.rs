//! Pods that no node has: turned away, no room, or a volume that is not there.
//!
//! The scheduler counts why each node turned a pod down; what turned down most
//! of them stands in the way.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
};
use crate::evidence::{Fact, Piece, Scheduling};

fn counted<'a>(of: &Subject<'a>) -> Option<(&'a Piece, &'a Scheduling)> {
    let found = of.schedulings().into_iter();
    found.max_by_key(|(_, scheduling)| scheduling.nodes)
}

/// No node accepts the pod: taints, selectors or affinities.
pub(super) fn taint(of: &Subject<'_>) -> Option<Claim> {
    let (piece, counts) = counted(of)?;
    let turned_away = counts.tainted.saturating_add(counts.unmatched);
    if turned_away == 0 {
        return None;
    }
    let mut claim =
        Claim::new(FailureMode::UnschedulableTaint, of.owner()).fitting(&[Remedy::Notify]);
    let (tainted, unmatched) = (counts.tainted, counts.unmatched);
    let text = format!(
        "{tainted} nodes have a taint that it does not tolerate, {unmatched} do not match it"
    );
    let weight = match counts.insufficient {
        0 => 4.5,
        short if turned_away > short => 2.5,
        _ => 0.5,
    };
    claim.ground(weight, &[piece], text);
    if counts.unbound {
        claim.ground(-2.0, &[piece], "a volume claim stands in the way as well");
    }
    // A node that is not ready is tainted by the control plane.
    let mut nodes = of.nodes();
    nodes.retain(|(_, node)| node.not_ready > 0 && node.not_ready >= counts.tainted);
    if !nodes.is_empty() && counts.tainted > 0 {
        claim.ground(
            -3.5,
            &pieces(&nodes),
            "the taints are those of nodes that are not ready",
        );
    }
    unscheduled(of, &mut claim);
    Some(claim)
}

/// No node has room.
pub(super) fn resources(of: &Subject<'_>) -> Option<Claim> {
    let (piece, counts) = counted(of)?;
    if counts.insufficient == 0 {
        return None;
    }
    let mut claim =
        Claim::new(FailureMode::UnschedulableResources, of.owner()).fitting(&[Remedy::Notify]);
    let turned_away = counts.tainted.saturating_add(counts.unmatched);
    let (short, nodes) = (counts.insufficient, counts.nodes);
    let weight = match turned_away {
        0 => 4.5,
        // A taint on the nodes of the control plane is as it should be.
        away if away <= short => 3.5,
        _ => 1.5,
    };
    claim.ground(
        weight,
        &[piece],
        format!("{short} of {nodes} nodes have no room for it"),
    );
    if counts.unbound {
        claim.ground(-2.0, &[piece], "a volume claim stands in the way as well");
    }
    unscheduled(of, &mut claim);
    Some(claim)
}

fn unscheduled(of: &Subject<'_>, claim: &mut Claim) {
    let pending = pieces(&of.condition("PodScheduled", "False"));
    if !pending.is_empty() {
        claim.ground(0.5, &pending, "the scheduler has found no node");
    }
}

/// A volume claim that is not bound.
pub(super) fn volume(of: &Subject<'_>) -> Option<Claim> {
    let claims = of.read(|fact| {
        if let Fact::Claim { name, phase, .. } = fact {
            Some((name.as_str(), phase.as_str()))
        } else {
            None
        }
    });
    let counts = counted(of);
    let unbound = counts.filter(|(_, counts)| counts.unbound);
    let open = claims.iter().find(|(_, (_, phase))| *phase != "Bound");
    if unbound.is_none() && open.is_none() {
        return None;
    }
    let mut claim = Claim::new(FailureMode::UnboundVolume, of.owner()).fitting(&[Remedy::Notify]);
    if let Some((piece, _)) = unbound {
        claim.ground(3.5, &[piece], "the scheduler waits for a volume claim");
    }
    match open {
        Some((piece, (name, "Lost"))) => {
            claim.ground(4.5, &[piece], format!("the volume of claim {name} is lost"));
        }
        Some((piece, (name, _))) => {
            claim.ground(2.5, &[piece], format!("claim {name} is not bound"));
        }
        None if !claims.is_empty() => {
            claim.ground(-3.5, &pieces(&claims), "its claims are bound");
        }
        None => {}
    }
    let elsewhere = counts.filter(|(_, counts)| {
        !counts.unbound && (counts.insufficient > 0 || counts.tainted > 0 || counts.unmatched > 0)
    });
    if let Some((piece, _)) = elsewhere {
        // With WaitForFirstConsumer a claim waits for the pod, and not the pod for the claim.
        let text = "the scheduler names another reason, and such a claim may wait for the pod";
        claim.ground(-3.0, &[piece], text);
    }
    unscheduled(of, &mut claim);
    Some(claim)
}
