//! The built-in advisor: a differential diagnosis over the evidence of a case.
//!
//! In: a case. Out: causes that are possible, the likeliest first, each with
//! what speaks for it and against it, the remedies that suit it, and the object
//! it lies with. Every rule is asked, one for each failure mode. What rules
//! rest on are facts of the control plane and measurements; text adds a little
//! and never decides.
//!
//! A rule adds weights of evidence: the logarithm of how much likelier a
//! finding is if the cause is there than if it is not (I. J. Good,
//! *Probability and the Weighing of Evidence*, 1950), as expert systems have
//! added them since (Duda, Hart and Nilsson, *Subjective Bayesian methods for
//! rule-based inference systems*, 1976). The weights are judged, not learned,
//! and grounds that say the same thing twice are one ground. Across owners the
//! cause is the one whose trouble began first along the calls (Nguyen, Shen,
//! Tan and Gu, *`FChain`: toward black-box online fault localization for
//! cloud systems*, ICDCS 2013), and what its failure explains is taken from the
//! claims about those that follow.
//!
//! Pure: no IO, no clock.

use schemas::{diagnosis::FailureMode, target::Target};

use crate::{
    advise::Hypothesis,
    case::{Case, Member},
};

mod capacity;
mod claim;
mod counsel;
mod cpu;
mod crash;
mod dependency;
mod healthy;
mod image;
mod job;
mod memory;
mod message;
mod node;
mod probe;
mod rank;
mod rollout;
mod scene;
mod scheduling;
mod series;
mod service;
mod symptoms;
#[cfg(test)]
mod tests;
mod verdict;

pub use claim::ENOUGH;
pub use counsel::{Counsel, advice_for};
pub use verdict::{is_tainted, verdict};

use claim::Claim;
use scene::{Scene, Subject, is_own, is_same};

/// Rules about one owner, each asked of every owner in trouble.
const OF_MEMBERS: [fn(&Subject<'_>) -> Option<Claim>; 23] = [
    crash::bad_configuration,
    rollout::bad_rollout,
    image::bad_image,
    image::pull_secret,
    crash::missing_reference,
    crash::crash_loop,
    memory::out_of_memory,
    memory::leak,
    memory::garbage_collection,
    cpu::throttling,
    probe::flapping,
    probe::failing,
    rollout::stuck,
    capacity::autoscaler,
    capacity::budget,
    scheduling::taint,
    scheduling::resources,
    capacity::quota,
    scheduling::volume,
    job::backoff,
    service::without_endpoints,
    node::noisy_neighbour,
    healthy::transient,
];

/// Rules about what owners share: nodes, and each other.
const OF_CASES: [fn(&Scene<'_>) -> Vec<Claim>; 4] = [
    node::not_ready,
    node::many_not_ready,
    node::pressure,
    dependency::failure,
];

/// The causes that are possible, the likeliest first.
pub fn diagnose(case: &Case) -> Vec<Hypothesis> {
    let scene = Scene::new(case);
    let of_members = scene
        .subjects
        .iter()
        .flat_map(|subject| OF_MEMBERS.iter().filter_map(move |rule| rule(subject)));
    let of_cases = OF_CASES.iter().flat_map(|rule| rule(&scene));
    let claims = of_members.chain(of_cases).collect();
    rank::rank(&scene, claims)
}

/// Of the hypotheses about a case, those that concern one of its owners, in the same order: the
/// cause lies with it, or with something that it shares or depends on.
pub fn concerning(case: &Case, ranked: &[Hypothesis], member: &Target) -> Vec<Hypothesis> {
    let Some(member) = case.owners.iter().find(|one| is_same(&one.owner, member)) else {
        return Vec::new();
    };
    let concerns = |hypothesis: &&Hypothesis| concerns(case, hypothesis, member);
    ranked.iter().filter(concerns).cloned().collect()
}

fn concerns(case: &Case, hypothesis: &Hypothesis, member: &Member) -> bool {
    let Hypothesis { mode, about, .. } = hypothesis;
    if is_same(about, &member.owner) {
        return true;
    }
    let is_known = |other: &Member| is_same(about, &other.owner);
    let is_shared = about.kind == "Node" || *mode == FailureMode::DependencyFailure;
    if !is_shared && case.owners.iter().any(is_known) {
        return false;
    }
    let rests_on = |member: &Member| {
        let grounds = hypothesis.support.iter();
        let mut ids = grounds.flat_map(|ground| &ground.evidence);
        ids.any(|id| case.piece(*id).is_some_and(|piece| is_own(piece, member)))
    };
    // Nodes that fail together explain what runs on them, though the cause rests on each.
    let is_workload = |other: &&Member| !is_known(other) && other.owner.kind != "Node";
    let mut others = case.owners.iter().filter(is_workload);
    rests_on(member) || !others.any(rests_on)
}
