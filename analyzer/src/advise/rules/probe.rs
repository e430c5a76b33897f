//! Probes: readiness that comes and goes, and probes that fail although the process runs.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, object::Probe, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
};
use crate::evidence::{Fact, Piece};

/// Readiness comes and goes.
pub(super) fn flapping(of: &Subject<'_>) -> Option<Claim> {
    let flaps = of.flaps();
    let most = flaps.iter().map(|(_, flips)| *flips).max()?;
    // Where all pods flap, the reason is shared, and a restart only takes capacity away.
    let shared = all_sick(of);
    let remedies: &[Remedy] = if shared.is_empty() {
        &[Remedy::Restart, Remedy::Notify]
    } else {
        &[Remedy::Notify]
    };
    let mut claim = Claim::new(FailureMode::ReadinessFlapping, of.owner()).fitting(remedies);
    let on = pieces(&flaps);
    let weight = if most >= 5 { 3.5 } else { 2.5 };
    claim.ground(weight, &on, format!("readiness changed {most} times"));
    let (crashes, ends) = (of.crashes(), of.ends());
    if crashes.is_empty() && ends.is_empty() {
        claim.ground(1.0, &[], "nothing was restarted");
    } else {
        let mut on = crashes;
        on.extend(pieces(&ends));
        claim.ground(-3.0, &on, "containers end: readiness goes with them");
    }
    let mut probed = of.containers();
    probed.retain(|(_, container)| container.probes.readiness.is_some());
    if !probed.is_empty() {
        claim.ground(0.5, &pieces(&probed), "it has a readiness probe");
    }
    let held = pieces(&of.at_cpu_limit());
    if !held.is_empty() {
        claim.ground(
            -2.0,
            &held,
            "its CPU is at the limit, which slows its answers",
        );
    }
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-2.0, &blocked, "a container cannot even start");
    }
    let told = of.told(&["Unhealthy"], &["readiness"]);
    claim.hint(0.5, &told, "events tell of a failing readiness probe");
    Some(claim)
}

/// Several pods, and all of them in trouble.
fn all_sick<'a>(of: &Subject<'a>) -> Vec<&'a Piece> {
    pieces(&of.read(|fact| {
        if let Fact::Siblings { pods, sick, .. } = fact {
            (*pods > 1 && sick >= pods).then_some(())
        } else {
            None
        }
    }))
}

/// A liveness probe kills what works, or a readiness probe fails although the process runs.
pub(super) fn failing(of: &Subject<'_>) -> Option<Claim> {
    let claim = Claim::new(FailureMode::ProbeFailing, of.owner());
    let mut claim = if of.killed().is_empty() {
        unready(of, claim)?
    } else {
        killed(of, claim)?
    };
    if let Some(recent) = of
        .rollout()
        .filter(|recent| recent.rollout.previous.is_some())
    {
        claim.ground(-1.5, &[recent.piece], "a rollout came just before");
    }
    let memory = of.out_of_memory();
    if !memory.is_empty() {
        claim.ground(-3.0, &pieces(&memory), "it was killed for want of memory");
    }
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-4.0, &blocked, "it does not even start");
    }
    let held = pieces(&of.at_cpu_limit());
    if !held.is_empty() {
        claim.ground(
            -1.5,
            &held,
            "its CPU is at the limit, which slows its answers",
        );
    }
    Some(claim)
}

/// It is killed again and again, and has a liveness probe.
fn killed(of: &Subject<'_>, mut claim: Claim) -> Option<Claim> {
    let killed = of.killed();
    let (_, worst) = killed.iter().max_by_key(|(_, end)| end.restarts)?;
    let containers = of.containers();
    let live: Vec<_> = containers
        .iter()
        .filter_map(|(piece, container)| Some((*piece, container.probes.liveness?)))
        .collect();
    let on = pieces(&killed);
    let code = worst.exit_code;
    claim.fits = vec![Remedy::Notify];
    claim.ground(
        1.5,
        &on,
        format!("it was killed from outside, with code {code}"),
    );
    if worst.restarts >= 2 {
        claim.ground(1.0, &on, format!("{} times", worst.restarts));
    }
    if let Some((piece, probe)) = live.first() {
        claim.ground(1.5, &[piece], "it has a liveness probe");
        let patience = patience(*probe);
        if patience < 30 {
            let text = format!("the probe waits {patience} s before it kills");
            claim.ground(0.8, &[piece], text);
        }
    } else if !containers.is_empty() {
        claim.ground(-3.0, &pieces(&containers), "it has no liveness probe");
    }
    let told = of.told(&["Unhealthy", "Killing"], &["liveness"]);
    claim.hint(0.8, &told, "events tell of a failing liveness probe");
    Some(claim)
}

/// Seconds from a container's start to its end, if the probe never passes.
fn patience(probe: Probe) -> u64 {
    let tries = u64::from(probe.failure_threshold) * u64::from(probe.period_seconds);
    u64::from(probe.initial_delay_seconds) + tries
}

/// It runs, was not restarted, and is not ready.
fn unready(of: &Subject<'_>, mut claim: Claim) -> Option<Claim> {
    let unready = of.is_not_ready();
    if unready.is_empty() {
        return None;
    }
    // The process runs: a restart may free what hangs, as a liveness probe would.
    claim.fits = vec![Remedy::Restart, Remedy::Notify];
    claim.ground(2.0, &unready, "it is not ready");
    let containers = of.containers();
    let mut probed = containers.clone();
    probed.retain(|(_, container)| container.probes.readiness.is_some());
    if !probed.is_empty() {
        claim.ground(1.5, &pieces(&probed), "it has a readiness probe");
    } else if !containers.is_empty() {
        claim.ground(-2.5, &pieces(&containers), "it has no readiness probe");
    }
    let mut stopped = of.crashes();
    stopped.extend(pieces(&of.waiting()));
    if stopped.is_empty() {
        claim.ground(0.5, &[], "its containers run");
    } else {
        claim.ground(-3.5, &stopped, "its containers do not run");
    }
    let flaps = of.flaps();
    if !flaps.is_empty() {
        claim.ground(-2.0, &pieces(&flaps), "it comes and goes");
    }
    let nodes = of.lacks_node();
    if !nodes.is_empty() {
        claim.ground(-3.0, &nodes, "its node is not ready");
    }
    let told = of.told(&["Unhealthy"], &["readiness"]);
    claim.hint(0.8, &told, "events tell of a failing readiness probe");
    Some(claim)
}
