//! Rollouts: a revision that does not work, and one that does not come to its end.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    crash::rollout_siblings,
    scene::{Subject, pieces},
};
use crate::evidence::{Piece, Rollout};

/// Trouble began with the newest revision, whose image or code is another one.
pub(super) fn bad_rollout(of: &Subject<'_>) -> Option<Claim> {
    let recent = of.rollout()?;
    if recent.rollout.previous.is_none() || recent.changed_only_configuration() {
        return None;
    }
    let remedy = if of.has_way_back() {
        Remedy::Rollback
    } else {
        Remedy::Notify
    };
    let mut claim = Claim::new(FailureMode::BadRollout, of.owner()).fitting(&[remedy]);
    let on = [recent.piece];
    let revision = recent.rollout.revision;
    claim.ground(
        recent.weight(),
        &on,
        format!("trouble began with revision {revision}"),
    );
    if recent.changed_image() {
        claim.ground(1.5, &on, "it brought another image");
    } else {
        claim.ground(0.5, &on, "what it changed is not known");
    }
    let mut crashes = of.crashes();
    crashes.extend(pieces(&of.out_of_memory()));
    let unready = of.is_not_ready();
    if !crashes.is_empty() {
        claim.ground(1.5, &crashes, "its containers crash");
    } else if unready.is_empty() {
        claim.ground(-1.5, &[], "nothing crashes, and nothing is unready");
    } else {
        claim.ground(0.5, &unready, "its pods are not ready");
    }
    rollout_siblings(of, &mut claim);
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-4.0, &blocked, "its containers do not even start");
    }
    let deadline = pieces(&of.overdue());
    if !deadline.is_empty() && crashes.is_empty() {
        claim.ground(-1.5, &deadline, "it is late, and nothing crashes");
    }
    Some(claim)
}

/// A rollout that does not come to its end.
pub(super) fn stuck(of: &Subject<'_>) -> Option<Claim> {
    let rollout = of
        .rollouts()
        .into_iter()
        .max_by_key(|(piece, _)| piece.since);
    let overdue = pieces(&of.overdue());
    let waits = rollout.filter(|(_, rollout)| is_half_done(rollout));
    if overdue.is_empty() && waits.is_none() {
        return None;
    }
    let mut claim = Claim::new(FailureMode::StuckRollout, of.owner());
    if !overdue.is_empty() {
        claim.ground(
            4.0,
            &overdue,
            "its controller gave it up: the deadline for progress is over",
        );
    }
    if let Some((piece, rollout)) = waits {
        half_done(of, &mut claim, (piece, rollout));
    }
    if let Some((piece, _)) = rollout.filter(|(_, rollout)| rollout.complete) {
        claim.ground(-4.0, &[piece], "it is complete");
    }
    let mut crashes = of.crashes();
    crashes.extend(pieces(&of.out_of_memory()));
    if !crashes.is_empty() {
        claim.ground(-3.0, &crashes, "its containers crash, which is why");
    }
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-4.0, &blocked, "its pods cannot start, which is why");
    }
    let previous = rollout.and_then(|(_, rollout)| rollout.previous);
    claim.fits = if previous.is_some() && of.has_way_back() {
        vec![Remedy::Rollback]
    } else {
        vec![Remedy::Notify]
    };
    Some(claim)
}

/// Whether the newest revision waits while the one before still works.
fn is_half_done(rollout: &Rollout) -> bool {
    !rollout.complete && rollout.previous_ready.is_some_and(|ready| ready > 0)
}

fn half_done(of: &Subject<'_>, claim: &mut Claim, (piece, rollout): (&Piece, &Rollout)) {
    let age = of.ago(piece.since);
    let revision = rollout.revision;
    let text = format!("revision {revision} is not complete while the one before still works");
    if age >= SignedDuration::from_mins(5) {
        claim.ground(2.5, &[piece], text);
    } else if age >= SignedDuration::from_mins(2) {
        claim.ground(1.5, &[piece], text);
    } else {
        claim.ground(-1.0, &[piece], "it has only just begun");
    }
    let mut behind = of.replicas();
    behind.retain(|(_, replicas)| replicas.updated > 0 && replicas.ready < replicas.current);
    if !behind.is_empty() {
        claim.ground(1.0, &pieces(&behind), "its new pods do not become ready");
    }
    let unready = of.is_not_ready();
    if !unready.is_empty() {
        claim.ground(1.0, &unready, "a pod of it is not ready");
    }
}

impl<'a> Subject<'a> {
    /// The controller has given up waiting for the rollout.
    pub(super) fn overdue(&self) -> Vec<(&'a Piece, &'a crate::evidence::Condition)> {
        let mut found = self.condition("Progressing", "False");
        found.retain(|(_, condition)| condition.reason == "ProgressDeadlineExceeded");
        found
    }
}
