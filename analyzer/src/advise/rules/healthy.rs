//! Trouble that goes away by itself.
//!
//! Leaving alone what needs help is the dearest mistake here, so one sign of
//! trouble that lasts outweighs any sign of recovery.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::diagnosis::FailureMode;

use super::{
    claim::Claim,
    scene::{Subject, pieces},
    series,
};
use crate::evidence::{Metric, Piece};

/// How long ago something may have come right and still be news.
const LATELY: SignedDuration = SignedDuration::from_mins(10);

/// It is recovering by itself.
pub(super) fn transient(of: &Subject<'_>) -> Option<Claim> {
    let mut claim = Claim::new(FailureMode::Transient, of.owner());
    claim.leave_alone = true;
    let (falling, ready, progress) = (falling(of), ready_again(of), progresses(of));
    if falling.is_empty() && ready.is_empty() && progress.is_empty() {
        return None;
    }
    if !falling.is_empty() {
        claim.ground(3.5, &falling, "what was high is falling back");
    }
    if !ready.is_empty() {
        claim.ground(3.5, &ready, "it has just become ready");
    }
    if !progress.is_empty() {
        claim.ground(3.5, &progress, "a rollout is under way and makes progress");
    }
    lasting(of, &mut claim);
    Some(claim)
}

/// Memory or CPU that has come down from its peak.
fn falling<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    let mut found = of.measured(Metric::MemoryBytes);
    found.extend(of.measured(Metric::CpuCores));
    found.retain(|(_, series)| series::falls_back(series) || series::sinks(series));
    pieces(&found)
}

/// Pods that have become ready lately, and stayed it.
fn ready_again<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    let mut now = of.condition("Ready", "True");
    now.retain(|(piece, _)| of.ago(piece.since) <= LATELY);
    let mut found = pieces(&now);
    let mut measured = of.measured(Metric::Ready);
    measured.retain(|(_, series)| {
        let shape = &series.shape;
        let rose = shape.change.is_some_and(|change| change.by > 0.0);
        shape.last >= 0.5 && rose && (1..=2).contains(&shape.flips)
    });
    found.extend(pieces(&measured));
    found
}

/// A rollout that its controller sees getting on.
fn progresses<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    let mut young = of.rollouts();
    young.retain(|(piece, rollout)| !rollout.complete && of.ago(piece.since) <= LATELY);
    let mut says = of.condition("Progressing", "True");
    says.retain(|(_, condition)| condition.reason != "NewReplicaSetAvailable");
    if young.is_empty() || says.is_empty() {
        return Vec::new();
    }
    let mut found = pieces(&young);
    found.extend(pieces(&says));
    found
}

/// What speaks for trouble that lasts.
fn lasting(of: &Subject<'_>, claim: &mut Claim) {
    let looping = pieces(&of.waits(&["CrashLoopBackOff"]));
    let growing = {
        let mut restarts = of.measured(Metric::Restarts);
        restarts.retain(|(_, series)| series.shape.last - series.shape.min >= 3.0);
        pieces(&restarts)
    };
    let climbs = {
        let mut memory = of.measured(Metric::MemoryBytes);
        memory.retain(|(_, series)| {
            let climb = series::climb(series);
            let steady = climb.is_some_and(|climb| climb.share >= 0.6 && climb.linearity >= 0.8);
            steady && !series::falls_back(series)
        });
        pieces(&memory)
    };
    let sawtooth = {
        let mut memory = of.measured(Metric::MemoryBytes);
        memory.retain(|(_, series)| series.shape.drops >= 2);
        pieces(&memory)
    };
    let mut limited = of.autoscalers();
    limited.retain(|(_, scaler)| scaler.limited);
    let signs: [(f64, Vec<&Piece>, &str); 12] = [
        (-4.5, looping, "it is in a crash loop"),
        (-3.0, growing, "it was restarted again and again"),
        (-4.5, of.cannot_start(), "something keeps it from starting"),
        (
            -4.5,
            of.is_held_up(),
            "its volumes or its network are not ready",
        ),
        (
            -3.5,
            pieces(&of.out_of_memory()),
            "it was killed for want of memory",
        ),
        (-4.5, pieces(&of.overdue()), "its rollout is overdue"),
        (-4.0, of.lacks_node(), "its node is not ready"),
        (-3.0, climbs, "memory climbs steadily"),
        (-3.0, pieces(&of.flaps()), "readiness comes and goes"),
        (-1.5, sawtooth, "memory falls again and again"),
        (
            -2.0,
            pieces(&limited),
            "its autoscaler may not add replicas",
        ),
        (-2.5, of.is_not_ready(), "it is not ready"),
    ];
    for (weight, on, text) in signs {
        if !on.is_empty() {
            claim.ground(weight, &on, text);
        }
    }
}
