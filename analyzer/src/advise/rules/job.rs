//! Jobs that are given up.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, policy::Remedy};

use super::{
    claim::Claim,
    scene::{Subject, pieces},
};

/// A Job has failed as often as it may.
pub(super) fn backoff(of: &Subject<'_>) -> Option<Claim> {
    let mut given_up = of.condition("Failed", "True");
    given_up.retain(|(_, failed)| failed.reason == "BackoffLimitExceeded");
    let mut failed = of.jobs();
    failed.retain(|(_, job)| job.failed > job.backoff_limit && job.succeeded == 0);
    if given_up.is_empty() && failed.is_empty() {
        return None;
    }
    let mut claim = Claim::new(FailureMode::JobBackoff, of.owner()).fitting(&[Remedy::Notify]);
    if !given_up.is_empty() {
        claim.ground(
            5.0,
            &pieces(&given_up),
            "the Job was given up: its back-off limit is exceeded",
        );
    }
    if let Some((_, job)) = failed.first() {
        let (times, limit) = (job.failed, job.backoff_limit);
        let text = format!("it failed {times} times, with a limit of {limit}");
        claim.ground(3.0, &pieces(&failed), text);
        if job.active > 0 {
            claim.ground(-2.0, &pieces(&failed), "but a pod of it is at work");
        }
    }
    let blocked = of.cannot_start();
    if !blocked.is_empty() {
        claim.ground(-2.0, &blocked, "its pods cannot start, which is why");
    }
    Some(claim)
}
