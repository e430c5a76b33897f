//! Which of all claims is the best, across the owners of a case.
//!
//! In: what every rule claims. Out: hypotheses, the best first. Claims about an
//! owner whose dependency, or whose node, failed first lose by what that
//! explains; claims about the owner that others follow gain. The order is that
//! of the log-odds without text: text may close a gap, and never turns an
//! order.
//!
//! Pure: no IO, no clock.

use jiff::SignedDuration;
use schemas::{diagnosis::FailureMode, target::Target};

use super::{
    claim::{Claim, ENOUGH},
    dependency::{self, Root},
    scene::{Scene, Subject, is_same},
    symptoms::SLACK,
};
use crate::{advise::Hypothesis, evidence::Piece};

/// Score below which a cause is not worth a person's time.
const FLOOR: f64 = 0.1;

/// The hypotheses, the best first.
pub(super) fn rank(scene: &Scene<'_>, claims: Vec<Claim>) -> Vec<Hypothesis> {
    let roots: Vec<_> = scene
        .subjects
        .iter()
        .map(|subject| (subject, dependency::root(scene, subject)))
        .collect();
    let mut claims = claims;
    for claim in &mut claims {
        explain(claim, &roots);
        lead(claim, &roots);
    }
    claims.sort_by(|a, b| {
        let by_weight = b.firm().total_cmp(&a.firm());
        b.is_supported()
            .cmp(&a.is_supported())
            .then(by_weight)
            .then_with(|| (a.mode, &a.about).cmp(&(b.mode, &b.about)))
    });
    // Several members may tell of one object, such as a Service that they share.
    let mut kept: Vec<Claim> = Vec::new();
    for claim in claims {
        let is_known = |known: &Claim| known.mode == claim.mode && known.about == claim.about;
        if !kept.iter().any(is_known) {
            kept.push(claim);
        }
    }
    name_the_fault(&mut kept);
    let mut most = 1.0_f64;
    let mut ranked = Vec::new();
    for claim in kept {
        most = most.min(claim.score());
        if most >= FLOOR {
            ranked.push(claim.into_hypothesis(most));
        }
    }
    ranked
}

/// Takes from a claim what another failure explains.
fn explain(claim: &mut Claim, roots: &[(&Subject<'_>, Option<Root<'_>>)]) {
    let weight = explained(claim.mode);
    let Some((subject, root)) = of_owner(&claim.about, roots) else {
        return;
    };
    if let Some(root) = root.as_ref().filter(|_| weight < 0.0) {
        let text = format!(
            "{}, on which it depends, is in trouble as well",
            root.target
        );
        claim.ground(weight, &root.calls, text);
    }
    let nodes = subject.lacks_node();
    if weight < 0.0 && !nodes.is_empty() {
        claim.ground(weight, &nodes, "its node is not ready");
    }
}

/// Gives to a claim what the order of events says.
fn lead(claim: &mut Claim, roots: &[(&Subject<'_>, Option<Root<'_>>)]) {
    if claim.mode == FailureMode::DependencyFailure {
        return;
    }
    let followed = roots.iter().filter_map(|(_, root)| root.as_ref());
    let calls = followed.filter(|root| is_same(root.target, &claim.about));
    let calls: Vec<&Piece> = calls.flat_map(|root| root.calls.clone()).collect();
    if !calls.is_empty() && claim.leave_alone {
        claim.ground(-2.0, &calls, "others that depend on it are in trouble");
    } else if !calls.is_empty() {
        claim.ground(0.7, &calls, "others that depend on it followed");
    } else if let [(first, None), (second, _), ..] = roots
        && is_same(first.owner(), &claim.about)
        && !claim.leave_alone
    {
        let lead = second.member.since.duration_since(first.member.since);
        if lead > SLACK.max(SignedDuration::ZERO) {
            claim.ground(0.3, &[], "its trouble began first");
        }
    }
}

fn of_owner<'s, 'a>(
    about: &Target,
    roots: &'s [(&'s Subject<'a>, Option<Root<'a>>)],
) -> Option<&'s (&'s Subject<'a>, Option<Root<'a>>)> {
    roots
        .iter()
        .find(|(subject, _)| is_same(subject.owner(), about))
}

/// Puts the fault of an owner before the mere statement that others failed because of it, where
/// the fault is known.
fn name_the_fault(claims: &mut [Claim]) {
    let line = (ENOUGH / (1.0 - ENOUGH)).ln();
    let dependency = |claim: &Claim| claim.mode == FailureMode::DependencyFailure;
    for at in 0..claims.len() {
        let Some(claim) = claims.get(at).filter(|claim| dependency(claim)) else {
            continue;
        };
        let fault = claims.iter().skip(at).position(|other| {
            let known = other.is_supported() && other.firm() >= line && !other.leave_alone;
            known && !dependency(other) && is_same(&other.about, &claim.about)
        });
        if let Some(behind) = fault
            && let Some(part) = claims.get_mut(at..=at + behind)
        {
            part.rotate_left(1);
            // What moved forward may be another claim of this kind; it is looked at once more.
            return name_the_fault(claims);
        }
    }
}

/// What the earlier failure of a dependency, or of the node, takes from a cause.
const fn explained(mode: FailureMode) -> f64 {
    match mode {
        FailureMode::CrashLoop | FailureMode::ReadinessFlapping | FailureMode::ProbeFailing => -2.5,
        FailureMode::StuckRollout => -1.5,
        FailureMode::BadConfiguration
        | FailureMode::BadRollout
        | FailureMode::CpuThrottling
        | FailureMode::AutoscalerAtMaximum
        | FailureMode::JobBackoff
        | FailureMode::Transient => -1.0,
        FailureMode::BadImage
        | FailureMode::ImagePullSecret
        | FailureMode::MissingReference
        | FailureMode::OutOfMemory
        | FailureMode::MemoryLeak
        | FailureMode::GarbageCollection
        | FailureMode::DisruptionBudgetDeadlock
        | FailureMode::NodeNotReady
        | FailureMode::NodesNotReady
        | FailureMode::NodePressure
        | FailureMode::UnschedulableTaint
        | FailureMode::UnschedulableResources
        | FailureMode::QuotaExceeded
        | FailureMode::UnboundVolume
        | FailureMode::ServiceWithoutEndpoints
        | FailureMode::DependencyFailure
        | FailureMode::NoisyNeighbour => 0.0,
    }
}
