//! Containers that crash, or cannot be made: by their configuration, for want of a reference, or for no known reason.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    message,
    scene::{Subject, pieces},
};

/// Crashes since a rollout that changed the configuration and not the image.
pub(super) fn bad_configuration(of: &Subject<'_>) -> Option<Claim> {
    let recent = of.rollout()?;
    if !recent.changed_only_configuration() {
        return None;
    }
    let remedies: &[Remedy] = if of.has_way_back() {
        &[Remedy::Rollback]
    } else {
        &[Remedy::Notify]
    };
    let mut claim = Claim::new(FailureMode::BadConfiguration, of.owner()).fitting(remedies);
    let on = [recent.piece];
    let revision = recent.rollout.revision;
    let text = format!("trouble began with revision {revision}");
    claim.ground(recent.weight(), &on, text);
    claim.ground(1.5, &on, "it changed configuration and not the image");
    let killed = pieces(&of.out_of_memory());
    let mut crashes = of.crashes();
    if !killed.is_empty() && recent.changed_resources() {
        crashes.extend(killed);
    } else if !killed.is_empty() {
        claim.ground(-1.5, &killed, "it was killed for want of memory");
    }
    if crashes.is_empty() {
        claim.ground(-2.5, &[], "nothing crashes");
    } else {
        claim.ground(1.5, &crashes, "its containers crash");
    }
    rollout_siblings(of, &mut claim);
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-4.0, &blocked, "they do not even start");
    }
    Some(claim)
}

/// What the other pods say of a rollout.
pub(super) fn rollout_siblings(of: &Subject<'_>, claim: &mut Claim) {
    let (only, older) = (of.only_newest_sick(), of.older_sick());
    if !only.is_empty() {
        claim.ground(
            1.5,
            &only,
            "only pods of the newest revision are in trouble",
        );
    }
    if !older.is_empty() {
        claim.ground(
            -2.5,
            &older,
            "pods of the revision before are in trouble as well",
        );
    }
}

/// Crashes again and again, and nothing tells why.
pub(super) fn crash_loop(of: &Subject<'_>) -> Option<Claim> {
    let crashes = of.crashes();
    if crashes.is_empty() {
        return None;
    }
    let mut claim =
        Claim::new(FailureMode::CrashLoop, of.owner()).fitting(&[Remedy::Restart, Remedy::Notify]);
    claim.ground(3.5, &crashes, "containers crash again and again");
    let mut failed = of.ends();
    failed.retain(|(_, end)| end.exit_code != 0 && !matches!(end.exit_code, 137 | 143));
    if let Some((piece, end)) = failed.first() {
        let code = end.exit_code;
        claim.ground(
            0.5,
            &[piece],
            format!("the process ends by itself, with code {code}"),
        );
    }
    let killed = of.out_of_memory();
    if !killed.is_empty() {
        claim.ground(-3.0, &pieces(&killed), "it was killed for want of memory");
    }
    match of.rollout() {
        Some(recent) if recent.rollout.previous.is_some() => {
            claim.ground(-2.5, &[recent.piece], "a rollout came just before");
        }
        Some(_) | None => claim.ground(0.5, &[], "no rollout came just before"),
    }
    let probed = of.killed();
    let mut live = of.containers();
    live.retain(|(_, container)| container.probes.liveness.is_some());
    if !probed.is_empty() && !live.is_empty() {
        let text = "it does not end by itself: it is killed, and has a liveness probe";
        claim.ground(-2.0, &pieces(&probed), text);
    }
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-2.5, &blocked, "a container cannot even start");
    }
    if of.owner().kind == "Job" {
        claim.ground(-1.0, &[], "a Job is given up after some failures");
    }
    claim.hint(0.5, &of.told(&["BackOff"], &[]), "events tell of it");
    Some(claim)
}

/// How long a container may take to be made before that is remarkable.
const SLOW_START: SignedDuration = SignedDuration::from_mins(2);

/// A `ConfigMap` or Secret that it needs does not exist.
pub(super) fn missing_reference(of: &Subject<'_>) -> Option<Claim> {
    let mut claim =
        Claim::new(FailureMode::MissingReference, of.owner()).fitting(&[Remedy::Notify]);
    let refused = of.waits(&["CreateContainerConfigError"]);
    let told = of.told(
        &["FailedMount", "Failed"],
        &["configmap", "secret", "references non-existent"],
    );
    let held_up = of.is_held_up();
    let mut making = of.waits(&["ContainerCreating", "PodInitializing"]);
    making.retain(|(piece, _)| !held_up.is_empty() || of.ago(piece.since) >= SLOW_START);
    if refused.is_empty() && making.is_empty() {
        return None;
    }
    if refused.is_empty() {
        let text = "a container waits for long to be made";
        claim.ground(1.0, &pieces(&making), text);
        if !held_up.is_empty() {
            let text = "its volumes or its network are not ready";
            claim.ground(2.5, &held_up, text);
        }
        // Volumes and networks fail in other ways as well, which are told of in other words.
        if told.is_empty() {
            claim.ground(-1.5, &[], "no event tells of one that is not there");
        }
    } else {
        let text = "a container cannot be made from its configuration";
        claim.ground(3.5, &pieces(&refused), text);
    }
    for (piece, waiting) in &refused {
        if message::names_missing_reference(&waiting.message) {
            claim.ground(
                2.0,
                &[piece],
                "the kubelet does not find a ConfigMap, a Secret or a key",
            );
        } else if !waiting.message.is_empty() {
            claim.ground(-2.0, &[piece], "the kubelet names another reason");
        }
    }
    claim.hint(
        0.8,
        &told,
        "events tell of a ConfigMap or Secret that is not there",
    );
    if let Some(recent) = of.rollout() {
        claim.ground(0.5, &[recent.piece], "a rollout came just before");
    }
    Some(claim)
}
